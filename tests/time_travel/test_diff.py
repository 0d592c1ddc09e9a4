"""G31: what changed between two moments, field by field, with the events that did it."""

from __future__ import annotations

from typing import Any

import pytest

from sessionstream import (
    Change,
    InvalidArgument,
    MessageAdded,
    MessageRetracted,
    NoteAdded,
    SessionManager,
    SessionNotFound,
    SessionState,
    StateChanged,
)
from sessionstream.audit.diff import MOST_EVENTS
from sessionstream.errors import InvalidType
from tests.sessions.waiting import until
from tests.time_travel.conftest import BytesRead, OpenManager, settled, talk


async def _changes(manager: SessionManager, session_id: str, a: Any, b: Any) -> dict[str, Change]:
    return {change.name: change for change in (await manager.audit.diff(session_id, a, b)).changes}


def _causes(change: Change) -> list[tuple[int, str]]:
    return [(int(cause.offset.partition("-")[2]), cause.type) for cause in change.events]


async def test_metadata_differs_by_path(manager: SessionManager, session_id: str) -> None:
    """Down to the innermost key, each with what it was, what it is, and the event that did it."""
    await manager.update_session_metadata(session_id, {"prefs": {"tone": "dry", "size": 1}, "gone": None})
    await manager.update_session_metadata(session_id, {"prefs": {"tone": "warm", "size": 1, "new": [1]}})
    await manager.update_session_metadata(session_id, unset=["gone"])
    changes = await _changes(manager, session_id, 2, 4)
    assert {name: (one.kind, one.before, one.after, _causes(one)) for name, one in changes.items()} == {
        "metadata.prefs.tone": ("changed", "dry", "warm", [(3, "session.metadata_updated")]),
        "metadata.prefs.new": ("added", None, [1], [(3, "session.metadata_updated")]),
        "metadata.gone": ("removed", None, None, [(4, "session.metadata_updated")]),
    }
    assert changes["metadata.prefs.tone"].path == ("metadata", "prefs", "tone")


async def test_a_field_names_each_event_that_led_to_it(manager: SessionManager, session_id: str) -> None:
    """Also those that changed what it is part of, or a part of it; and no other."""
    for values in ({"a": {"x": 1}}, {"a": 5}, {"a": {"x": 2, "y": 0}}, {"a": {"x": 2, "y": 1}}, {"b": 1}):
        await manager.update_session_metadata(session_id, values)
    changes = await _changes(manager, session_id, 2, 6)
    assert [version for version, _ in _causes(changes["metadata.a.x"])] == [3, 4]
    assert [version for version, _ in _causes(changes["metadata.a.y"])] == [3, 4, 5]


async def test_what_changed_and_changed_back_does_not_differ(manager: SessionManager, session_id: str) -> None:
    """The two moments are compared, not the way between them."""
    await manager.update_session_metadata(session_id, {"topic": "news"})
    await manager.update_session_metadata(session_id, {"topic": "weather"})
    assert await _changes(manager, session_id, 1, 3) == {}


async def test_state_expiry_and_checkpoint_differ(manager: SessionManager) -> None:
    """Everything that is known of a moment."""
    session_id = (await manager.create_session("user_1", "assistant", ttl=60)).session_id
    await manager.save_checkpoint(session_id, {"turn": 1}, checkpoint_id="one")
    await manager.append(session_id, NoteAdded(text="x"))
    before = await manager.store.now_ms()
    await until(lambda: _later(manager, before))
    await manager.save_checkpoint(session_id, {"turn": 2}, checkpoint_id="two")
    await manager.refresh_session(session_id)
    await manager.set_session_state(session_id, SessionState.IDLE)
    await manager.delete_checkpoint(session_id, "one")
    changes = await _changes(manager, session_id, 3, 7)
    assert {name: (one.before, one.after, _causes(one)) for name, one in changes.items() if name != "expires_at"} == {
        "state": ("active", "idle", [(6, "session.state_changed")]),
        "checkpoint": ("one", "two", [(4, "checkpoint.saved")]),
    }
    assert changes["expires_at"].after > changes["expires_at"].before
    assert _causes(changes["expires_at"]) == [(5, "session.refreshed")]


async def _later(manager: SessionManager, ms: int) -> bool:
    return await manager.store.now_ms() > ms


async def test_a_deleted_checkpoint_uncovers_the_one_before(manager: SessionManager, session_id: str) -> None:
    """The event that deleted it did that."""
    await manager.save_checkpoint(session_id, {"turn": 1}, checkpoint_id="one")
    await manager.save_checkpoint(session_id, {"turn": 2}, checkpoint_id="two")
    await manager.delete_checkpoint(session_id, "two")
    change = (await _changes(manager, session_id, 3, 4))["checkpoint"]
    assert (change.before, change.after, _causes(change)) == ("two", "one", [(4, "checkpoint.deleted")])


async def test_time_alone_can_make_a_difference(manager: SessionManager) -> None:
    """A session that expired in between differs in its state, and no event did it."""
    session = await manager.create_session("user_1", "assistant", ttl=60)
    assert session.expires_at is not None
    found = await manager.audit.diff(session.session_id, session.created_at, session.expires_at)
    (change,) = found.changes
    assert (change.name, change.before, change.after, change.events) == ("state", "active", "expired", ())
    assert found.events == 0


