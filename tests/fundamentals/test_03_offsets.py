"""One offset is the coordinate for everything: it always grows, whatever the clock does (G1, G11)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis

from sessionstream import NoteAdded, SessionManager
from sessionstream.log.feed import pointers_of

pytestmark = pytest.mark.guarantee

HOUR_MS = 3_600_000
NOTE = {"id": "x" * 22, "type": "note.added", "data": '{"text":"x"}'}


def _numbers(offset: str) -> tuple[int, int]:
    ms, version = offset.split("-")
    return int(ms), int(version)


async def test_offsets_grow(manager: SessionManager, session_id: str) -> None:
    """Both halves, the milliseconds and the version, grow together."""
    offsets = [(await manager.append(session_id, NoteAdded(text="x"))).offset for _ in range(50)]
    numbers = [_numbers(offset) for offset in offsets]
    assert numbers == sorted(numbers)
    assert [ms for ms, _ in numbers] == sorted(ms for ms, _ in numbers)
    assert [version for _, version in numbers] == list(range(2, 52))


async def test_the_events_of_one_append_have_one_time(manager: SessionManager, session_id: str) -> None:
    """A batch happened at one moment."""
    appended = await manager.append(session_id, [NoteAdded(text="x")] * 5)
    assert len({_numbers(offset)[0] for offset in appended.offsets}) == 1


async def test_offsets_grow_also_when_the_clock_went_back(
    manager: SessionManager, session_id: str, write_entry: Callable[..., Awaitable[str]]
) -> None:
    """After a jump of the clock the milliseconds stay at those of the jump until time has caught up."""
    ahead = int(time.time() * 1000) + HOUR_MS
    pinned = await write_entry(session_id, NOTE, at_ms=ahead)
    assert pinned == f"{ahead}-2"
    offsets = [(await manager.append(session_id, NoteAdded(text="x"))).offset for _ in range(3)]
    assert offsets == [f"{ahead}-{version}" for version in (3, 4, 5)]


async def test_versions_are_found_also_where_the_clock_went_back(
    manager: SessionManager, session_id: str, write_entry: Callable[..., Awaitable[str]]
) -> None:
    """A version is looked up by bisection over the milliseconds, which still never fall."""
    await manager.append(session_id, [NoteAdded(text="x")] * 7)
    await write_entry(session_id, NOTE, at_ms=int(time.time() * 1000) + HOUR_MS)
    await manager.append(session_id, [NoteAdded(text="x")] * 7)
    for version in range(1, 17):
        found = [event.version async for event in manager.history(session_id, from_version=version, to_version=version)]
        assert found == [version]


async def test_expiry_goes_by_the_clock_and_not_by_the_offsets(
    manager: SessionManager, write_entry: Callable[..., Awaitable[str]]
) -> None:
    """A session whose offsets are pinned to the future still lives as long as its time to live says."""
    session = await manager.create_session("user_1", "assistant", ttl=60)
    await write_entry(session.session_id, NOTE, at_ms=int(time.time() * 1000) + HOUR_MS)
    await manager.append(session.session_id, NoteAdded(text="x"))
    assert await manager.session_exists(session.session_id)


async def test_other_sessions_are_not_pinned_by_one_sessions_offsets(
    manager: SessionManager, session_id: str, write_entry: Callable[..., Awaitable[str]]
) -> None:
    """A session's offsets are its own."""
    ahead = int(time.time() * 1000) + HOUR_MS
    await write_entry(session_id, NOTE, at_ms=ahead)
    another = await manager.create_session("user_1", "assistant")
    appended = await manager.append(another.session_id, NoteAdded(text="x"))
    assert _numbers(appended.offset)[0] < ahead


async def test_the_feed_has_one_pointer_for_each_append(
    manager: SessionManager, session_id: str, client: Redis
) -> None:
    """It names the session, the offset of the append's last event and how many events there are, in commit order."""
    one = await manager.append(session_id, NoteAdded(text="x"))
    three = await manager.append(session_id, [NoteAdded(text="x")] * 3)
    keys = manager.store.keys
    entries = await manager.store.server.call("XRANGE", keys.feed(keys.partition(session_id)), "-", "+")
    feed = [pointer for entry in entries for pointer in pointers_of(entry)]
    assert [(pointer.offset, pointer.events) for pointer in feed[1:]] == [(one.offset, 1), (three.offset, 3)]
    assert {pointer.session_id for pointer in feed} == {session_id}


async def test_positions_in_the_feed_have_no_gap(manager: SessionManager, client: Redis) -> None:
    """The second half of a position counts: lag is a subtraction, and what was trimmed is seen."""
    sessions = [await manager.create_session("user_1", "assistant") for _ in range(40)]
    await asyncio.gather(
        *(manager.append(session.session_id, NoteAdded(text="x")) for session in sessions for _ in range(5)),
    )
    pointers = 0
    for partition in range(manager.store.keys.partitions):
        entries = await manager.store.server.call("XRANGE", manager.store.keys.feed(partition), "-", "+")
        positions = [pointer.number for entry in entries for pointer in pointers_of(entry)]
        assert positions == list(range(1, len(positions) + 1))
        pointers += len(positions)
    assert pointers == 40 * 6


async def test_positions_in_the_feed_grow_also_when_the_clock_went_back(
    manager: SessionManager, session_id: str, client: Redis
) -> None:
    """The milliseconds of the feed stay pinned as a session's do, and its count goes on."""
    keys = manager.store.keys
    partition = keys.partition(session_id)
    ahead = int(time.time() * 1000) + HOUR_MS
    await client.xadd(keys.feed(partition), {session_id: "1-1"}, id=f"{ahead}-2")
    await client.hset(keys.log(partition), ":feed", f"{ahead}-2")
    await manager.append(session_id, NoteAdded(text="x"))
    last = (await client.xrevrange(keys.feed(partition), count=1))[0][0]
    assert last.decode() == f"{ahead}-3"


async def test_a_refused_append_leaves_no_pointer(manager: SessionManager, session_id: str, client: Redis) -> None:
    """The feed tells of what happened, and of nothing else."""
    keys = manager.store.keys
    feed = keys.feed(keys.partition(session_id))
    before = await client.xlen(feed)
    outcome = await asyncio.gather(
        manager.append(session_id, NoteAdded(text="x"), expected_version=99), return_exceptions=True
    )
    assert isinstance(outcome[0], Exception)
    assert await client.xlen(feed) == before
