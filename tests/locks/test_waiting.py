"""Who waits for a lock is woken by its release, or when its lease runs out; nobody polls, and nobody waits for ever.

G16.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream.errors import LockTimeout, SessionEnded
from sessionstream.events.lifecycle import SessionCreated, SessionDeleted
from sessionstream.locks import Lock, Locks
from sessionstream.log.store import Store
from sessionstream.settings import Settings
from sessionstream.wire.connect import Dialer
from sessionstream.wire.server import Server as Wire
from tests.locks.conftest import MakeStore
from tests.servers import Server
from tests.sessions.waiting import until

LONG = 30.0


async def subscribers(client: Redis, store: Store, session_id: str) -> int:
    """How many connections hear of the session's releases."""
    [(_, count)] = await client.pubsub_shardnumsub(store.keys.unlocked(session_id))
    return int(count)


async def scripts_run(client: Redis) -> int:
    """How many scripts the server was asked to run by their hash since it started."""
    stats: dict[str, Any] = await client.info("commandstats")
    return int(stats.get("cmdstat_evalsha", {"calls": 0})["calls"])


async def settled(client: Redis, store: Store, session_id: str, before: int) -> None:
    """Return when one waiter has done all it does before it sleeps: a try, the subscription, the decisive try."""

    async def done() -> bool:
        return await subscribers(client, store, session_id) == 1 and await scripts_run(client) == before + 2

    await until(done)


async def test_a_release_wakes_who_waits(
    client: Redis, store: Store, locks: Locks, others: Locks, session_id: str
) -> None:
    """The waiter has the lock at once, long before the lease would have run out."""
    lock = await locks.acquire(session_id, lease=LONG)
    before = await scripts_run(client)
    waiter = asyncio.create_task(others.acquire(session_id, lease=LONG))
    await settled(client, store, session_id, before)
    released = time.monotonic()
    await locks.release(session_id, lock)
    successor = await waiter
    assert time.monotonic() - released < 1
    assert successor.token == lock.token + 1


async def test_a_waiter_in_the_same_process_is_woken_too(locks: Locks, session_id: str) -> None:
    """Two tasks of one process exclude each other like two processes."""
    lock = await locks.acquire(session_id, lease=LONG)
    waiter = asyncio.create_task(locks.acquire(session_id, lease=LONG))
    await asyncio.sleep(0)
    await locks.release(session_id, lock)
    assert (await waiter).token == lock.token + 1


async def test_a_second_of_waiting_costs_no_command(
    client: Redis, store: Store, locks: Locks, others: Locks, session_id: str
) -> None:
    """While a waiter sleeps the server is asked nothing at all."""
    lock = await locks.acquire(session_id, lease=LONG)
    before = await scripts_run(client)
    waiter = asyncio.create_task(others.acquire(session_id))
    await settled(client, store, session_id, before)
    await client.config_resetstat()
    second_from_now = time.monotonic() + 1
    await until(lambda: time.monotonic() > second_from_now)
    commands = set(await client.info("commandstats")) - {"cmdstat_info", "cmdstat_config|resetstat"}
    assert commands == set()
    await locks.release(session_id, lock)
    await waiter


async def test_a_release_wakes_one_of_a_processs_waiters(client: Redis, locks: Locks, session_id: str) -> None:
    """However many tasks wait, each acquisition costs the server a few scripts, not one for every waiter."""
    order: list[int] = []

    async def wait(number: int) -> None:
        async with locks.hold(session_id, lease=LONG):
            order.append(number)

    async with locks.hold(session_id, lease=LONG):
        waiters = [asyncio.create_task(wait(number)) for number in range(30)]
        await asyncio.sleep(0)
        before = await scripts_run(client)
    await asyncio.gather(*waiters)
    assert order == list(range(30))
    assert await scripts_run(client) - before <= 30 * 4


