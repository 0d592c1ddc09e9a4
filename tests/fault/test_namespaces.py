"""A namespace belongs to those who agree on how it was made: others are refused before they write a single key.

G18.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import NoteAdded, Projection, SessionManager, SessionStreamError
from sessionstream.errors import InvalidArgument, NamespaceMismatch
from sessionstream.log.stamp import FORMAT
from sessionstream.projection import Increment, counters
from tests.fault.conftest import Open
from tests.servers import Server

pytestmark = pytest.mark.guarantee

Dump = Callable[[], Awaitable[dict[bytes, bytes]]]


def _notes(version: int = 1, name: str = "notes") -> Projection:
    projection = Projection(name, version=version)

    @projection.on(NoteAdded)
    def noted(session_id: str, event: NoteAdded) -> list[Increment]:
        return [Increment(counters("all"), "notes", 1)]

    return projection


@pytest.fixture
async def dump(client: Redis, namespace: str) -> Dump:
    """Read every key of the namespace."""

    async def read() -> dict[bytes, bytes]:
        return {key: await client.dump(key) async for key in client.scan_iter(match=f"{namespace}:*")}

    return read


@pytest.fixture
def url(server: Server) -> str:
    """Where the namespace lies."""
    return server.unix_url


async def _make(open_manager: Open, url: str, namespace: str, **settings: Any) -> SessionManager:
    """Make the namespace: a session in one partition, and no more."""
    manager = open_manager(url, namespace=namespace, **settings)
    await manager.create_session("user_1", "assistant", session_id="s")
    await manager.append("s", NoteAdded(text="x"))
    return manager


async def _refused_all(manager: SessionManager, reads: bool) -> None:
    """Every write of every session, and every read too if the keys would be looked for elsewhere."""
    writes: list[Callable[[], Awaitable[Any]]] = [
        lambda: manager.append("s", NoteAdded(text="y")),
        lambda: manager.create_session("user_1", "assistant"),
        lambda: manager.create_session("user_2", "assistant", session_id="another"),
        lambda: manager.update_session_metadata("s", {"a": 1}),
        lambda: manager.acquire_lock("s"),
        lambda: manager.save_checkpoint("s", {"turn": 1}),
        lambda: manager.set_session_state("s", "idle"),
        lambda: manager.delete_session("s"),
        lambda: manager.cleanup_expired_sessions(),
    ]
    looks: list[Callable[[], Awaitable[Any]]] = [
        lambda: manager.get_session("s"),
        lambda: manager.get_sessions_by_user("user_1"),
        lambda: manager.get_total_session_count(),
        lambda: manager.messages("s"),
        lambda: manager.get_latest_checkpoint("s"),
        lambda: manager.audit.as_of("s", version=1),
        lambda: manager.acquire_lock("s"),
    ]
    for call in (*writes, *(looks if reads else ())):
        with pytest.raises(NamespaceMismatch) as caught:
            await call()
        assert caught.value.namespace == manager.settings.namespace
        assert isinstance(caught.value, SessionStreamError)


@pytest.mark.parametrize(("made_with", "has"), [(16, 8), (8, 16), (1, 4096), (16, 1)])
async def test_another_number_of_partitions_is_refused(
    open_manager: Open, url: str, namespace: str, dump: Dump, made_with: int, has: int
) -> None:
    """Reading and writing, in whichever partition a session would lie."""
    await _make(open_manager, url, namespace, partitions=made_with)
    before = await dump()
    stranger = open_manager(url, namespace=namespace, partitions=has)
    await _refused_all(stranger, reads=True)
    with pytest.raises(NamespaceMismatch, match=f"partitions {made_with}, this process has {has}"):
        await stranger.append("s", NoteAdded(text="y"))
    assert await dump() == before


@pytest.mark.parametrize(
    ("made_with", "has"),
    [
        ([], [_notes()]),
        ([_notes()], []),
        ([_notes()], [_notes(version=2)]),
        ([_notes(), _notes(name="more")], [_notes(name="more"), _notes()]),
    ],
    ids=["one more", "one less", "another version", "another order"],
)
async def test_other_projections_may_read_and_not_write(
    open_manager: Open,
    url: str,
    namespace: str,
    dump: Dump,
    made_with: list[Projection],
    has: list[Projection],
) -> None:
    """A writer that lacks one would leave its views behind the events."""
    await _make(open_manager, url, namespace, projections=made_with)
    before = await dump()
    stranger = open_manager(url, namespace=namespace, projections=has)
    await _refused_all(stranger, reads=False)
    assert await dump() == before
    session = await stranger.get_session("s")
    assert session is not None
    assert session.version == 2


async def test_the_same_projections_in_another_process_may_write(open_manager: Open, url: str, namespace: str) -> None:
    """Names and versions count, not objects."""
    await _make(open_manager, url, namespace, projections=[_notes()])
    same = open_manager(url, namespace=namespace, projections=[_notes()])
    assert (await same.append("s", NoteAdded(text="y"))).version == 3


async def test_a_writer_that_was_there_before_is_refused_too(
    open_manager: Open, url: str, namespace: str, client: Redis, dump: Dump
) -> None:
    """The mark is looked at by every single append, in the same step."""
    manager = await _make(open_manager, url, namespace)
    log = manager.store.keys.log(manager.store.keys.partition("s"))
    for key in {log, manager.store.keys.log(0)}:
        stamp = (await client.hget(key, ":stamp")).decode()
        await client.hset(key, ":stamp", stamp.replace("statistics:1", "statistics:2"))
    before = await dump()
    with pytest.raises(NamespaceMismatch, match="statistics:2"):
        await manager.append("s", NoteAdded(text="y"))
    assert await dump() == before


async def test_a_newer_layout_is_refused(
    open_manager: Open, url: str, namespace: str, client: Redis, dump: Dump
) -> None:
    """An old process does not guess what a newer one keeps where."""
    manager = await _make(open_manager, url, namespace)
    for partition in range(manager.settings.partitions):
        key = manager.store.keys.log(partition)
        if stamp := await client.hget(key, ":stamp"):
            await client.hset(key, ":stamp", stamp.replace(b"format=%d" % FORMAT, b"format=%d" % (FORMAT + 1)))
    before = await dump()
    stranger = open_manager(url, namespace=namespace)
    await _refused_all(stranger, reads=True)
    assert await dump() == before


async def test_namespaces_side_by_side_do_not_see_each_other(
    open_manager: Open, url: str, make_namespace: Callable[[], str]
) -> None:
    """However they were made."""
    one = await _make(open_manager, url, make_namespace(), partitions=4)
    two = await _make(open_manager, url, make_namespace(), partitions=8, projections=[_notes()])
    await one.delete_session("s")
    assert await two.session_exists("s")
    assert await one.get_sessions_by_user("user_1") == []
    assert len(await two.get_sessions_by_user("user_1")) == 1


async def test_two_projections_of_one_name_are_refused_at_once(url: str) -> None:
    """Their views would lie in the same keys; a built-in one's name is taken too."""
    for projections in ([_notes(), _notes(version=2)], [_notes(name="session")]):
        with pytest.raises(InvalidArgument, match="one name"):
            SessionManager(url=url, projections=projections)
