"""`replicated(n)`: an append is acknowledged when so many replicas have it, and else it says how many had.

G36.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from redis import Redis

from sessionstream import Appended, NoteAdded, SessionManager
from sessionstream.errors import (
    AuthenticationFailed,
    ConflictError,
    DurabilityUnavailable,
    NotReplicated,
    OutcomeUnknown,
    ServerReadOnly,
)
from tests.clusters import until
from tests.durability.conftest import Open, ask
from tests.proxy import Fault, Proxy
from tests.servers import Server

ONE = "replicated(1)"


class Pair:
    """A primary and its replica."""

    def __init__(self) -> None:
        self.primary, self.replica = Server(repl_diskless_sync_delay=0), Server()

    def start(self) -> None:
        """Start them, and wait until the replica follows."""
        self.primary.start()
        self.replica.settings["replicaof"] = ("127.0.0.1", self.primary.port)
        self.replica.start()
        with Redis(unix_socket_path=str(self.primary.socket)) as client:
            until(
                lambda: client.info("replication").get("slave0", {}).get("state") == "online", "the replica to follow"
            )

    async def calls_of(self, command: str) -> int:
        """Return how often the primary has executed a command."""
        stats = await ask(self.primary, "INFO", "commandstats")
        return int(stats.get(f"cmdstat_{command}", {"calls": 0})["calls"])


@pytest.fixture(scope="module")
def _shared_pair() -> Iterator[Pair]:
    pair = Pair()
    try:
        pair.start()
        yield pair
    finally:
        pair.replica.close()
        pair.primary.close()


@pytest.fixture
async def pair(_shared_pair: Pair) -> AsyncIterator[Pair]:
    """A primary and its replica, empty."""
    yield _shared_pair
    _shared_pair.replica.resume()
    await ask(_shared_pair.primary, "FLUSHALL")


@pytest.fixture
async def manager(pair: Pair, open_manager: Open) -> SessionManager:
    """A manager that waits for the replica, with a session `s`."""
    manager = open_manager(pair.primary.unix_url, durability=ONE)
    await manager.create_session("user", "agent", session_id="s")
    return manager


def note(text: str = "x") -> NoteAdded:
    """Return what the tests append."""
    return NoteAdded(text=text)


@contextlib.contextmanager
def in_a_hurry(manager: SessionManager, seconds: float = 0.5) -> Iterator[None]:
    """Let the calls of a block end after so many seconds."""
    deadline, manager.store.server.deadline = manager.store.server.deadline, seconds
    yield
    manager.store.server.deadline = deadline


async def unfinished(call: asyncio.Future[Any] | asyncio.Task[Any]) -> bool:
    """Whether a call is still under way a moment later."""
    done, _ = await asyncio.wait([call], timeout=0.1)
    return not done


async def test_an_append_is_acknowledged_when_the_replica_has_it(pair: Pair, manager: SessionManager) -> None:
    """Not before; and it says so."""
    pair.replica.pause()
    appending = asyncio.create_task(manager.append("s", note()))
    assert await unfinished(appending)
    pair.replica.resume()
    assert (await appending).durability == ONE
    assert await ask(pair.replica, "XLEN", manager.store.keys.events("s")) == 2


async def test_an_append_may_choose_by_itself(pair: Pair, open_manager: Open) -> None:
    """Of a manager that waits for nobody; also with messages, keys and versions."""
    manager = open_manager(pair.primary.unix_url)
    await manager.create_session("user", "agent", session_id="s")
    assert (await manager.append("s", note(), durability=ONE)).durability == ONE
    assert (await manager.append("s", [note(), note()], expected_version=2, durability=ONE)).durability == ONE
    message = {"role": "user", "content": "Hi"}
    assert (await manager.add_messages("s", message, idempotency_key="k", durability=ONE)).durability == ONE
    assert (await manager.append("s", note())).durability == "process"


async def test_too_few_replicas_are_told_of(pair: Pair, manager: SessionManager) -> None:
    """With how many were wanted and how many had it; the primary has it, and the same key asks once more."""
    pair.replica.pause()
    with in_a_hurry(manager), pytest.raises(NotReplicated) as caught:
        await manager.append("s", note(), idempotency_key="k")
    assert isinstance(caught.value, OutcomeUnknown)
    assert (caught.value.wanted, caught.value.reached) == (1, 0)
    assert [event.version async for event in manager.history("s")] == [1, 2]
    pair.replica.resume()
    again = await manager.append("s", note(), idempotency_key="k")
    assert (again.duplicate, again.durability, again.version) == (True, ONE, 2)


async def test_a_duplicate_is_waited_for_too(pair: Pair, manager: SessionManager, open_manager: Open) -> None:
    """Though it writes nothing, and though its connection has written nothing before."""
    careless = open_manager(pair.primary.unix_url)
    await careless.append("s", note())
    pair.replica.pause()
    await careless.append("s", note(), idempotency_key="k")
    fresh = open_manager(pair.primary.unix_url, durability=ONE)
    asking = asyncio.create_task(fresh.append("s", note(), idempotency_key="k"))
    assert await unfinished(asking)
    pair.replica.resume()
    assert ((await asking).duplicate, (await asking).durability) == (True, ONE)


async def test_everything_that_appends_waits(pair: Pair, manager: SessionManager) -> None:
    """A create, a checkpoint, metadata, and an end."""
    pair.replica.pause()
    calls = [
        asyncio.create_task(call)
        for call in (
            manager.create_session("user", "agent"),
            manager.save_checkpoint("s", {"turn": 1}),
            manager.update_session_metadata("s", {"a": 1}),
        )
    ]
    assert all([await unfinished(call) for call in calls])
    pair.replica.resume()
    await asyncio.gather(*calls)
    assert await manager.delete_session("s")


async def test_others_do_not_stand_behind_those_that_wait(pair: Pair, open_manager: Open) -> None:
    """Reads, and appends that wait for nobody, go on while a replica is silent."""
    manager = open_manager(pair.primary.unix_url)
    for session_id in ("s", "t"):
        await manager.create_session("user", "agent", session_id=session_id)
    pair.replica.pause()
    appending = asyncio.create_task(manager.append("s", note(), durability=ONE))
    assert await unfinished(appending)
    began = time.monotonic()
    assert await manager.get_session("s") is not None
    assert (await manager.append("t", note())).durability == "process"
    assert time.monotonic() - began < 0.5
    pair.replica.resume()
    assert (await appending).durability == ONE


async def test_the_order_of_calls_is_kept(pair: Pair, open_manager: Open) -> None:
    """Whichever of them wait for replicas."""
    manager = open_manager(pair.primary.unix_url)
    await manager.create_session("user", "agent", session_id="s")
    kinds = [None, ONE, None, None, ONE, ONE, None] * 6
    calls = [manager.append("s", note(str(number)), durability=kind) for number, kind in enumerate(kinds)]
    appended = await asyncio.gather(*calls)
    assert [one.version for one in appended] == list(range(2, 2 + len(kinds)))
    assert [event.data.text async for event in manager.history("s", from_version=2)] == [
        str(number) for number in range(len(kinds))
    ]
    assert [one.durability for one in appended] == [kind or "process" for kind in kinds]


async def test_one_wait_serves_all_of_a_turn(pair: Pair, manager: SessionManager) -> None:
    """However many sessions and partitions it writes to."""
    ids = [(await manager.create_session("user", "agent")).session_id for _ in range(50)]
    before = await pair.calls_of("wait")
    await asyncio.gather(*(manager.append(session_id, note()) for session_id in ids))
    assert await pair.calls_of("wait") == before + 1


async def test_what_is_refused_waits_for_nobody(pair: Pair, manager: SessionManager) -> None:
    """A conflict is told at once, and is certain."""
    pair.replica.pause()
    with pytest.raises(ConflictError):
        await asyncio.wait_for(manager.append("s", note(), expected_version=7), 2)


async def test_a_conflict_beside_an_append_that_lacks_replicas_stays_one(pair: Pair, open_manager: Open) -> None:
    """Both travel in one call."""
    manager = open_manager(pair.primary.unix_url, durability=ONE, partitions=1)
    for session_id in ("s", "t"):
        await manager.create_session("user", "agent", session_id=session_id)
    pair.replica.pause()
    with in_a_hurry(manager):
        outcomes = await asyncio.gather(
            manager.append("s", note()), manager.append("t", note(), expected_version=7), return_exceptions=True
        )
    assert [type(one) for one in outcomes] == [NotReplicated, ConflictError]


@pytest.mark.parametrize("fault", [Fault.LOSE_REQUEST, Fault.LOSE_REPLY, Fault.HALF_REPLY])
async def test_a_connection_that_is_lost_while_it_waits(pair: Pair, open_manager: Open, fault: Fault) -> None:
    """The append is there once, and the replica has it."""
    with Proxy(pair.primary.socket) as proxy:
        manager = open_manager(proxy.url, durability=ONE)
        await manager.create_session("user", "agent", session_id="s")
        proxy.arm(fault, b"WAIT")
        appended = await manager.append("s", note())
        assert proxy.armed == 0
        assert (appended.version, appended.durability) == (2, ONE)
        assert [event.version async for event in manager.history("s")] == [1, 2]
        await manager.aclose()


async def test_a_server_without_replicas_is_refused_before_anything_is_written(
    make_server: Callable[..., Server], open_manager: Open
) -> None:
    """After the deadline, since replicas may come; a store that waits for fewer is not."""
    server = make_server()
    manager = open_manager(server.unix_url, durability="replicated(2)", deadline=0.3)
    with pytest.raises(DurabilityUnavailable) as caught:
        await manager.create_session("user", "agent", session_id="s")
    assert (caught.value.wanted, caught.value.found) == ("replicated(2)", "replicated(0)")
    assert not await open_manager(server.unix_url).session_exists("s")


async def test_more_replicas_than_there_are_is_refused(pair: Pair, manager: SessionManager) -> None:
    """Before anything is written."""
    with in_a_hurry(manager), pytest.raises(DurabilityUnavailable):
        await manager.append("s", note(), durability="replicated(2)")
    assert [event.version async for event in manager.history("s")] == [1]


async def test_a_replica_that_is_gone_is_noticed_before_the_next_write(
    make_server: Callable[..., Server], open_manager: Open
) -> None:
    """And one that comes back is waited for again."""
    pair = Pair()
    try:
        pair.start()
        manager = open_manager(pair.primary.unix_url, durability=ONE)
        await manager.create_session("user", "agent", session_id="s")
        pair.replica.kill()
        with in_a_hurry(manager), pytest.raises((NotReplicated, DurabilityUnavailable)):
            await manager.append("s", note("first"))
        with in_a_hurry(manager), pytest.raises(DurabilityUnavailable):
            await manager.append("s", note("second"))
        pair.replica.start()
        assert (await manager.append("s", note("third"))).durability == ONE
        texts = [event.data.text async for event in manager.history("s", from_version=2)]
        assert texts in (["first", "third"], ["third"])
    finally:
        pair.replica.close()
        pair.primary.close()


async def test_a_replica_takes_no_such_append(pair: Pair, open_manager: Open) -> None:
    """It says what it is."""
    manager = open_manager(pair.replica.unix_url, durability=ONE, deadline=0.5)
    with pytest.raises(ServerReadOnly):
        await manager.create_session("user", "agent")


async def test_a_user_who_may_not_wait_is_refused(pair: Pair, open_manager: Open) -> None:
    """Before anything is written."""
    await ask(pair.primary, "ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all", "-wait")
    url = pair.primary.url.replace("redis://", "redis://app:secret@")
    with pytest.raises(AuthenticationFailed):
        await open_manager(url, durability=ONE).create_session("user", "agent", session_id="s")
    assert not await open_manager(pair.primary.unix_url).session_exists("s")


async def test_a_pipeline_of_appends_is_not_slowed_down_by_waiting_for_each(
    pair: Pair, manager: SessionManager
) -> None:
    """Those of one session that are made in one turn leave together."""
    before = await pair.calls_of("wait")
    appended: list[Appended] = await asyncio.gather(*(manager.append("s", note()) for _ in range(100)))
    assert {one.durability for one in appended} == {ONE}
    assert await pair.calls_of("wait") <= before + 4