async def test_waiters_share_one_connection_which_is_closed_after_the_last(
    client: Redis, store: Store, locks: Locks, session_id: str
) -> None:
    """It is open only while somebody waits, and no task is left behind."""
    before = asyncio.all_tasks()
    lock = await locks.acquire(session_id, lease=LONG)
    during = asyncio.all_tasks()
    waiters = [asyncio.create_task(locks.acquire(session_id, lease=LONG)) for _ in range(5)]
    await until(lambda: subscribers(client, store, session_id))
    assert len(await client.client_list(_type="pubsub")) == 1
    for waiter in waiters:
        waiter.cancel()
    await asyncio.gather(*waiters, return_exceptions=True)
    await until(lambda: _nobody_listens(client))
    await until(lambda: asyncio.all_tasks() <= during)
    await locks.release(session_id, lock)
    await until(lambda: asyncio.all_tasks() <= before)


async def _nobody_listens(client: Redis) -> bool:
    return await client.client_list(_type="pubsub") == []


async def test_the_connection_is_left_by_who_has_the_lock(
    client: Redis, store: Store, locks: Locks, others: Locks, session_id: str
) -> None:
    """A holder that had to wait listens no longer; others on the same connection go on hearing."""
    lock = await locks.acquire(session_id, lease=LONG)
    waiter = asyncio.create_task(others.acquire(session_id, lease=LONG))
    await until(lambda: subscribers(client, store, session_id))
    await locks.release(session_id, lock)
    await waiter
    await until(lambda: _nobody_listens(client))


async def test_a_session_nobody_waits_for_any_more_is_no_longer_heard(
    client: Redis, store: Store, locks: Locks, others: Locks, session_id: str
) -> None:
    """While others of the process wait for another session, its channel is left and theirs is kept."""
    await store.append("sess_2", [SessionCreated(user_id="user_1", agent_id="agent_1")])
    async with others.hold(session_id, lease=LONG), others.hold("sess_2", lease=LONG):
        first = asyncio.create_task(locks.acquire(session_id, lease=LONG))
        second = asyncio.create_task(locks.acquire("sess_2", lease=LONG))
        await until(lambda: subscribers(client, store, session_id))
        await until(lambda: subscribers(client, store, "sess_2"))
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await until(lambda: _unheard(client, store, session_id))
        assert await subscribers(client, store, "sess_2") == 1
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)


async def _unheard(client: Redis, store: Store, session_id: str) -> bool:
    return await subscribers(client, store, session_id) == 0


async def test_waiting_is_bounded(locks: Locks, others: Locks, session_id: str) -> None:
    """Past the timeout the waiter has a `LockTimeout`, which is a `TimeoutError`, and the holder its lock."""
    lock = await locks.acquire(session_id, lease=LONG)
    started = time.monotonic()
    with pytest.raises(LockTimeout) as late:
        await others.acquire(session_id, timeout=0.2)
    assert 0.2 <= time.monotonic() - started < 2
    assert isinstance(late.value, TimeoutError)
    assert late.value.session_id == session_id
    assert await locks.release(session_id, lock)


async def test_waiting_behind_a_waiter_of_the_same_process_is_bounded(locks: Locks, session_id: str) -> None:
    """Who stands second in the queue waits no longer than it was told to."""
    async with locks.hold(session_id, lease=LONG):
        first = asyncio.create_task(locks.acquire(session_id))
        await asyncio.sleep(0)
        with pytest.raises(LockTimeout):
            await asyncio.create_task(locks.acquire(session_id, timeout=0.1))
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)


async def test_no_time_to_wait_is_one_try(client: Redis, locks: Locks, others: Locks, session_id: str) -> None:
    """With a timeout of 0 a free lock is acquired, and one that is held refused, without listening."""
    async with others.hold(session_id, timeout=0):
        before = await client.info("stats")
        with pytest.raises(LockTimeout):
            await locks.acquire(session_id, timeout=0)
        after = await client.info("stats")
    opened = after["total_connections_received"] - before["total_connections_received"]
    assert opened == 0


