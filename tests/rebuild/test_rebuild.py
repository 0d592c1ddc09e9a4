"""G8: whatever became of the views, they are made from the streams once more."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis

from sessionstream import NoteAdded, SessionManager
from sessionstream.errors import SessionNotFound
from tests.entries import entry
from tests.gates import last_offset, move_gate
from tests.projections.views import assert_folded, beside, erase, stored
from tests.rebuild.conftest import MakeManager, noting

KINDS = ["head", "view", "ranking", "index", "counters"]


@pytest.mark.parametrize("kind", KINDS)
async def test_views_of_one_kind_that_are_lost_come_back(manager: SessionManager, world: list[str], kind: str) -> None:
    """Just as they were, and all others stay."""
    before = await assert_folded(manager)
    await erase(manager.store, lambda key: f"}}:{kind}:" in key)
    lost = set(before) - set(await stored(manager.store))
    assert lost
    assert all(f"}}:{kind}:" in key for key in lost)
    await manager.rebuild()
    assert await stored(manager.store) == before


async def test_all_views_that_are_lost_come_back(manager: SessionManager, world: list[str]) -> None:
    """What is left of a namespace then is its streams, and what no event tells."""
    before = await assert_folded(manager)
    assert all(any(f"}}:{kind}:" in key for key in before) for kind in KINDS)
    await erase(manager.store)
    assert await stored(manager.store) == {}
    rebuilt = await manager.rebuild()
    assert await stored(manager.store) == before
    assert (rebuilt.sessions, rebuilt.unreadable) == (len(world) - 1, 0)
    assert rebuilt.events == sum([len([e async for e in manager.history(one)]) for one in world if one != world[7]])


async def test_wrong_views_are_set_right(manager: SessionManager, world: list[str], client: Redis) -> None:
    """A field too many, a wrong score, a member that belongs elsewhere, a wrong count."""
    before = await assert_folded(manager)
    for key in before:
        if "}:index:" in key or "}:ranking:" in key:
            await client.zadd(key, {"stranger": 1, next(iter(before[key])): -5})
        else:
            await client.hset(key, mapping={"stranger": "1"} | ({"notes": "77"} if "}:counters:" in key else {}))
    await manager.rebuild()
    assert await stored(manager.store) == before


async def test_one_session_is_rebuilt_alone(manager: SessionManager, world: list[str]) -> None:
    """Its own views come back; those of others, and those that sessions share, are not touched."""
    before = await assert_folded(manager)
    await erase(manager.store)
    rebuilt = await manager.rebuild(world[0])
    assert (rebuilt.sessions, rebuilt.events) == (1, 4)
    assert await stored(manager.store) == {
        key: content
        for key, content in before.items()
        if key.endswith(f":{world[0]}") and "}:index:" not in key and "}:counters:" not in key
    }


async def test_an_unknown_session_is_not_rebuilt(manager: SessionManager, world: list[str]) -> None:
    """Nor one that was removed."""
    for session_id in ("nobody", world[7]):
        with pytest.raises(SessionNotFound):
            await manager.rebuild(session_id)


async def test_a_held_lock_outlives_a_rebuild(manager: SessionManager, world: list[str]) -> None:
    """Locks and tokens are no views: the holder goes on writing, and nobody else gets the lock."""
    async with manager.lock(world[0]) as lock:
        await manager.rebuild()
        await manager.append(world[0], NoteAdded(text="fenced"))
    async with manager.lock(world[0]) as next_lock:
        assert next_lock.token == lock.token + 1
    await assert_folded(manager)


async def test_a_rebuilt_namespace_goes_on(manager: SessionManager, world: list[str]) -> None:
    """Appends after it find the views as those before it left them."""
    await erase(manager.store)
    await manager.rebuild()
    await manager.append(world[0], NoteAdded(text="after"))
    await manager.set_session_state(world[1], "idle")
    await manager.delete_session(world[2])
    await assert_folded(manager)


async def test_a_second_rebuild_changes_nothing(manager: SessionManager, world: list[str]) -> None:
    """And nothing is left beside the views."""
    before = await assert_folded(manager)
    for _ in range(2):
        await manager.rebuild()
        assert await stored(manager.store) == before
        assert await beside(manager.store) == []


async def test_an_empty_namespace_is_rebuilt(manager: SessionManager) -> None:
    """There is nothing to do."""
    rebuilt = await manager.rebuild()
    assert (rebuilt.sessions, rebuilt.events, rebuilt.unreadable) == (0, 0, 0)


@pytest.fixture
def write_entry(client: Redis, manager: SessionManager) -> Callable[..., Awaitable[None]]:
    """Write an entry into a stream by hand, and move the session's gate along."""

    async def write(session_id: str, fields: dict[str, str]) -> None:
        keys = manager.store.keys
        ms, version = (await last_offset(manager.store, session_id)).split("-")
        offset = await client.xadd(keys.events(session_id), fields, id=f"{ms}-{int(version) + 1}")
        await move_gate(manager.store, session_id, offset.decode())

    return write


