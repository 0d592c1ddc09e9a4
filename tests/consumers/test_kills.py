"""Members that die, and servers that go away, at the worst moment."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import NoteAdded, SessionManager
from sessionstream.projection import Increment, counters
from tests.consumers.conftest import DYING, PARTITIONS, QUICK
from tests.consumers.forks import Forks
from tests.consumers.joining import Seen, add_notes, caught_up
from tests.servers import Server
from tests.sessions.waiting import until

COUNT = counters("count")


@pytest.fixture
def forgetful(make_server: Callable[..., Server]) -> Server:
    """A server that keeps nothing but what was there at the last snapshot, of which it makes none by itself."""
    return make_server(appendonly=False, save=(3600, 1))


async def _snapshot(server: Server) -> None:
    async with Redis.from_url(server.url) as client:
        await client.save()


@pytest.mark.parametrize("version", [1, 3])
async def test_a_death_between_handler_and_commit_counts_once(
    forks: Forks, server: Server, manager: SessionManager, session_id: str, namespace: str, version: int
) -> None:
    """G26, G27: the event is handled again, and the view holds it once."""
    await add_notes(manager, session_id, "a", "b", "c")
    number = forks.start(DYING, server.unix_url, namespace, str(PARTITIONS), str(version))
    assert await forks.wait(number) == -signal.SIGKILL
    seen = Seen()

    async def handle(item: Any) -> None:
        item.apply(Increment(COUNT, "n", 1))
        await seen(item)

    async with manager.consumers.join("g", handle, **QUICK):
        await caught_up(manager)
    assert seen.versions[-1] == 4
    assert version in seen.versions
    assert await manager.consumers.view("g").counters(COUNT) == {"n": 4}


async def test_a_member_outlives_a_restart_of_the_server(make_server: Callable[..., Server]) -> None:
    """It goes on when the server is back, and what was handled meanwhile counts once."""
    server = make_server()
    async with SessionManager(url=server.url, namespace="n", partitions=2) as manager:
        session_id = (await manager.create_session("u", "a")).session_id
        begun, let_go = asyncio.Event(), asyncio.Event()

        async def handle(item: Any) -> None:
            item.apply(Increment(COUNT, "n", 1))
            if item.event.version == 2:
                begun.set()
                await let_go.wait()

        async with manager.consumers.join("g", handle, lease=5.0):
            await add_notes(manager, session_id, "a")
            await begun.wait()
            server.kill()
            let_go.set()
            await asyncio.sleep(0)
            server.start()
            await manager.append(session_id, NoteAdded(text="b"))
            await caught_up(manager)
        assert await manager.consumers.view("g").counters(COUNT) == {"n": 3}


async def test_what_was_handled_and_then_lost_by_the_server_is_not_committed(
    forgetful: Server,
) -> None:
    """G26, G27: the group goes on with what there is instead, and does not stand where the feed has never been."""
    async with SessionManager(url=forgetful.url, namespace="n", partitions=1) as manager:
        session_id = (await manager.create_session("u", "a")).session_id
        begun, let_go, seen = asyncio.Event(), asyncio.Event(), list[str]()

        async def handle(item: Any) -> None:
            item.apply(Increment(COUNT, "n", 1))
            if isinstance(item.data, NoteAdded):
                seen.append(item.data.text)
                begun.set()
                await let_go.wait()

        async with manager.consumers.join("g", handle, lease=5.0):
            await caught_up(manager)
            await _snapshot(forgetful)
            await add_notes(manager, session_id, "lost", "lost too")
            await begun.wait()
            forgetful.kill()
            forgetful.start()
            await add_notes(manager, session_id, "kept")
            let_go.set()
            await caught_up(manager)
        assert seen[-1] == "kept"
        assert await manager.consumers.view("g").counters(COUNT) == {"n": 2}


async def test_a_member_that_is_a_holder_again_by_what_the_server_has_lost_commits_anew(
    forgetful: Server,
) -> None:
    """G26: its first commit under a lease that came back is not taken for the first one under it before."""
    async with (
        SessionManager(url=forgetful.url, namespace="n", partitions=1) as manager,
        SessionManager(url=forgetful.url, namespace="n", partitions=1) as other,
    ):
        session_id = (await manager.create_session("u", "a")).session_id
        # Two ask for the one partition: the first of the sorted names has it, whenever it is there.
        second = manager.consumers.join("g", Seen(), member="b", lease=1.0)
        async with second:
            await caught_up(manager)
            await _snapshot(forgetful)
            async with other.consumers.join("g", Seen(), member="a", lease=1.0):
                await until(lambda: not second.partitions)
            forgetful.kill()
            forgetful.start()
            await until(lambda: second.partitions)
            await add_notes(manager, session_id, "kept")
            await caught_up(manager)
            assert (await manager.consumers.status("g")).count("handled") == 2


async def test_a_member_that_began_where_the_server_has_lost_it_goes_on_where_that_stands(
    forgetful: Server,
) -> None:
    """G26: where nothing was read since, what the server knows of the group is asked before anybody is told."""
    async with SessionManager(url=forgetful.url, namespace="n", partitions=1) as manager:
        session_id = (await manager.create_session("u", "a")).session_id
        async with manager.consumers.join("g", Seen()):
            await caught_up(manager)
            await _snapshot(forgetful)
            await add_notes(manager, session_id, "lost")
            await caught_up(manager)
        async with manager.consumers.join("g", Seen(), lease=1.0) as member:
            await until(lambda: member.partitions)
            forgetful.kill()
            forgetful.start()
            await add_notes(manager, session_id, "kept", "kept too")
            await caught_up(manager)
        assert (await manager.consumers.status("g")).count("handled") == 3


async def test_a_commit_whose_answer_is_lost_counts_once(
    server: Server, manager: SessionManager, session_id: str, client: Any
) -> None:
    """G27: the connection is ended again and again, and the commit sent again as often."""

    async def handle(item: Any) -> None:
        item.apply(Increment(COUNT, "n", 1))
        if item.event.version % 5 == 0:
            await client.client_kill_filter(_type="normal", skipme=True)

    async with manager.consumers.join("g", handle, concurrency=4):
        for _ in range(4):
            await manager.append(session_id, [NoteAdded(text=str(number)) for number in range(10)])
            await caught_up(manager)
    assert await manager.consumers.view("g").counters(COUNT) == {"n": 41}