async def test_a_lease_that_runs_out_wakes_who_waits(locks: Locks, others: Locks, session_id: str) -> None:
    """Nobody releases the lock of a task that ended; the refusal told when its lease would end."""

    async def forgetful() -> Lock:
        return await locks.acquire(session_id, lease=0.3)

    abandoned = await asyncio.create_task(forgetful())
    successor = await others.acquire(session_id, timeout=20)
    assert successor.token == abandoned.token + 1


async def test_a_broken_connection_is_made_again(
    client: Redis, store: Store, locks: Locks, others: Locks, session_id: str
) -> None:
    """A waiter whose connection was cut is woken by the release all the same."""
    lock = await locks.acquire(session_id, lease=LONG)
    waiter = asyncio.create_task(others.acquire(session_id, timeout=LONG))
    for _ in range(3):
        await until(lambda: subscribers(client, store, session_id))
        [listener] = await client.client_list(_type="pubsub")
        await client.client_kill_filter(_id=listener["id"])
        await until(partial(_gone, client, listener["id"]))
    started = time.monotonic()
    await locks.release(session_id, lock)
    await waiter
    assert time.monotonic() - started < 5


async def _gone(client: Redis, number: str) -> bool:
    return number not in [one["id"] for one in await client.client_list()]


@pytest.mark.not_on("cluster", reason="it ends the connections and frees the lock in one transaction of one server")
async def test_a_release_that_was_not_heard_is_noticed_after_the_reconnection(
    client: Redis, store: Store, locks: Locks, others: Locks, session_id: str
) -> None:
    """What is released while nothing is heard is found as soon as something is."""
    lock = await locks.acquire(session_id, lease=LONG)
    waiter = asyncio.create_task(others.acquire(session_id, timeout=LONG))
    await until(lambda: subscribers(client, store, session_id))
    started = time.monotonic()
    async with client.pipeline(transaction=True) as both:
        both.client_kill_filter(_type="pubsub")
        both.hset(store.keys.head(session_id), mapping={"lock_holder": "", "lock_until": 0})
        await both.execute()
    assert (await waiter).token == lock.token + 1
    assert time.monotonic() - started < 5


async def test_a_session_that_ends_while_somebody_waits(
    client: Redis, store: Store, locks: Locks, others: Locks, session_id: str
) -> None:
    """The waiter hears it from the next answer, not from its timeout."""
    async with locks.hold(session_id, lease=LONG):
        waiter = asyncio.create_task(others.acquire(session_id, timeout=LONG))
        await until(lambda: subscribers(client, store, session_id))
        await store.append(session_id, [SessionDeleted(user_id="user_1", agent_id="agent_1", created_ms=1)])
    with pytest.raises(SessionEnded):
        await waiter


def test_every_event_loop_has_waiters_of_its_own(make_server: Callable[..., Server]) -> None:
    """One object serves one event loop after the other, and what it did in the first does not matter in the second."""
    store = Store(Wire(Dialer.from_url(make_server().url).dial), Settings())
    locks = Locks(store)

    async def contend() -> int:
        async with locks.hold("s", lease=LONG) as lock:
            waiter = asyncio.create_task(locks.acquire("s", lease=0.1))
            await asyncio.sleep(0)
        await waiter
        return lock.token

    async def create() -> None:
        await store.append("s", [SessionCreated(user_id="user_1", agent_id="agent_1")])

    asyncio.run(create())
    assert [asyncio.run(contend()) for _ in range(3)] == [1, 3, 5]


async def test_two_stores_of_a_namespace_take_turns(make_store: MakeStore, locks: Locks, session_id: str) -> None:
    """However they are distributed over tasks and connections, no two tasks are inside at once."""
    inside = 0
    most = 0

    async def work(mine: Locks) -> None:
        nonlocal inside, most
        for _ in range(5):
            async with mine.hold(session_id, lease=LONG, timeout=LONG):
                inside += 1
                most = max(most, inside)
                await mine.locked([session_id])
                inside -= 1

    await asyncio.gather(*(work(mine) for mine in (locks, Locks(make_store())) for _ in range(8)))
    assert most == 1
