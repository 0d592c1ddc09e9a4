"""Leaving the block, or being cancelled, frees everything; thousands share one connection. (G23)"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import warnings
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import NoteAdded, RecordedEvent, SessionManager
from tests.following.conftest import SESSION, Noted, Open
from tests.nodes import lanes_of
from tests.servers import Server
from tests.sessions.waiting import until


async def _hearing(client: Redis) -> int:
    return sum("t" in one["flags"] for one in await client.client_list())


async def _is_free(manager: SessionManager, client: Redis) -> bool:
    """Whether no task, no waiter and no connection of a follower is left."""
    tasks = [task for task in asyncio.all_tasks() if "sessionstream" in task.get_name()]
    room: Any = manager._hub._loops.get(asyncio.get_running_loop())
    return not tasks and (room is None or not (room._lines or room._ears)) and not await _hearing(client)


@pytest.mark.parametrize("kind", ["one", "all"])
async def test_leaving_the_block_frees_everything(manager: SessionManager, client: Redis, kind: str) -> None:
    """Its connection, its task, its place among those who wait."""
    follower: Any = manager.follow(SESSION) if kind == "one" else manager.follow_all()
    async with follower as events:
        await anext(events)
        await until(lambda: _hearing(client))
    await until(lambda: _is_free(manager, client))


@pytest.mark.parametrize("kind", ["one", "all"])
async def test_being_cancelled_frees_everything(manager: SessionManager, client: Redis, kind: str) -> None:
    """At whatever point: while it enters, reads, or waits."""
    for turns in range(25):
        follower: Any = manager.follow(SESSION) if kind == "one" else manager.follow_all()
        noted = Noted[RecordedEvent](follower)
        task = asyncio.create_task(noted._iterate())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    await until(lambda: _is_free(manager, client))


async def test_a_cancelled_step_loses_nothing(manager: SessionManager) -> None:
    """Asking again gives the next event."""
    async with manager.follow(SESSION) as events:
        await anext(events)
        for version in range(2, 60):
            asking = asyncio.ensure_future(anext(events))
            for _ in range(version % 7):
                await asyncio.sleep(0)
            appending = asyncio.ensure_future(manager.append(SESSION, NoteAdded(text="x")))
            for _ in range(version % 11):
                await asyncio.sleep(0)
            asking.cancel()
            given = (await asyncio.gather(asking, return_exceptions=True))[0]
            await appending
            if isinstance(given, BaseException):
                given = await anext(events)
            assert given.version == version


async def test_a_cancelled_reader_leaves_the_others_their_reply(manager: SessionManager) -> None:
    """Followers of one session share their reads."""
    for _ in range(20):
        async with contextlib.AsyncExitStack() as stack:
            followers = [await stack.enter_async_context(manager.follow(SESSION, after="now")) for _ in range(5)]
            asking = [asyncio.ensure_future(anext(one)) for one in followers]
            await asyncio.sleep(0)
            appended = await manager.append(SESSION, NoteAdded(text="x"))
            asking[0].cancel()
            found = await asyncio.gather(*asking[1:])
            assert {event.offset for event in found} == {appended.offset}
            await asyncio.gather(asking[0], return_exceptions=True)


async def test_a_task_that_waits_ends_when_another_leaves_the_block(manager: SessionManager) -> None:
    """Its iteration is over."""
    async with manager.follow(SESSION, after="now") as events:
        asking = asyncio.ensure_future(anext(events))
        await events.caught_up
    with pytest.raises(StopAsyncIteration):
        await asking


async def test_closing_the_manager_ends_those_who_wait(open_manager: Open, manager: SessionManager) -> None:
    """By an error: nothing more can come."""
    other = open_manager()
    async with Noted[RecordedEvent](other.follow(SESSION)) as noted:
        await noted.has(1)
        assert await noted.events.caught_up
        await other.aclose()
        await asyncio.wait({noted.task})
        assert isinstance(noted.task.exception(), ConnectionError)


async def test_a_thousand_followers_share_one_connection_and_ask_nothing(
    manager: SessionManager, client: Redis
) -> None:
    """Each of a session of its own: beside the manager's is one to a node, and while nothing happens no command."""
    ids = [f"f{number}" for number in range(1_000)]
    await asyncio.gather(*(manager.create_session("user_1", "agent_1", session_id=one) for one in ids))
    connections = len(await client.client_list())
    async with contextlib.AsyncExitStack() as stack:
        noted = [Noted[RecordedEvent](manager.follow(one)) for one in ids]
        await asyncio.gather(*(stack.enter_async_context(one) for one in noted))
        await asyncio.gather(*(one.events.caught_up for one in noted))
        assert len(await client.client_list()) == connections + len(await lanes_of(manager.store))
        await until(lambda: _is_quiet(client))
        await client.config_resetstat()
        await asyncio.sleep(0.5)
        assert set(await client.info("commandstats")) <= {"cmdstat_config|resetstat", "cmdstat_info"}
        await asyncio.gather(*(manager.append(one, NoteAdded(text="x")) for one in ids))
        await asyncio.gather(*(one.has(2) for one in noted))
    await until(lambda: _is_free(manager, client))


async def _is_quiet(client: Redis) -> bool:
    await client.config_resetstat()
    await asyncio.sleep(0.1)
    return set(await client.info("commandstats")) <= {"cmdstat_config|resetstat", "cmdstat_info"}


def test_a_loop_that_ends_leaves_no_warning(server: Server, namespace: str) -> None:
    """Though neither the block was left nor the manager closed."""

    async def follow() -> None:
        manager = SessionManager(url=server.unix_url, namespace=namespace)
        await manager.create_session("user_1", "agent_1", session_id=SESSION)
        for follower in (manager.follow(SESSION), manager.follow_all()):
            await follower.__aenter__()
            await anext(follower)  # type: ignore[call-overload]
            tasks.append(asyncio.ensure_future(anext(follower)))  # type: ignore[call-overload]
        await asyncio.sleep(0.05)

    tasks: list[asyncio.Future[Any]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asyncio.run(follow())
        tasks.clear()
        gc.collect()
