"""How a session changes while it lives."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from msgspec.json import encode

from sessionstream.errors import ConflictError, InvalidArgument, InvalidType, SessionEnded, SessionNotFound
from sessionstream.events.base import LIVE
from sessionstream.events.ids import checked_id
from sessionstream.events.lifecycle import MetadataUpdated, SessionExpired, SessionRefreshed, StateChanged
from sessionstream.lifecycle.creating import redacted_metadata
from sessionstream.lifecycle.ending import expired_event, forget_ended
from sessionstream.lifecycle.reading import end_of, require_live, session_from
from sessionstream.log.deciding import Decision, append_decided
from sessionstream.log.fencing import require_token
from sessionstream.log.request import Appended
from sessionstream.log.store import Store
from sessionstream.session import Session, SessionState, state_name

__all__ = ["refresh", "set_state", "state_of", "update", "update_metadata"]

_IDENTITY = ("session_id", "user_id", "agent_id", "created_at", "forked_from")


async def update_metadata(
    store: Store, session_id: str, metadata: Mapping[str, Any] | None, unset: Iterable[str]
) -> Appended | None:
    """Set and remove top-level keys; None where there is nothing to do."""
    if isinstance(unset, str) or not isinstance(unset, Iterable):
        raise InvalidType(f"unset: a list of keys, not {unset!r}")
    values, gone = redacted_metadata(store, metadata), list(unset)
    for key in gone:
        if not isinstance(key, str):
            raise InvalidType(f"unset: {key!r} is not a string")
        if key in values:
            raise InvalidArgument(f"metadata: {key!r} is both set and unset")
    if not values and not gone:
        head, now = await store.head(session_id)
        require_live(session_id, head, now)
        return None
    return await store.append(session_id, [MetadataUpdated(set=values, unset=gone)])


async def refresh(store: Store, session_id: str) -> bool:
    """Let the session's own time to live begin anew; False if there is no such session, or it is over."""
    head, now = await store.head(session_id)
    if not head or end_of(head, now) is not None:
        return False
    if not head.get(b"ttl"):
        return True
    try:
        await store.append(session_id, [SessionRefreshed(ttl_ms=int(head[b"ttl"]))], only=LIVE)
    except SessionNotFound:
        return False
    return True


async def state_of(store: Store, session_id: str) -> SessionState | None:
    """Return the state, EXPIRED before any sweep too; None for an unknown, deleted or erased session."""
    head, now = await store.head(session_id)
    end = end_of(head, now)
    if not head or end in ("deleted", "erased"):
        return None
    return SessionState.EXPIRED if end else SessionState(head[b"state"].decode())


async def set_state(store: Store, session_id: str, state: object, expected_version: int | None) -> Appended | None:
    """Change the state; None where it was that already."""
    name = state_name(state)

    async def decide() -> Decision | None:
        head, now = await store.head(session_id)
        if not head:
            raise SessionNotFound(session_id)
        end = end_of(head, now)
        if end is not None and end == name:
            return None
        if end is not None:
            raise SessionEnded(session_id, end)
        session = session_from(session_id, head)
        if expected_version is not None and session.version != expected_version:
            raise ConflictError(session_id, expected=expected_version, actual=session.version)
        if session.state.value == name:
            return None
        ends[:] = [expired_event(head)] if name == "expired" else []
        return Decision(ends or [StateChanged(state=name)], session.version)

    ends: list[SessionExpired] = []
    appended = await append_decided(store, session_id, decide)
    if appended is not None and ends:
        await forget_ended(store, session_id, ends[0])
    return appended


async def update(store: Store, session_id: str, session: Session) -> Session:
    """Append the difference between what was read and what is given, and return the session as it is then."""
    if not isinstance(session, Session):
        raise InvalidType(f"update_session takes the changed Session, not a {type(session).__name__}")
    checked_id(session_id, "session_id")
    given = replace(session, metadata=redacted_metadata(store, session.metadata))

    async def decide() -> Decision | None:
        # A time to live is counted from now, so an expiry that is given wants the very moment.
        head, now = await store.head(session_id, exact=True)
        require_live(session_id, head, now)
        # Who lost the lock is told so, and not that the successor's change is a conflict.
        require_token(store.fence(session_id), session_id, head)
        current = session_from(session_id, head)
        _check_identity(current, given, session_id)
        read = _as_read(session) or current
        events = _differences(read, current, given, now)
        return Decision(events, current.version) if events else None

    await append_decided(store, session_id, decide)
    head, _ = await store.existing_head(session_id)
    after = session_from(session_id, head)
    session.metadata, session.state = copy.deepcopy(after.metadata), after.state
    session.version, session.last_event_at, session.expires_at = after.version, after.last_event_at, after.expires_at
    session.as_read = head
    return after


def _as_read(session: Session) -> Session | None:
    read = session.as_read
    return session_from(session.session_id, read) if isinstance(read, Mapping) else read


def _check_identity(current: Session, given: Session, session_id: str) -> None:
    changed = [name for name in _IDENTITY if getattr(given, name) != getattr(current, name)]
    if changed or given.session_id != session_id:
        names = ", ".join(changed) or "session_id"
        raise InvalidArgument(f"{names} of session {session_id!r} cannot be changed: create another session")


def _differences(read: Session, current: Session, given: Session, now_ms: int) -> list[Any]:
    """Return the events that make of the current session what was given, as far as the caller changed it."""
    events: list[Any] = []
    conflicts: list[str] = []
    changed = {key: given.metadata[key] for key in given.metadata if _json(given, key) != _json(read, key)}
    removed = [key for key in read.metadata if key not in given.metadata]
    for key in (*changed, *removed):
        if _json(current, key) != _json(read, key):
            conflicts.append(f"metadata.{key}")
    if changed or removed:
        events.append(MetadataUpdated(set=changed, unset=removed))
    if state_name(given.state) != read.state.value:
        if current.state != read.state:
            conflicts.append("state")
        if state_name(given.state) == "expired":
            raise InvalidArgument("state: end a session with set_session_state or delete_session")
        events.append(StateChanged(state=state_name(given.state)))
    if given.expires_at != read.expires_at:
        if current.expires_at != read.expires_at:
            conflicts.append("expires_at")
        events.append(SessionRefreshed(ttl_ms=_time_left(given.expires_at, now_ms)))
    if conflicts:
        raise ConflictError(given.session_id, actual=current.version, fields=tuple(conflicts))
    return events


def _json(session: Session, key: str) -> bytes | None:
    """Return the JSON of a metadata key, None where it is absent: Python holds 1, 1.0 and True equal, JSON does not."""
    return encode(session.metadata[key], order="sorted") if key in session.metadata else None


def _time_left(expires_at: datetime | None, now_ms: int) -> int | None:
    if expires_at is None:
        return None
    if not isinstance(expires_at, datetime) or expires_at.utcoffset() is None:
        raise InvalidArgument("expires_at is an aware datetime, or None")
    left = int(expires_at.timestamp() * 1000) - now_ms
    if left <= 0:
        raise InvalidArgument("expires_at is past: end a session with set_session_state or delete_session")
    return left
