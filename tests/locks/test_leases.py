"""A lock is a lease in the session's head: how it begins, goes on and ends, by the server's clock (G16)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis

from sessionstream.errors import InvalidArgument, InvalidType, NamespaceMismatch, SessionEnded, SessionNotFound
from sessionstream.events.lifecycle import SessionCreated, SessionDeleted, StateChanged
from sessionstream.locks import Locks
from sessionstream.log.store import Store
from sessionstream.settings import Settings
from sessionstream.wire.scripts import load_script
from tests.sessions.waiting import until

Head = Callable[[], Awaitable[dict[bytes, bytes]]]

LOCK_FIELDS = {b"token", b"lock_holder", b"lock_until", b"lock_released"}


async def free_again(locks: Locks, session_id: str) -> None:
    """Return when nobody's lease runs."""
    await until(lambda: _free(locks, session_id))


async def _free(locks: Locks, session_id: str) -> bool:
    return await locks.locked([session_id]) == [False]


async def test_a_lock_changes_nothing_but_its_own_fields(
    client: Redis, namespace: str, store: Store, locks: Locks, session_id: str, head: Head
) -> None:
    """No event is appended, no key comes or goes, and every other field of the head stays."""
    before, keys = await head(), set(await client.keys(f"{namespace}:*"))
    async with locks.hold(session_id):
        during = await head()
    after = await head()
    assert {field: value for field, value in during.items() if field not in LOCK_FIELDS} == before
    assert {field: value for field, value in after.items() if field not in LOCK_FIELDS} == before
    assert set(await client.keys(f"{namespace}:*")) == keys
    assert await client.xlen(store.keys.events(session_id)) == 1


async def test_the_token_only_grows(locks: Locks, others: Locks, session_id: str, head: Head) -> None:
    """Every new holder's token is greater than the one before, and it stays in the head after the release."""
    tokens = []
    for one in (locks, others, locks):
        async with one.hold(session_id) as lock:
            tokens.append(lock.token)
    assert tokens == [1, 2, 3]
    assert (await head())[b"token"] == b"3"


async def test_two_sessions_have_two_locks(store: Store, locks: Locks, session_id: str) -> None:
    """Holding one session's lock does not lock another session."""
    await store.append("sess_2", [SessionCreated(user_id="user_1", agent_id="agent_1")])
    async with locks.hold(session_id), locks.hold("sess_2", timeout=0):
        assert await locks.locked(["sess_2", session_id, "sess_unknown"]) == [True, True, False]
    assert await locks.locked([session_id, "sess_2"]) == [False, False]


async def test_nothing_is_asked_about_no_sessions(locks: Locks) -> None:
    """Of no sessions none is locked."""
    assert await locks.locked([]) == []


async def test_a_lease_runs_by_the_servers_clock(client: Redis, locks: Locks, session_id: str, head: Head) -> None:
    """The head tells when it runs out, in the server's milliseconds."""
    earliest, _ = await client.time()
    lock = await locks.acquire(session_id, lease=20)
    latest, _ = await client.time()
    assert earliest + 20 <= int((await head())[b"lock_until"]) / 1000 <= latest + 21
    await locks.release(session_id, lock)


async def test_an_unknown_session_has_no_lock(locks: Locks, client: Redis, namespace: str) -> None:
    """It is refused, and no head comes into being."""
    with pytest.raises(SessionNotFound):
        await locks.acquire("sess_unknown")
    assert await client.keys(f"{namespace}:*head*") == []


async def test_a_deleted_session_has_no_lock(store: Store, locks: Locks, session_id: str) -> None:
    """It is refused with the reason."""
    await store.append(session_id, [SessionDeleted(user_id="user_1", agent_id="agent_1", created_ms=1)])
    with pytest.raises(SessionEnded) as refused:
        await locks.acquire(session_id)
    assert refused.value.reason == "deleted"


async def test_a_lapsed_session_has_no_lock(client: Redis, store: Store, locks: Locks) -> None:
    """Its time is over, whether or not anybody has swept it."""
    await store.append("brief", [SessionCreated(user_id="user_1", agent_id="agent_1", ttl_ms=1)])
    expires_ms = int((await client.hget(store.keys.head("brief"), "expires_at")) or 0)
    await until(lambda: _past(client, expires_ms))
    with pytest.raises(SessionEnded) as refused:
        await locks.acquire("brief")
    assert refused.value.reason == "expired"


