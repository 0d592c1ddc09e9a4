"""The holder is a task: it may not ask twice, and other tasks wait, its children too (G16)."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from sessionstream.errors import LockReentered, LockTimeout
from sessionstream.locks import Locks
from sessionstream.log.fencing import token_for
from sessionstream.log.store import Store


async def test_asking_twice_in_one_task_is_an_error_at_once(locks: Locks, session_id: str) -> None:
    """It would wait for itself; the lock that it has is untouched."""
    async with locks.hold(session_id, lease=30) as lock:
        async with asyncio.timeout(5):
            with pytest.raises(LockReentered):
                await locks.acquire(session_id, timeout=60)
        assert await locks.locked([session_id]) == [True]
        assert not lock.lost


async def test_after_the_release_a_task_may_ask_again(locks: Locks, session_id: str) -> None:
    """Only a lock that is held is entered anew."""
    for _ in range(3):
        async with locks.hold(session_id, timeout=0):
            pass


async def test_after_a_refusal_a_task_may_ask_again(locks: Locks, others: Locks, session_id: str) -> None:
    """A task whose wait was in vain holds nothing."""
    async with others.hold(session_id):
        with pytest.raises(LockTimeout):
            await locks.acquire(session_id, timeout=0)
    async with locks.hold(session_id, timeout=0):
        pass


async def test_a_child_waits_as_any_other_task(locks: Locks, session_id: str) -> None:
    """It inherits the token, not the lock: it has its own turn after its parent's release."""
    async with locks.hold(session_id, lease=30) as lock:
        with pytest.raises(LockTimeout):
            await asyncio.create_task(locks.acquire(session_id, timeout=0.05))
        child = asyncio.create_task(locks.acquire(session_id))
        await asyncio.sleep(0)
    assert (await child).token == lock.token + 1


async def test_a_childs_own_lock_takes_the_place_of_the_inherited_token(
    store: Store, locks: Locks, session_id: str
) -> None:
    """What a child writes under its own lock carries its own token, and nothing after it."""
    tokens: list[int | None] = []
    fence = store.fence(session_id)

    async def child() -> None:
        tokens.append(token_for(fence))
        async with locks.hold(session_id):
            tokens.append(token_for(fence))
        tokens.append(token_for(fence))

    async with locks.hold(session_id) as lock:
        task = asyncio.create_task(child())
        await asyncio.sleep(0)
    await task
    assert tokens == [lock.token, lock.token + 1, None]


async def test_a_task_that_lost_its_lock_may_ask_again(
    client: Redis, store: Store, locks: Locks, others: Locks, session_id: str
) -> None:
    """It waits for its successor, and then holds the lock anew; the old lock stays lost."""
    lock = await locks.acquire(session_id, lease=0.1, max_hold=0)
    successor = await asyncio.create_task(others.acquire(session_id, lease=30))
    with pytest.raises(LockTimeout):
        await locks.acquire(session_id, timeout=0)
    await others.release(session_id, successor)
    again = await locks.acquire(session_id, timeout=0)
    assert lock.lost
    assert token_for(store.fence(session_id)) == again.token == lock.token + 2
    await locks.release(session_id, again)
