"""A session as its head tells of it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from sessionstream.errors import SessionEnded, SessionNotFound
from sessionstream.events.recorded import at_ms, moment, version_of
from sessionstream.projections.session import METADATA
from sessionstream.session import Session, SessionState

__all__ = ["end_of", "ended_or_lapsed", "live_session", "require_live", "session_from"]

_ENDS = {b"expired": "expired", b"deleted": "deleted"}
_STATES = {state.value: state for state in SessionState} | {"deleted": SessionState.EXPIRED}
_MOST_SHAPES = 1_000
_PREFIX = METADATA.encode()
_decode = msgspec.json.Decoder().decode

Head = Mapping[bytes, bytes]


class _MetadataFields(dict[tuple[bytes, ...], list[tuple[bytes, str]]]):
    """Which fields of a head are metadata, and how these are called: heads of one agent mostly have the same fields."""

    def __missing__(self, fields: tuple[bytes, ...]) -> list[tuple[bytes, str]]:
        found = [(field, field[len(_PREFIX) :].decode()) for field in fields if field.startswith(_PREFIX)]
        if len(self) >= _MOST_SHAPES:
            self.clear()
        self[fields] = found
        return found


_metadata = _MetadataFields()


def end_of(head: Head, now_ms: int) -> str | None:
    """Return ``expired`` or ``deleted`` for a session that is over, swept or not, and None for any other."""
    ended = _ENDS.get(head.get(b"state", b""))
    if ended is None and ended_or_lapsed(head, now_ms):
        return "expired"
    return ended


def ended_or_lapsed(head: Head, now_ms: int) -> bool:
    """Whether the session has ended, or its time is over."""
    expires = head.get(b"expires_at")
    return head.get(b"state", b"") in _ENDS or bool(expires and int(expires) <= now_ms)


def require_live(session_id: str, head: Head, now_ms: int) -> None:
    """Raise `SessionNotFound` for an unknown session and `SessionEnded` for one that is over."""
    if b"offset" not in head:
        raise SessionNotFound(session_id)
    if (reason := end_of(head, now_ms)) is not None:
        raise SessionEnded(session_id, reason)


def live_session(session_id: str, head: Head, now_ms: int) -> Session | None:
    """Return the session, or None if it is unknown, expired or deleted."""
    if b"offset" not in head or ended_or_lapsed(head, now_ms):
        return None
    return session_from(session_id, head)


def session_from(session_id: str, head: Head) -> Session:
    """Return the session that a head tells of, whatever its state."""
    offset = head[b"offset"].decode()
    expires = head.get(b"expires_at")
    state = head.get(b"state", b"active").decode()
    return Session(
        session_id=session_id,
        user_id=head.get(b"user_id", b"").decode(),
        agent_id=head.get(b"agent_id", b"").decode(),
        created_at=moment(int(head.get(b"created_at", b"0"))),
        expires_at=moment(int(expires)) if expires else None,
        metadata={name: _decode(head[field]) for field, name in _metadata[tuple(head)]},
        state=_STATES[state],
        version=version_of(offset),
        last_event_at=moment(at_ms(offset)),
        # The fields as they came: copying the decoded values would cost more than reading them did.
        as_read=head,
    )