async def test_an_end_is_a_difference(manager: SessionManager, session_id: str) -> None:
    """Of an ended session too everything can be compared."""
    await manager.delete_session(session_id)
    changes = await _changes(manager, session_id, 1, 2)
    assert _causes(changes["state"]) == [(2, "session.deleted")]


async def test_messages_and_other_events_are_counted(manager: SessionManager, session_id: str) -> None:
    """Those in between, and no others."""
    await manager.append(session_id, MessageAdded(role="user", content="before"))
    made = await manager.append(session_id, [MessageAdded(role="user", content=f"{n}") for n in range(5)])
    await manager.append(session_id, [MessageRetracted(offset=made.offsets[0]), NoteAdded(text="x")])
    found = await manager.audit.diff(session_id, 2, 9)
    assert (found.messages_added, found.messages_retracted, found.events) == (5, 1, 7)
    assert found.types == {"message.added": 5, "message.retracted": 1, "note.added": 1}
    assert (found.before.version, found.after.version) == (2, 9)


async def test_a_sliding_expiry_names_the_events_that_moved_it(open_manager: OpenManager) -> None:
    """Every one of them did, the last hundred are named."""
    manager = open_manager(extend_on="append", ttl=60)
    session_id = (await manager.create_session("user_1", "assistant")).session_id
    start = await manager.store.now_ms()
    await until(lambda: _later(manager, start))
    for count in range(3):
        await manager.append(session_id, [NoteAdded(text=f"{count}")] * MOST_EVENTS)
        now = await manager.store.now_ms()
        await until(lambda now=now: _later(manager, now))  # type: ignore[misc]
    change = (await _changes(manager, session_id, 1, 2 + 2 * MOST_EVENTS))["expires_at"]
    assert {cause.type for cause in change.events} == {"note.added"}
    assert change.complete


async def test_of_many_events_the_last_are_named(manager: SessionManager, session_id: str) -> None:
    """What a comparison holds does not grow with what lies in between."""
    for count in range(MOST_EVENTS + 5):
        await manager.update_session_metadata(session_id, {"count": count})
    change = (await _changes(manager, session_id, 1, MOST_EVENTS + 6))["metadata.count"]
    assert [version for version, _ in _causes(change)] == list(range(7, MOST_EVENTS + 7))
    assert not change.complete


async def test_moments_may_be_versions_offsets_and_times(manager: SessionManager, session_id: str) -> None:
    """In any mixture; the same moment twice has no difference."""
    start = await manager.store.now_ms()
    await until(lambda: _later(manager, start))
    await manager.update_session_metadata(session_id, {"a": 1})
    first, last = [event async for event in manager.history(session_id)]
    for a in (1, first.offset, first.at):
        for b in (2, last.offset, last.at):
            assert list(await _changes(manager, session_id, a, b)) == ["metadata.a"]
    assert await _changes(manager, session_id, 2, last.at) == {}


async def test_the_earlier_moment_comes_first(manager: SessionManager, session_id: str) -> None:
    """The other way round is refused, and said."""
    await manager.append(session_id, NoteAdded(text="x"))
    with pytest.raises(InvalidArgument, match="give the earlier moment first"):
        await manager.audit.diff(session_id, 2, 1)


@pytest.mark.parametrize(
    ("moment", "error"),
    [(0, SessionNotFound), (3, InvalidArgument), ("x", InvalidArgument), (1.5, InvalidType), (True, InvalidType)],
)
async def test_a_moment_that_is_none_is_refused(
    manager: SessionManager, session_id: str, moment: Any, error: type[Exception]
) -> None:
    """As where one moment is asked for."""
    with pytest.raises(error):
        await manager.audit.diff(session_id, moment, 1)
    with pytest.raises(error):
        await manager.audit.as_of(session_id, moment)


async def test_an_offset_past_the_end_is_refused(manager: SessionManager, session_id: str) -> None:
    """The present is not passed off for the future."""
    head, _ = await manager.store.head(session_id)
    ms, _, version = head[b"offset"].decode().partition("-")
    for offset in (f"{ms}-{int(version) + 1}", f"{int(ms) + 100_000}-1"):
        with pytest.raises(InvalidArgument, match="past the end"):
            await manager.audit.diff(session_id, 1, offset)


async def test_near_moments_of_a_long_session_are_folded_from_a_base(
    manager: SessionManager, session_id: str, bytes_read: BytesRead
) -> None:
    """What is read is what lies between the base and the second moment."""
    for _ in range(6):
        await talk(manager, session_id, 1_024)
        await settled(manager)
    await manager.store.append(session_id, [StateChanged(state="idle")])
    await bytes_read()
    (change,) = (await manager.audit.diff(session_id, 6_000, 6_146)).changes
    with_bases = await bytes_read()
    await manager.store.server.call("DEL", manager.store.keys.bases(session_id))
    await bytes_read()
    assert (await manager.audit.diff(session_id, 6_000, 6_146)).changes == (change,)
    assert with_bases * 5 < await bytes_read()
