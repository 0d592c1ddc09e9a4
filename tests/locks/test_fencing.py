"""The holder's task carries its token to every write, and a token that is not the last one is refused (G16)."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from sessionstream.errors import LockLost
from sessionstream.events.lifecycle import SessionCreated
from sessionstream.events.runtime import NoteAdded
from sessionstream.locks import Locks
from sessionstream.log.fencing import token_for
from sessionstream.log.store import Store
from tests.locks.conftest import MakeStore, Texts

pytestmark = pytest.mark.guarantee


async def took_over(client: Redis, store: Store, others: Locks, session_id: str) -> None:
    """Let somebody else have had the lock, as after a lease that ran out."""

    async def successor() -> None:
        await client.hset(store.keys.head(session_id), "lock_until", 0)
        async with others.hold(session_id, timeout=0):
            pass

    await asyncio.create_task(successor())


async def test_the_holder_writes(store: Store, locks: Locks, session_id: str, notes: Texts) -> None:
    """A write under a lock that is held is appended."""
    async with locks.hold(session_id):
        await store.append(session_id, [NoteAdded(text="mine")])
    assert await notes() == ['{"text":"mine"}']


async def test_a_late_holder_writes_nothing(
    client: Redis, store: Store, locks: Locks, others: Locks, session_id: str, notes: Texts
) -> None:
    """Once somebody else has had the lock, the write is refused and nothing of it is kept."""
    with pytest.raises(LockLost):
        async with locks.hold(session_id):
            await took_over(client, store, others, session_id)
            await store.append(session_id, [NoteAdded(text="one"), NoteAdded(text="two")])
    assert await notes() == []


async def test_a_lease_that_only_ran_out_refuses_nothing(
    client: Redis, store: Store, locks: Locks, session_id: str, notes: Texts
) -> None:
    """The token is still the last one: nobody else was inside."""
    async with locks.hold(session_id):
        await client.hset(store.keys.head(session_id), "lock_until", 0)
        await store.append(session_id, [NoteAdded(text="mine")])
    assert len(await notes()) == 1


async def test_after_its_release_a_task_writes_as_it_likes(
    store: Store, locks: Locks, others: Locks, session_id: str, notes: Texts
) -> None:
    """The token is no longer carried, so a later holder does not stand in the way."""
    async with locks.hold(session_id):
        pass
    assert token_for(store.fence(session_id)) is None
    other = await asyncio.create_task(others.acquire(session_id))
    await store.append(session_id, [NoteAdded(text="mine")])
    await others.release(session_id, other)
    assert len(await notes()) == 1


async def test_after_a_lost_lock_a_task_writes_as_it_likes(
    client: Redis, store: Store, locks: Locks, others: Locks, session_id: str, notes: Texts
) -> None:
    """The token is dropped whatever came of the release."""
    with pytest.raises(LockLost):
        async with locks.hold(session_id):
            await took_over(client, store, others, session_id)
    await store.append(session_id, [NoteAdded(text="mine")])
    assert len(await notes()) == 1


async def test_a_child_task_is_fenced_as_its_parent(
    client: Redis, store: Store, locks: Locks, others: Locks, session_id: str, notes: Texts
) -> None:
    """What the holder gathers writes under the holder's lock, and is refused with it."""
    async with locks.hold(session_id):
        await asyncio.gather(*(store.append(session_id, [NoteAdded(text=text)]) for text in "ab"))
    with pytest.raises(LockLost):
        async with locks.hold(session_id):
            await took_over(client, store, others, session_id)
            await asyncio.gather(store.append(session_id, [NoteAdded(text="c")]))
    assert len(await notes()) == 2


async def test_a_task_without_the_lock_is_not_fenced(store: Store, locks: Locks, session_id: str, notes: Texts) -> None:
    """A task that was there before the lock carries no token: to it the lock is advice."""
    go = asyncio.Event()

    async def bystander() -> None:
        await go.wait()
        assert token_for(store.fence(session_id)) is None
        await store.append(session_id, [NoteAdded(text="anyway")])

    task = asyncio.create_task(bystander())
    await asyncio.sleep(0)
    async with locks.hold(session_id):
        go.set()
        await task
    assert len(await notes()) == 1


async def test_the_token_fences_one_session(
    client: Redis, store: Store, locks: Locks, others: Locks, session_id: str
) -> None:
    """A lost lock of one session leaves the writes to another session alone."""
    await store.append("sess_2", [SessionCreated(user_id="user_1", agent_id="agent_1")])
    with pytest.raises(LockLost):
        async with locks.hold(session_id):
            await took_over(client, store, others, session_id)
            await store.append("sess_2", [NoteAdded(text="elsewhere")])
    assert await client.xlen(store.keys.events("sess_2")) == 2


async def test_a_token_is_of_one_store(make_store: MakeStore, locks: Locks, session_id: str) -> None:
    """Another store in the same task has tokens of its own."""
    async with locks.hold(session_id):
        assert token_for(make_store().fence(session_id)) is None


async def test_a_write_that_waited_for_its_turn_is_fenced_all_the_same(
    client: Redis, store: Store, locks: Locks, others: Locks, session_id: str, notes: Texts
) -> None:
    """It carries the token that its task had when it asked for the write."""
    writes = []
    with pytest.raises(LockLost):
        async with locks.hold(session_id):
            await took_over(client, store, others, session_id)
            writes = [asyncio.ensure_future(store.append(session_id, [NoteAdded(text=str(n))])) for n in range(5)]
            await asyncio.sleep(0)
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [LockLost] * 5
    assert await notes() == []
