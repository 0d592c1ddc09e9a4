"""A session as its head tells of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from sessionstream.errors import CorruptRecord, SessionEnded, SessionNotFound
from sessionstream.events.encrypted import NO_KEYS, Undecrypted
from sessionstream.events.forked import ForkedFrom
from sessionstream.events.recorded import moment
from sessionstream.events.stored import UNREADABLE
from sessionstream.projection import HEAD
from sessionstream.projections.session import METADATA
from sessionstream.session import Session, SessionState

__all__ = ["end_of", "ended_or_lapsed", "is_live", "live_session", "require_decrypted", "require_live", "session_from"]

ENDS = {b"expired": "expired", b"deleted": "deleted", b"erased": "erased"}
"""The states of a session that is over, each with the reason."""
_STATES = {state.value.encode(): state for state in SessionState} | {
    b"deleted": SessionState.EXPIRED,
    b"erased": SessionState.EXPIRED,
}
_MOST_SHAPES = 1_000
_PREFIX = METADATA.encode()
_decode = msgspec.json.Decoder().decode
_decode_fork = msgspec.json.Decoder(ForkedFrom).decode

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


def _metadata_of(session_id: str, head: Head) -> dict[str, Any]:
    fields = _metadata[tuple(head)]
    try:
        return {name: _decode(head[field]) for field, name in fields}
    except msgspec.MsgspecError:
        for field, _ in fields:
            require_decrypted(head[field])
        raise


def require_decrypted(value: bytes) -> None:
    """Raise why a value of a head could not be decrypted, if that is why it cannot be read."""
    if isinstance(value, Undecrypted):
        raise value.error
    NO_KEYS.field("", "", HEAD, b"", value)


def end_of(head: Head, now_ms: int) -> str | None:
    """Return ``expired``, ``deleted`` or ``erased`` for one that is over, swept or not, and None for any other."""
    ended = ENDS.get(head.get(b"state", b""))
    if ended is None and ended_or_lapsed(head, now_ms):
        return "expired"
    return ended


def ended_or_lapsed(head: Head, now_ms: int) -> bool:
    """Whether the session has ended, or its time is over."""
    expires = head.get(b"expires_at")
    return head.get(b"state", b"") in ENDS or bool(expires and int(expires) <= now_ms)


def require_live(session_id: str, head: Head, now_ms: int) -> None:
    """Raise `SessionNotFound` for an unknown session and `SessionEnded` for one that is over."""
    if b"offset" not in head:
        raise SessionNotFound(session_id)
    if (reason := end_of(head, now_ms)) is not None:
        raise SessionEnded(session_id, reason)


def is_live(head: Head, now_ms: int) -> bool:
    """Whether a head tells of a session that is neither expired nor deleted."""
    return b"offset" in head and not ended_or_lapsed(head, now_ms)


def live_session(session_id: str, head: Head, now_ms: int) -> Session | None:
    """Return the session, or None if it is unknown, expired or deleted."""
    try:
        gone = b"offset" not in head or ended_or_lapsed(head, now_ms)
    except ValueError as error:
        raise CorruptRecord("the head", str(error), session_id) from None
    return None if gone else session_from(session_id, head)


def session_from(session_id: str, head: Head) -> Session:
    """Return the session that a head tells of, whatever its state; raises `CorruptRecord` where that does not read."""
    try:
        return _session_from(session_id, head)
    except UNREADABLE as error:
        raise CorruptRecord("the head", f"{type(error).__name__}: {error}", session_id) from None


def _session_from(session_id: str, head: Head) -> Session:
    get = head.get
    ms, _, version = head[b"offset"].partition(b"-")
    expires = get(b"expires_at")
    return Session(
        session_id,
        get(b"user_id", b"").decode(),
        get(b"agent_id", b"").decode(),
        moment(int(get(b"created_at", b"0"))),
        moment(int(expires)) if expires else None,
        _metadata_of(session_id, head),
        _STATES[get(b"state", b"active")],
        int(version),
        moment(int(ms)),
        None if (forked := get(b"forked_from")) is None else _decode_fork(forked),
        # The fields as they came: copying the decoded values would cost more than reading them did.
        head,
    )