@pytest.mark.parametrize(
    "fields",
    [
        {"garbage": "1"},
        entry("note.added", "{"),
        entry("note.added", json.dumps({"text": 5})),
        entry("note.added", "{}", version="one"),
    ],
    ids=["no event", "no JSON", "another type", "no version"],
)
async def test_an_entry_that_does_not_decode_is_passed_over_and_counted(
    manager: SessionManager, world: list[str], write_entry: Callable[..., Awaitable[None]], fields: dict[str, str]
) -> None:
    """What stands before and behind it counts as always."""
    await write_entry(world[0], fields)
    await manager.append(world[0], NoteAdded(text="behind it"))
    before = await assert_folded(manager)
    await erase(manager.store)
    rebuilt = await manager.rebuild()
    assert rebuilt.unreadable == 1
    assert await stored(manager.store) == before
    assert (await manager.rebuild(world[0])).unreadable == 1


@pytest.mark.parametrize("one", [True, False], ids=["one session", "all"])
async def test_a_session_whose_creation_does_not_decode_keeps_what_its_views_tell(
    manager: SessionManager, client: Redis, one: bool
) -> None:
    """Of whom it is cannot be folded any more; it can still be read, swept and removed."""
    created = await manager.create_session("user_1", "agent_1", session_id="damaged")
    events = manager.store.keys.events("damaged")
    await client.delete(events)
    await client.xadd(events, {"garbage": "1"}, id=f"{round(created.created_at.timestamp() * 1000)}-1")
    await manager.rebuild("damaged" if one else None)
    assert await manager.get_session("damaged") == created
    await manager.cleanup_expired_sessions()
    assert await manager.delete_session("damaged", purge=True)


async def test_entries_behind_the_last_append_do_not_hold_a_rebuild_up(manager: SessionManager, client: Redis) -> None:
    """Somebody else has written into the stream."""
    created = await manager.create_session("user_1", "agent_1", session_id="damaged")
    await client.xadd(manager.store.keys.events("damaged"), {"garbage": "1"}, id="9999999999999-2")
    async with asyncio.timeout(10):
        rebuilt = await manager.rebuild()
    assert (rebuilt.events, rebuilt.unreadable) == (2, 1)
    assert await manager.get_session("damaged") == created


async def test_progress_is_told(manager: SessionManager, world: list[str]) -> None:
    """Session by session, up to all there are."""
    told: list[tuple[int, int]] = []
    await manager.rebuild(progress=lambda done, total: told.append((done, total)))
    kept = len(world) - 1
    assert told == [(done, kept) for done in range(1, kept + 1)]


async def test_thousands_of_sessions_are_rebuilt_in_bounded_time(make_manager: MakeManager) -> None:
    """Also where each has an agent of its own, and so an index of its own."""
    manager = make_manager(noting(), partitions=4)
    ids = [f"s{number}" for number in range(3_000)]
    for start in range(0, len(ids), 500):
        await asyncio.gather(*(_create(manager, session_id) for session_id in ids[start : start + 500]))
    before = await stored(manager.store)
    await erase(manager.store)
    started = time.monotonic()
    rebuilt = await manager.rebuild()
    took = time.monotonic() - started
    print(f"{rebuilt.sessions:,} sessions were rebuilt in {took:.1f} s")
    assert rebuilt.sessions == len(ids)
    assert await stored(manager.store) == before
    assert took < 30


async def _create(manager: SessionManager, session_id: str) -> None:
    await manager.create_session("user", f"agent of {session_id}", session_id=session_id)
    await manager.append(session_id, NoteAdded(text="x"))
