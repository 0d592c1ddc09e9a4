"""A lock is released by its holder only, and what a block under it raises is never hidden (G16)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis

from sessionstream import SessionManager
from sessionstream.errors import InvalidArgument, InvalidType, LockLost, LockNotHeld, Unavailable
from sessionstream.locks import Lock, Locks
from sessionstream.log.store import Store
from sessionstream.settings import Settings
from sessionstream.wire.connect import Dialer
from sessionstream.wire.server import Server as Wire
from tests.servers import Server
from tests.sessions.waiting import until

Head = Callable[[], Awaitable[dict[bytes, bytes]]]


@pytest.fixture
def taken(client: Redis, store: Store, others: Locks, session_id: str) -> Callable[[], Awaitable[Lock]]:
    """Let somebody else have the lock, as after a lease that ran out."""

    async def take() -> Lock:
        await client.hset(store.keys.head(session_id), "lock_until", 0)
        return await others.acquire(session_id, timeout=0)

    return take


Taken = Callable[[], Awaitable[Lock]]


async def test_a_release_frees_the_lock(locks: Locks, others: Locks, session_id: str) -> None:
    """Somebody else can have it at once."""
    lock = await locks.acquire(session_id)
    assert not lock.released
    assert await locks.release(session_id, lock) is True
    assert lock.released
    assert not lock.lost
    async with others.hold(session_id, timeout=0):
        pass


async def test_a_lock_is_released_once(locks: Locks, session_id: str) -> None:
    """A second release is an error, whoever holds the lock by then."""
    lock = await locks.acquire(session_id)
    await locks.release(session_id, lock)
    with pytest.raises(LockNotHeld):
        await locks.release(session_id, lock)
    async with locks.hold(session_id):
        with pytest.raises(LockNotHeld):
            await locks.release(session_id, lock)
        assert await locks.locked([session_id]) == [True]


async def test_a_lock_that_went_to_somebody_else_stays_theirs(
    locks: Locks, others: Locks, session_id: str, taken: Taken, head: Head
) -> None:
    """Its former holder's release is refused, and frees nothing."""
    lock = await locks.acquire(session_id)
    successor = await taken()
    with pytest.raises(LockLost):
        await locks.release(session_id, lock)
    assert lock.lost
    assert not lock.released
    assert (await head())[b"lock_holder"] == successor.holder.encode()
    assert await others.release(session_id, successor)


async def test_a_lease_that_ran_out_and_went_to_nobody_is_released_without_a_complaint(
    client: Redis, store: Store, locks: Locks, session_id: str
) -> None:
    """Nobody was inside in between, so everything that was done under it holds."""
    lock = await locks.acquire(session_id)
    await client.hset(store.keys.head(session_id), "lock_until", 0)
    assert await locks.release(session_id, lock)


async def test_a_lock_is_of_one_session(store: Store, locks: Locks, session_id: str) -> None:
    """It does not release another session's."""
    async with locks.hold(session_id) as lock:
        with pytest.raises(InvalidArgument):
            await locks.release("sess_2", lock)
        assert await locks.locked([session_id]) == [True]


async def test_only_a_lock_is_released(locks: Locks, session_id: str) -> None:
    """A holder's id or anything else that is no `Lock` is refused."""
    async with locks.hold(session_id) as lock:
        with pytest.raises(InvalidType):
            await locks.release(session_id, lock.holder)  # type: ignore[arg-type]


async def test_another_task_may_release(locks: Locks, others: Locks, session_id: str) -> None:
    """Who was given the lock is its holder, in whatever task."""
    lock = await locks.acquire(session_id)
    assert await asyncio.create_task(locks.release(session_id, lock))
    assert await others.locked([session_id]) == [False]


async def test_a_lock_outlives_its_task_for_who_was_given_it(locks: Locks, session_id: str) -> None:
    """Its lease runs on after the end of the task that acquired it, and can still be released."""
    lock = await asyncio.create_task(locks.acquire(session_id))
    assert await locks.release(session_id, lock)
    assert await locks.locked([session_id]) == [False]


async def test_the_lock_of_a_removed_session_is_released_as_any_other(client: Redis, namespace: str) -> None:
    """A session may be removed without a trace under its own lock."""
    async with SessionManager(client, namespace=namespace) as manager:
        session = await manager.create_session("user_1", "agent_1")
        async with manager.lock(session.session_id):
            await manager.delete_session(session.session_id, purge=True)
        assert await client.keys(f"{namespace}:*head*") == []


async def test_a_block_that_raises_keeps_its_exception(locks: Locks, session_id: str) -> None:
    """The lock is released, and the exception passes as it is."""
    with pytest.raises(ZeroDivisionError):
        async with locks.hold(session_id):
            raise ZeroDivisionError
    assert await locks.locked([session_id]) == [False]


async def test_a_block_that_raises_under_a_lost_lock_keeps_its_exception(
    locks: Locks, session_id: str, taken: Taken
) -> None:
    """That the lock was lost does not take the exception's place."""
    with pytest.raises(ZeroDivisionError):
        async with locks.hold(session_id):
            await taken()
            raise ZeroDivisionError


async def test_a_block_that_is_cancelled_releases(locks: Locks, session_id: str) -> None:
    """The task ends as cancelled, and the lock is free."""
    inside = asyncio.Event()

    async def stay() -> None:
        async with locks.hold(session_id, lease=30):
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(stay())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await locks.locked([session_id]) == [False]


async def test_a_block_that_succeeds_under_a_lost_lock_is_told(locks: Locks, session_id: str, taken: Taken) -> None:
    """Its caller must know that somebody else was inside."""
    with pytest.raises(LockLost):
        async with locks.hold(session_id):
            await taken()


async def test_a_block_inside_an_exceptions_handler_is_told_too(locks: Locks, session_id: str, taken: Taken) -> None:
    """An exception that is being handled around the block is not the block's."""
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        with pytest.raises(LockLost):
            async with locks.hold(session_id):
                await taken()


async def test_a_release_in_a_finally_hides_nothing(locks: Locks, session_id: str, taken: Taken) -> None:
    """The document's own form: what passes through the ``finally`` goes on, though the lock was lost."""
    lock = await locks.acquire(session_id)
    with pytest.raises(ZeroDivisionError):
        try:
            await taken()
            raise ZeroDivisionError
        finally:
            assert await locks.release(session_id, lock) is False


async def test_a_release_that_did_not_reach_the_server_can_be_made_again(make_server: Callable[..., Server]) -> None:
    """The lock counts as held until the server has said otherwise."""
    server = make_server()
    wire = Wire(Dialer.from_url(server.url).dial)
    async with SessionManager(url=server.url) as manager:
        session_id = (await manager.create_session("user_1", "agent_1")).session_id
        locks = Locks(Store(wire, Settings()))
        lock = await locks.acquire(session_id, lease=60)
        server.kill()
        await until(lambda: wire.open_lane() is None)
        patience, wire.deadline = wire.deadline, 0.3
        with pytest.raises(Unavailable):
            await locks.release(session_id, lock)
        assert not lock.released
        wire.deadline = patience
        server.start()
        assert await locks.release(session_id, lock)
        assert await locks.locked([session_id]) == [False]
        await wire.aclose()
