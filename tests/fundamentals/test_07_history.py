"""History: every event of a session, forward and backward, by offset, version, time and type (G14)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import (
    InvalidArgument,
    NoteAdded,
    RecordedEvent,
    SessionManager,
    SessionNotFound,
    ToolCalled,
)
from sessionstream.errors import EventTypeError, InvalidType


async def _versions(manager: SessionManager, session_id: str, **asked: Any) -> list[int]:
    return [event.version async for event in manager.history(session_id, **asked)]


@pytest.fixture
async def ten(manager: SessionManager, session_id: str) -> list[RecordedEvent]:
    """A session of ten events, each a millisecond or more after the one before."""
    for number in range(9):
        event = ToolCalled(name=str(number)) if number % 3 == 0 else NoteAdded(text=str(number))
        before = int((await manager.append(session_id, event)).offset.split("-")[0])
        while await manager.store.now_ms() <= before:
            await asyncio.sleep(0)
    return [event async for event in manager.history(session_id)]


async def test_history_is_everything_in_order(manager: SessionManager, session_id: str, ten: Any) -> None:
    """From the first event to the last one."""
    assert await _versions(manager, session_id) == list(range(1, 11))


async def test_history_goes_backward_too(manager: SessionManager, session_id: str, ten: Any) -> None:
    """Newest first."""
    assert await _versions(manager, session_id, backward=True) == list(range(10, 0, -1))


async def test_offsets_exclude_themselves(manager: SessionManager, session_id: str, ten: list[RecordedEvent]) -> None:
    """What follows the last event that was seen; what lies in front of one."""
    third, seventh = ten[2].offset, ten[6].offset
    assert await _versions(manager, session_id, after=third) == [4, 5, 6, 7, 8, 9, 10]
    assert await _versions(manager, session_id, before=seventh) == [1, 2, 3, 4, 5, 6]
    assert await _versions(manager, session_id, after=third, before=seventh) == [4, 5, 6]
    assert await _versions(manager, session_id, after=third, before=seventh, backward=True) == [6, 5, 4]


async def test_after_the_last_event_there_is_nothing(
    manager: SessionManager, session_id: str, ten: list[RecordedEvent]
) -> None:
    """And from nowhere there is everything."""
    assert await _versions(manager, session_id, after=ten[-1].offset) == []
    assert await _versions(manager, session_id, after="0-0") == list(range(1, 11))
    assert await _versions(manager, session_id, after="18446744073709551615-18446744073709551615") == []
    assert await _versions(manager, session_id, before="0-0") == []


async def test_an_offset_need_not_be_one_of_the_sessions(
    manager: SessionManager, session_id: str, ten: list[RecordedEvent]
) -> None:
    """It is a place, not a name."""
    ms = int(ten[4].offset.split("-")[0])
    assert await _versions(manager, session_id, after=f"{ms}-0") == [5, 6, 7, 8, 9, 10]


async def test_versions_include_themselves(manager: SessionManager, session_id: str, ten: Any) -> None:
    """From one version to another, both of them too."""
    assert await _versions(manager, session_id, from_version=3, to_version=5) == [3, 4, 5]
    assert await _versions(manager, session_id, from_version=9) == [9, 10]
    assert await _versions(manager, session_id, to_version=2) == [1, 2]
    assert await _versions(manager, session_id, to_version=0) == []
    assert await _versions(manager, session_id, from_version=0, to_version=99) == list(range(1, 11))
    assert await _versions(manager, session_id, from_version=11) == []


async def test_times_include_themselves(manager: SessionManager, session_id: str, ten: list[RecordedEvent]) -> None:
    """To the millisecond, in any time zone."""
    assert await _versions(manager, session_id, since=ten[7].at) == [8, 9, 10]
    assert await _versions(manager, session_id, until=ten[1].at) == [1, 2]
    assert await _versions(manager, session_id, since=ten[3].at, until=ten[5].at) == [4, 5, 6]
    abroad = ten[3].at.astimezone(timezone(timedelta(hours=-7)))
    assert await _versions(manager, session_id, since=abroad, until=abroad) == [4]


async def test_a_time_outside_all_history_is_no_error(manager: SessionManager, session_id: str, ten: Any) -> None:
    """Before the beginning of time, and at its end."""
    assert await _versions(manager, session_id, since=datetime(1960, 1, 1, tzinfo=UTC)) == list(range(1, 11))
    assert await _versions(manager, session_id, until=datetime(1960, 1, 1, tzinfo=UTC)) == []
    assert await _versions(manager, session_id, since=datetime(9999, 1, 1, tzinfo=UTC)) == []


async def test_types_are_given_by_class_or_by_name(manager: SessionManager, session_id: str, ten: Any) -> None:
    """One or several of them."""
    assert await _versions(manager, session_id, types=[ToolCalled]) == [2, 5, 8]
    assert await _versions(manager, session_id, types=["tool.called", "session.created"]) == [1, 2, 5, 8]
    assert await _versions(manager, session_id, types=["never.heard_of"]) == []
    assert await _versions(manager, session_id, types=[]) == []


async def test_one_type_by_itself_is_a_mistake(manager: SessionManager, session_id: str, ten: Any) -> None:
    """A string is not taken for the list of its letters."""
    with pytest.raises(InvalidType, match="types"):
        await _versions(manager, session_id, types="tool.called")
    with pytest.raises(InvalidType, match="types"):
        await _versions(manager, session_id, types=ToolCalled)


async def test_a_limit_counts_what_is_given(manager: SessionManager, session_id: str, ten: Any) -> None:
    """Events of the types that were asked for, not events that were read."""
    assert await _versions(manager, session_id, limit=2) == [1, 2]
    assert await _versions(manager, session_id, limit=2, backward=True) == [10, 9]
    assert await _versions(manager, session_id, limit=2, types=[ToolCalled]) == [2, 5]
    assert await _versions(manager, session_id, limit=0) == []


async def test_all_bounds_have_to_be_met(manager: SessionManager, session_id: str, ten: list[RecordedEvent]) -> None:
    """The narrowest of them counts, and a window that nothing fits into is empty."""
    assert await _versions(manager, session_id, after=ten[1].offset, from_version=5, until=ten[6].at) == [5, 6, 7]
    assert await _versions(manager, session_id, from_version=7, to_version=3) == []
    assert await _versions(manager, session_id, since=ten[7].at, until=ten[2].at) == []


async def test_a_long_history_is_read_in_pages(manager: SessionManager, session_id: str) -> None:
    """Exactly at the seams of pages of 1,000 nothing is lost and nothing comes twice, in both directions."""
    await manager.append(session_id, [NoteAdded(text="x")] * 3_000)
    assert await _versions(manager, session_id) == list(range(1, 3_002))
    assert await _versions(manager, session_id, backward=True) == list(range(3_001, 0, -1))
    assert await _versions(manager, session_id, from_version=2) == list(range(2, 3_002))
    assert await _versions(manager, session_id, types=["session.created"], backward=True) == [1]


async def test_a_reader_may_stop_at_any_time(manager: SessionManager, session_id: str) -> None:
    """What it does not ask for is not read."""
    await manager.append(session_id, [NoteAdded(text="x")] * 2_000)
    seen = 0
    async for event in manager.history(session_id):
        seen = event.version
        if seen == 700:
            break
    assert seen == 700


@pytest.mark.parametrize(("count", "at"), [(1_100, 1), (999, 500)], ids=["on a later page", "behind a full page"])
async def test_events_that_come_while_one_reads_are_read_too(
    manager: SessionManager, session_id: str, count: int, at: int
) -> None:
    """There is no gap before them, also where the page behind a full one was empty when it was asked for."""
    await manager.append(session_id, [NoteAdded(text="x")] * count)
    versions = []
    async for event in manager.history(session_id):
        versions.append(event.version)
        if event.version == at:
            await manager.append(session_id, NoteAdded(text="late"))
    assert versions == list(range(1, count + 3))


async def test_the_history_of_an_ended_session_is_kept(manager: SessionManager, session_id: str) -> None:
    """Its end is the last event."""
    await manager.append(session_id, NoteAdded(text="x"))
    await manager.delete_session(session_id)
    assert [event.type async for event in manager.history(session_id)] == [
        "session.created",
        "note.added",
        "session.deleted",
    ]


async def test_an_unknown_session_has_no_history(manager: SessionManager) -> None:
    """That is an error, not an empty history."""
    with pytest.raises(SessionNotFound):
        await _versions(manager, "sess_nobody")
    with pytest.raises(SessionNotFound):
        await _versions(manager, "sess_nobody", backward=True, types=[NoteAdded])


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"after": "yesterday"}, "no offset"),
        ({"after": "5"}, "no offset"),
        ({"before": "1-"}, "no offset"),
        ({"before": "-1-1"}, "no offset"),
        ({"after": "99999999999999999999-1"}, "no offset"),
        ({"after": "１-１"}, "no offset"),
        ({"after": 5}, "an offset is a string"),
        ({"from_version": -1}, "from_version"),
        ({"to_version": "3"}, "to_version"),
        ({"limit": -1}, "limit"),
        ({"limit": True}, "limit"),
        ({"limit": 10**400}, "limit"),
        ({"from_version": 10**400}, "from_version"),
        ({"since": datetime(2025, 1, 17)}, "naive"),
        ({"until": datetime(2025, 1, 17)}, "naive"),
        ({"since": "2025-01-17"}, "since is a datetime"),
    ],
)
async def test_a_malformed_bound_is_named(
    manager: SessionManager, session_id: str, asked: dict[str, Any], problem: str
) -> None:
    """Nothing is guessed."""
    with pytest.raises(InvalidArgument, match=problem):
        await _versions(manager, session_id, **asked)


async def test_a_class_that_is_no_event_type_is_refused(manager: SessionManager, session_id: str) -> None:
    """It could never be found."""
    with pytest.raises(EventTypeError):
        await _versions(manager, session_id, types=[int])


async def test_reading_changes_nothing(
    manager: SessionManager, session_id: str, ten: Any, client: Redis, namespace: str
) -> None:
    """History is read-only, whatever is asked."""

    async def dump() -> dict[bytes, bytes]:
        return {key: await client.dump(key) async for key in client.scan_iter(match=f"{namespace}:*")}

    before = await dump()
    await _versions(manager, session_id, from_version=3, types=[NoteAdded], backward=True)
    assert await dump() == before


async def test_an_event_says_all_about_itself(
    manager: SessionManager, session_id: str, events_of: Callable[[str], Awaitable[list[RecordedEvent]]]
) -> None:
    """Place, time, type, version of its schema, the stored bytes."""
    appended = await manager.append(session_id, NoteAdded(text="x"))
    event = (await events_of(session_id))[-1]
    assert (event.session_id, event.offset, event.version) == (session_id, appended.offset, 2)
    assert (event.type, event.schema_version, event.raw) == ("note.added", 1, b'{"text":"x"}')
    assert event.id == appended.event_ids[0]
    assert event.error is None
    assert int(event.at.timestamp() * 1000) == int(event.offset.split("-")[0])
