"""Who is cancelled while it acquires or releases leaves the lock free, whatever was under way (G16)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from redis.asyncio import Redis

from sessionstream import SessionManager
from sessionstream.locks import Locks
from sessionstream.log.store import Store
from sessionstream.settings import Settings
from sessionstream.wire.connect import Dialer
from sessionstream.wire.server import Server as Wire
from tests.servers import Server
from tests.sessions.waiting import until

LONG = 60.0


async def turns(count: int) -> None:
    """Let the event loop turn so many times."""
    for _ in range(count):
        await asyncio.sleep(0)


async def free(locks: Locks, session_id: str) -> bool:
    """Whether nobody holds the lock."""
    return await locks.locked([session_id]) == [False]


async def cancelled(task: asyncio.Task[object]) -> None:
    """Cancel a task, and wait for its end."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def stay_inside(locks: Locks, session_id: str) -> None:
    """Hold the lock until cancelled."""
    async with locks.hold(session_id, lease=LONG, timeout=LONG):
        await asyncio.Event().wait()


@pytest.mark.parametrize("before", [*range(12), 16, 24, 40, 80])
async def test_a_cancelled_acquisition_leaves_the_lock_free(
    locks: Locks, others: Locks, session_id: str, before: int
) -> None:
    """Whether the call was not yet sent, was under way, or was answered."""
    task = asyncio.create_task(stay_inside(locks, session_id))
    await turns(before)
    await cancelled(task)
    await until(lambda: free(others, session_id))
    async with others.hold(session_id, timeout=0):
        pass


@pytest.mark.parametrize("before", [*range(12), 16, 24, 40, 80, 160])
async def test_a_cancelled_waiter_leaves_nothing_behind(
    client: Redis, locks: Locks, others: Locks, session_id: str, before: int
) -> None:
    """Whether it was asking, connecting, subscribing or asleep; its successor has the lock."""
    tasks = asyncio.all_tasks()
    async with others.hold(session_id, lease=LONG):
        task = asyncio.create_task(stay_inside(locks, session_id))
        await turns(before)
        await cancelled(task)
    assert await free(others, session_id)
    await until(lambda: asyncio.all_tasks() <= tasks)
    assert await client.client_list(_type="pubsub") == []


@pytest.mark.parametrize("before", range(10))
async def test_a_waiter_that_is_cancelled_as_it_is_woken_leaves_the_lock_free(
    client: Redis, locks: Locks, others: Locks, session_id: str, before: int
) -> None:
    """The release and the cancellation meet; the next in the queue of the process has the lock."""
    async with others.hold(session_id, lease=LONG):
        first = asyncio.create_task(stay_inside(locks, session_id))
        await until(lambda: client.client_list(_type="pubsub"))
        second = asyncio.create_task(locks.acquire(session_id, lease=LONG, timeout=LONG))
        await asyncio.sleep(0)
    await turns(before)
    await cancelled(first)
    assert (await second).session_id == session_id


@pytest.mark.parametrize("before", range(6))
async def test_a_release_that_is_cancelled_releases_all_the_same(
    locks: Locks, others: Locks, session_id: str, before: int
) -> None:
    """Cancelled once more at the end of its block, the task still frees the lock."""
    task = asyncio.create_task(stay_inside(locks, session_id))
    await until(lambda: locks.locked([session_id]))
    await until(lambda: _held(others, session_id))
    task.cancel()
    await turns(1 + before)
    await cancelled(task)
    await until(lambda: free(others, session_id))


@pytest.mark.parametrize("before", range(6))
async def test_a_release_that_is_cancelled_releases_also_where_its_script_is_unknown(
    client: Redis, locks: Locks, others: Locks, session_id: str, before: int
) -> None:
    """As on a node of a Cluster that has released no lock yet: then the release takes a second message."""
    task = asyncio.create_task(stay_inside(locks, session_id))
    await until(lambda: _held(others, session_id))
    await client.script_flush()
    task.cancel()
    await turns(1 + before)
    await cancelled(task)
    await until(lambda: free(others, session_id))


async def _held(locks: Locks, session_id: str) -> bool:
    return not await free(locks, session_id)


async def test_a_timeout_of_the_callers_own_leaves_the_lock_free(locks: Locks, others: Locks, session_id: str) -> None:
    """`asyncio.timeout` around the acquisition ends it as a cancellation does."""
    async with others.hold(session_id, lease=LONG):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await locks.acquire(session_id, lease=LONG, timeout=LONG)
    assert await free(others, session_id)


async def test_a_cancelled_acquisition_that_the_server_carries_out_later_is_given_back(
    make_server: Callable[..., Server],
) -> None:
    """The server was paused: it finds the acquisition, and behind it the release; the caller did not wait for it."""
    server = make_server()
    store = Store(Wire(Dialer.from_url(server.url).dial), Settings())
    locks = Locks(store)
    async with SessionManager(url=server.url) as manager:
        session_id = (await manager.create_session("user_1", "agent_1")).session_id
        async with locks.hold(session_id):
            pass  # so that the server has the scripts
        server.pause()
        task = asyncio.create_task(locks.acquire(session_id, lease=LONG))
        await turns(5)
        loop = asyncio.get_running_loop()
        started = loop.time()
        await cancelled(task)
        assert loop.time() - started < 2
        server.resume()

        async def was_held_and_is_free() -> bool:
            head, _ = await manager.store.head(session_id)
            return head[b"token"] == b"2" and await free(locks, session_id)

        await until(was_held_and_is_free)
        await locks.aclose()
        await store.aclose()


async def test_a_close_waits_for_what_is_given_back(make_server: Callable[..., Server]) -> None:
    """What a cancelled acquisition may have taken is free when the locks are closed, and no connection is left."""
    server = make_server()
    store = Store(Wire(Dialer.from_url(server.url).dial), Settings())
    locks = Locks(store)
    async with SessionManager(url=server.url) as manager:
        session_id = (await manager.create_session("user_1", "agent_1")).session_id
        async with locks.hold(session_id):
            pass  # so that the server has the scripts
        server.pause()
        task = asyncio.create_task(locks.acquire(session_id, lease=LONG))
        await turns(5)
        await cancelled(task)
        closing = asyncio.create_task(locks.aclose())
        await turns(3)
        assert not closing.done()
        server.resume()
        await closing
        await store.aclose()
        head, _ = await manager.store.head(session_id)
        assert (head[b"token"], head[b"lock_holder"]) == (b"2", b"")
