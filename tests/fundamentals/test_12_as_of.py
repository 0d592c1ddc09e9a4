"""What was known at a moment: session, state, metadata and latest checkpoint, folded from the events up to it.

G7, G11, G31.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sessionstream import (
    InvalidArgument,
    NoteAdded,
    RecordedEvent,
    SessionManager,
    SessionNotFound,
    SessionState,
)
from sessionstream.errors import InvalidType

pytestmark = pytest.mark.guarantee


async def _apart(manager: SessionManager) -> None:
    """Let a millisecond pass on the server."""
    now = await manager.store.now_ms()
    while await manager.store.now_ms() <= now:
        await asyncio.sleep(0)


@pytest.fixture
async def life(manager: SessionManager, session_id: str) -> list[RecordedEvent]:
    """A session that has lived through metadata, a state, checkpoints and its end; every event has its own time."""
    steps = [
        manager.update_session_metadata(session_id, {"topic": "weather", "turn": 1}),
        manager.save_checkpoint(session_id, {"turn": 1}, checkpoint_id="one"),
        manager.set_session_state(session_id, SessionState.IDLE),
        manager.save_checkpoint(session_id, {"turn": 2}, checkpoint_id="two"),
        manager.update_session_metadata(session_id, {"turn": 2}, unset=["topic"]),
        manager.delete_checkpoint(session_id, "two"),
        manager.delete_session(session_id),
    ]
    for step in steps:
        await _apart(manager)
        await step
    return [event async for event in manager.history(session_id)]


EXPECTED: list[tuple[SessionState, dict[str, Any], str | None]] = [
    (SessionState.ACTIVE, {}, None),
    (SessionState.ACTIVE, {"topic": "weather", "turn": 1}, None),
    (SessionState.ACTIVE, {"topic": "weather", "turn": 1}, "one"),
    (SessionState.IDLE, {"topic": "weather", "turn": 1}, "one"),
    (SessionState.IDLE, {"topic": "weather", "turn": 1}, "two"),
    (SessionState.IDLE, {"turn": 2}, "two"),
    (SessionState.IDLE, {"turn": 2}, "one"),
    (SessionState.EXPIRED, {"turn": 2}, "one"),
]


@pytest.mark.parametrize("version", range(1, 9))
async def test_every_version_is_as_it_was(
    manager: SessionManager, session_id: str, life: list[RecordedEvent], version: int
) -> None:
    """Asked by version, by offset or by time, it is the same."""
    event = life[version - 1]
    state, metadata, checkpoint_id = EXPECTED[version - 1]
    for asked in ({"version": version}, {"offset": event.offset}, {"time": event.at}):
        then = await manager.audit.as_of(session_id, **asked)  # type: ignore[arg-type]
        assert (then.state, then.metadata, then.version) == (state, metadata, version)
        assert (then.offset, then.at) == (event.offset, event.at)
        assert (then.checkpoint.checkpoint_id if then.checkpoint else None) == checkpoint_id
        assert (then.session.user_id, then.session.agent_id) == ("user_1", "assistant")
        assert then.session.version == version


async def test_a_checkpoint_comes_with_its_data_unless_it_was_deleted_since(
    manager: SessionManager, session_id: str, life: list[RecordedEvent]
) -> None:
    """That it was there is known all the same."""
    first = (await manager.audit.as_of(session_id, version=3)).checkpoint
    second = (await manager.audit.as_of(session_id, version=5)).checkpoint
    assert first is not None
    assert second is not None
    assert first.data == {"turn": 1}
    assert (second.checkpoint_id, second.data) == ("two", None)


async def test_the_data_of_a_later_checkpoint_with_the_same_id_is_not_taken_for_its_own(
    manager: SessionManager, session_id: str
) -> None:
    """A deleted checkpoint's id may be used again; what was known before is not what is saved then."""
    await manager.save_checkpoint(session_id, {"turn": 1}, checkpoint_id="again")
    await manager.delete_checkpoint(session_id, "again")
    await manager.save_checkpoint(session_id, {"turn": 3}, checkpoint_id="again")
    first, last = [(await manager.audit.as_of(session_id, version=version)).checkpoint for version in (2, 4)]
    assert first is not None
    assert last is not None
    assert (first.checkpoint_id, first.data) == ("again", None)
    assert (last.checkpoint_id, last.data) == ("again", {"turn": 3})


async def test_as_of_now_is_what_the_views_say(manager: SessionManager, session_id: str) -> None:
    """Two interpreters, one meaning."""
    await manager.update_session_metadata(session_id, {"a": [1, {"b": None}]})
    await manager.save_checkpoint(session_id, {"turn": 1}, label="here")
    session = await manager.get_session(session_id)
    assert session is not None
    then = await manager.audit.as_of(session_id, version=session.version)
    checkpoint = await manager.get_latest_checkpoint(session_id)
    assert then.session == session
    assert checkpoint is not None
    assert then.checkpoint is not None
    assert dict(then.checkpoint) == dict(checkpoint)