async def _past(client: Redis, ms: int) -> bool:
    seconds, microseconds = await client.time()
    return bool(seconds * 1000 + microseconds // 1000 > ms)


@pytest.mark.parametrize("state", ["idle", "archived"])
async def test_a_session_in_any_state_can_be_locked(store: Store, locks: Locks, session_id: str, state: str) -> None:
    """A session that is idle or archived lives."""
    await store.append(session_id, [StateChanged(state=state)])
    async with locks.hold(session_id):
        assert await locks.locked([session_id]) == [True]


async def test_a_session_deleted_under_its_lock_is_released_as_any_other(
    store: Store, locks: Locks, session_id: str
) -> None:
    """The holder may end the session; its lock ends with the block."""
    async with locks.hold(session_id):
        await store.append(session_id, [SessionDeleted(user_id="user_1", agent_id="agent_1", created_ms=1)])
    assert await locks.locked([session_id]) == [False]


async def test_a_lock_is_renewed_while_its_task_lives(
    client: Redis, locks: Locks, others: Locks, session_id: str, head: Head
) -> None:
    """The lease begins anew before it runs out, and the token stays."""
    lock = await locks.acquire(session_id, lease=0.5)
    first = int((await head())[b"lock_until"])

    async def renewed() -> bool:
        return int((await head())[b"lock_until"]) > first + 500

    await until(renewed)
    assert not lock.lost
    assert await others.locked([session_id]) == [True]
    assert (await head())[b"token"] == str(lock.token).encode()
    await locks.release(session_id, lock)


async def test_a_lock_is_not_renewed_past_its_longest_time(locks: Locks, others: Locks, session_id: str) -> None:
    """After ``max_hold`` the lease runs out under a task that still lives, which can see it."""
    lock = await locks.acquire(session_id, lease=0.1, max_hold=0.3)
    await free_again(others, session_id)
    await until(lambda: lock.lost)
    successor = await others.acquire(session_id, timeout=0)
    assert successor.token == lock.token + 1
    await others.release(session_id, successor)


async def test_a_lock_outlives_its_task_by_no_more_than_its_lease(locks: Locks, others: Locks, session_id: str) -> None:
    """A task that ends without a release renews no longer; its lock runs out by itself."""

    async def forgetful() -> None:
        await locks.acquire(session_id, lease=0.5)

    before = asyncio.all_tasks()
    await asyncio.create_task(forgetful())
    assert await others.locked([session_id]) == [True]
    await until(lambda: asyncio.all_tasks() <= before)
    await free_again(others, session_id)


async def test_a_release_ends_the_renewal(locks: Locks, session_id: str) -> None:
    """No task is left behind by a lock that was released."""
    before = asyncio.all_tasks()
    async with locks.hold(session_id):
        assert len(asyncio.all_tasks() - before) == 1
    await until(lambda: asyncio.all_tasks() <= before)


async def test_a_close_ends_the_renewal(locks: Locks, others: Locks, session_id: str) -> None:
    """A lock that is held when its manager closes runs out by itself."""
    before = asyncio.all_tasks()
    await locks.acquire(session_id, lease=0.2)
    await locks.aclose()
    await until(lambda: asyncio.all_tasks() <= before)
    await free_again(others, session_id)


async def test_a_lock_that_went_to_somebody_else_is_lost(
    client: Redis, store: Store, locks: Locks, session_id: str
) -> None:
    """The next renewal finds it, and says so."""
    lock = await locks.acquire(session_id, lease=0.15)
    assert not lock.lost
    await client.hset(store.keys.head(session_id), mapping={"lock_holder": "somebody else", "token": lock.token + 1})
    await until(lambda: lock.lost)
    assert "lost" in repr(lock)


async def test_many_locks_of_one_task_leave_nothing_behind(locks: Locks, session_id: str) -> None:
    """A task that lives long and locks often does not grow."""
    async with locks.hold(session_id):
        pass
    task = asyncio.current_task()
    assert task is not None
    callbacks = len(task._callbacks or ())
    for _ in range(20):
        async with locks.hold(session_id):
            pass
    assert len(task._callbacks or ()) == callbacks


@pytest.mark.parametrize("name", ["acquire", "renew", "release"])
async def test_each_script_does_no_harm_when_executed_twice(
    store: Store, session_id: str, head: Head, name: str
) -> None:
    """A call whose answer was lost is sent again: it gives the same answer, and changes nothing but the lease's end."""
    keys = [store.keys.head(session_id)]

    async def run(script: str) -> object:
        words: list[str | int] = ["me", store.keys.unlocked(session_id) if script == "release" else 10_000]
        return await store.server.script(load_script("sessionstream.locks", script), keys, words)

    for script in ["acquire", "renew", "release"][: ["acquire", "renew", "release"].index(name)]:
        await run(script)
    first = await run(name), {**await head(), b"lock_until": b""}
    second = await run(name), {**await head(), b"lock_until": b""}
    assert first == second


async def test_a_late_renewal_does_not_revive_a_released_lock(store: Store, locks: Locks, session_id: str) -> None:
    """A copy of it that arrives after the release finds nothing to renew."""
    async with locks.hold(session_id) as lock:
        pass
    renew = load_script("sessionstream.locks", "renew")
    assert await store.server.script(renew, [store.keys.head(session_id)], [lock.holder, 10_000]) == 0
    assert await locks.locked([session_id]) == [False]


async def test_a_lock_needs_the_namespaces_own_partitions(client: Redis, store: Store, session_id: str) -> None:
    """With other partitions the session would not be found; the error says what is wrong instead."""
    other = Store(store.server, Settings(namespace=store.keys.namespace, partitions=3))
    with pytest.raises(NamespaceMismatch):
        await Locks(other).acquire(session_id)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"timeout": -1}, InvalidArgument),
        ({"timeout": float("nan")}, InvalidArgument),
        ({"lease": 0}, InvalidArgument),
        ({"lease": float("inf")}, InvalidArgument),
        ({"max_hold": -0.1}, InvalidArgument),
        ({"lease": "10"}, InvalidType),
        ({"timeout": None}, InvalidType),
        ({"max_hold": True}, InvalidType),
    ],
)
async def test_times_are_checked_before_anything_is_sent(
    locks: Locks, session_id: str, head: Head, given: dict[str, float], error: type[Exception]
) -> None:
    """A time that is no number of seconds, or too short, is refused."""
    before = await head()
    with pytest.raises(error):
        await locks.acquire(session_id, **given)
    assert await head() == before


async def test_making_locks_sends_nothing(store: Store) -> None:
    """There is no connection and no task until the first call."""
    before = asyncio.all_tasks()
    Locks(Store(store.server, store.settings))
    assert store.server.open_lane() is None
    assert asyncio.all_tasks() <= before
