"""What others change is seen by a manager that caches: in time, in order, and across a broken connection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import CachedSessionManager, Session, SessionManager
from tests.recipes.conftest import Commands, MakeActor
from tests.servers import Server
from tests.sessions.waiting import until


async def _read(manager: SessionManager, session_id: str = "sess_1") -> Session:
    session = await manager.get_session(session_id)
    assert session is not None
    return session


async def _tracking(client: Redis) -> list[dict[str, Any]]:
    return [one for one in await client.client_list() if "t" in one["flags"]]


@pytest.fixture
async def session(manager: SessionManager, cached: CachedSessionManager) -> Session:
    """A session that the cache holds."""
    await manager.create_session("user_1", "agent_1", {"turn": "0"}, session_id="sess_1")
    return await _read(cached)


async def test_another_process_s_change_is_seen_within_100_ms(
    cached: CachedSessionManager, session: Session, make_actor: MakeActor
) -> None:
    """Counted from when the other process has its answer; reading without a pause does not keep the news out."""
    actor = await make_actor()
    for turn in range(1, 21):
        assert await actor.do("set", "sess_1", "turn", str(turn)) == "set"
        deadline = time.monotonic() + 0.1
        while (await _read(cached)).metadata["turn"] != str(turn):
            assert time.monotonic() < deadline


async def test_another_manager_s_delete_is_seen(
    cached: CachedSessionManager, manager: SessionManager, session: Session
) -> None:
    """A session that ended is None, as an unknown one is."""
    await manager.delete_session("sess_1")
    await until(lambda: _is_none(cached))


async def _is_none(cached: CachedSessionManager) -> bool:
    return await cached.get_session("sess_1") is None


async def test_an_emptied_server_empties_the_cache(
    cached: CachedSessionManager, client: Redis, session: Session
) -> None:
    """FLUSHALL names no keys."""
    await client.flushall()
    await until(lambda: _is_none(cached))


async def test_what_is_read_never_goes_back(
    cached: CachedSessionManager, manager: SessionManager, session: Session
) -> None:
    """Twelve readers beside a writer see versions that only grow, and at the end all see the last one."""
    done = False

    async def write() -> None:
        nonlocal done
        for turn in range(500):
            await manager.update_session_metadata("sess_1", {"turn": turn})
        done = True

    async def read() -> None:
        last = 0
        while not done:
            version = (await _read(cached)).version
            assert version >= last
            last = version

    async with asyncio.timeout(30):
        await asyncio.gather(write(), *(read() for _ in range(12)))
    last = await _read(manager)
    deadline = time.monotonic() + 0.1
    while await _read(cached) != last:
        assert time.monotonic() < deadline


async def test_a_change_that_meets_a_read_is_not_kept_out(
    cached: CachedSessionManager, manager: SessionManager, session: Session
) -> None:
    """Whichever the server does first, and however their answers arrive, the change is seen."""
    for turn in range(500):
        hop = turn % 4
        await asyncio.gather(_late(hop, cached), manager.update_session_metadata("sess_1", {"turn": turn}))
        deadline = time.monotonic() + 0.1
        while (await _read(cached)).metadata["turn"] != turn:
            assert time.monotonic() < deadline


async def _late(turns_of_the_loop: int, cached: CachedSessionManager) -> None:
    for _ in range(turns_of_the_loop):
        await asyncio.sleep(0)
    await cached.get_session("sess_1")


@pytest.mark.not_on("cluster", reason="a cache keeps nothing on a Cluster: every read goes to the server")
async def test_a_change_is_seen_at_once_after_the_tracking_connection_broke(
    cached: CachedSessionManager, manager: SessionManager, client: Redis, session: Session
) -> None:
    """The server ends that connection alone, so no message can tell of the change that follows."""
    for turn in range(20):
        await _read(cached)
        [connection] = await _tracking(client)
        await client.client_kill_filter(_id=connection["id"])
        await manager.update_session_metadata("sess_1", {"turn": turn})
        assert (await _read(cached)).metadata["turn"] == turn


@pytest.mark.not_on("cluster", reason="a cache keeps nothing on a Cluster: every read goes to the server")
async def test_a_reconnected_cache_caches_again(
    cached: CachedSessionManager, client: Redis, session: Session, commands: Commands
) -> None:
    """One connection tracks, as before, and hits cost nothing."""
    [connection] = await _tracking(client)
    await client.client_kill_filter(_id=connection["id"])
    await _read(cached)
    before = await commands()
    await _read(cached)
    assert await commands() == before
    assert len(await _tracking(client)) == 1


async def test_a_change_is_seen_at_once_after_the_server_was_restarted(make_server: Callable[..., Server]) -> None:
    """The change was made while the cache had no connection, or before it looked."""
    server = make_server()
    async with (
        CachedSessionManager.open(server.url, namespace="n") as cached,
        SessionManager.open(server.url, namespace="n") as manager,
    ):
        await manager.create_session("user_1", "agent_1", session_id="sess_1")
        for turn in range(3):
            await _read(cached)
            server.restart()
            await manager.update_session_metadata("sess_1", {"turn": turn})
            assert (await _read(cached)).metadata == {"turn": turn}


@pytest.fixture
async def refused(server: Server, client: Redis, namespace: str) -> AsyncIterator[CachedSessionManager]:
    """A manager of a user who may do everything but track."""
    await client.acl_setuser(
        "reader",
        enabled=True,
        passwords=["+secret"],
        keys=["*"],
        channels=["*"],
        commands=["+@all", "-client|tracking"],
    )
    url = server.url_as("reader", "secret")
    async with CachedSessionManager.open(url, namespace=namespace) as cached:
        yield cached
    await client.acl_deluser("reader")


async def test_nothing_is_kept_where_tracking_is_not_to_be_had(
    refused: CachedSessionManager, manager: SessionManager, commands: Commands
) -> None:
    """Each read goes to the server and is right."""
    await manager.create_session("user_1", "agent_1", session_id="sess_1")
    for turn in range(10):
        await manager.update_session_metadata("sess_1", {"turn": turn})
        before = await commands()
        assert (await _read(refused)).metadata == {"turn": turn}
        assert await commands() > before


async def test_a_connection_that_died_without_a_word_is_found_out(make_server: Callable[..., Server]) -> None:
    """Hits come to an end where the server answers nothing any more, without a task that watches."""
    server = make_server()
    async with CachedSessionManager.open(server.url, namespace="n", reply_timeout=0.1) as cached:
        await cached.create_session("user_1", "agent_1", session_id="sess_1")
        await _read(cached)
        server.pause()
        assert await _read(cached)
        await until(lambda: _waits(cached))
        server.resume()
        assert await _read(cached)


async def _waits(cached: CachedSessionManager) -> bool:
    try:
        async with asyncio.timeout(0.2):
            await cached.get_session("sess_1")
    except TimeoutError:
        return True
    return False