async def test_a_moment_between_two_events_is_as_the_first_left_it(
    manager: SessionManager, session_id: str, life: list[RecordedEvent]
) -> None:
    """Time is any moment, not only one at which something happened."""
    just_before = life[3].at - timedelta(milliseconds=1)
    assert (await manager.audit.as_of(session_id, time=just_before)).version == 3
    later = datetime.now(UTC) + timedelta(days=1)
    assert (await manager.audit.as_of(session_id, time=later)).version == 8


async def test_a_session_had_expired_by_then_though_nothing_was_swept(manager: SessionManager) -> None:
    """A time after its expiry says EXPIRED; its last event by itself does not."""
    session = await manager.create_session("user_1", "assistant", ttl=60)
    assert session.expires_at is not None
    expiry = session.expires_at

    async def state_at(time: datetime) -> SessionState:
        return (await manager.audit.as_of(session.session_id, time=time)).state

    assert await state_at(expiry - timedelta(milliseconds=1)) is SessionState.ACTIVE
    assert await state_at(expiry) is SessionState.EXPIRED
    assert await state_at(expiry + timedelta(days=1)) is SessionState.EXPIRED
    assert (await manager.audit.as_of(session.session_id, version=1)).state is SessionState.ACTIVE


async def test_a_refresh_that_came_later_does_not_count(manager: SessionManager) -> None:
    """What was known then was the earlier expiry."""
    session = await manager.create_session("user_1", "assistant", ttl=60)
    await _apart(manager)
    await manager.refresh_session(session.session_id)
    now = await manager.get_session(session.session_id)
    then = (await manager.audit.as_of(session.session_id, version=1)).session
    assert now is not None
    assert now.expires_at is not None
    assert then.expires_at == session.expires_at
    assert then.expires_at < now.expires_at  # type: ignore[operator]


async def test_before_its_creation_there_was_no_session(manager: SessionManager, session_id: str) -> None:
    """Whichever way one asks."""
    created = await anext(manager.history(session_id))
    ms = int(created.offset.split("-")[0])
    moments: list[dict[str, Any]] = [
        {"time": created.at - timedelta(milliseconds=1)},
        {"offset": f"{ms - 1}-5"},
        {"offset": "0-0"},
        {"version": 0},
    ]
    for moment in moments:
        with pytest.raises(SessionNotFound):
            await manager.audit.as_of(session_id, **moment)


@pytest.mark.parametrize("asked", [{"version": 1}, {"offset": "5-1"}, {"time": datetime(2025, 1, 17, tzinfo=UTC)}])
async def test_an_unknown_session_was_never_there(manager: SessionManager, asked: dict[str, Any]) -> None:
    """Whichever way one asks."""
    with pytest.raises(SessionNotFound):
        await manager.audit.as_of("sess_nobody", **asked)


async def test_a_version_that_is_not_there_yet_is_an_error(manager: SessionManager, session_id: str) -> None:
    """The present is not passed off for the future."""
    with pytest.raises(InvalidArgument, match="has 1 versions, not 2"):
        await manager.audit.as_of(session_id, version=2)


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"version": 1, "offset": "1-1"},
        {"version": 1, "time": datetime(2025, 1, 17, tzinfo=UTC)},
        {"version": 1, "offset": "1-1", "time": datetime(2025, 1, 17, tzinfo=UTC)},
    ],
)
async def test_a_moment_is_given_in_exactly_one_way(
    manager: SessionManager, session_id: str, asked: dict[str, Any]
) -> None:
    """None or several is an error."""
    with pytest.raises(InvalidArgument, match="exactly one"):
        await manager.audit.as_of(session_id, **asked)


@pytest.mark.parametrize(
    ("asked", "error", "problem"),
    [
        ({"time": datetime(2025, 1, 17)}, InvalidArgument, "naive"),
        ({"time": "2025-01-17"}, InvalidType, "datetime"),
        ({"offset": "yesterday"}, InvalidArgument, "no offset"),
        ({"offset": 5}, InvalidType, "string"),
        ({"version": "1"}, InvalidType, "version"),
        ({"version": -1}, InvalidArgument, "version"),
        ({"version": True}, InvalidType, "version"),
    ],
)
async def test_a_malformed_moment_is_refused(
    manager: SessionManager, session_id: str, asked: dict[str, Any], error: type[Exception], problem: str
) -> None:
    """A naive datetime too: nobody knows which moment it means."""
    with pytest.raises(error, match=problem):
        await manager.audit.as_of(session_id, **asked)


async def test_a_long_history_is_folded_from_its_beginning(manager: SessionManager, session_id: str) -> None:
    """State is never folded from a truncated window."""
    await manager.update_session_metadata(session_id, {"first": True})
    await manager.append(session_id, [NoteAdded(text="x")] * 1_200)
    await manager.update_session_metadata(session_id, {"last": True})
    assert (await manager.audit.as_of(session_id, version=1_202)).metadata == {"first": True}
    assert (await manager.audit.as_of(session_id, version=1_203)).metadata == {"first": True, "last": True}
