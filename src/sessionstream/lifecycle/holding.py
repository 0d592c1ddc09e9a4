"""Holds: while one stands, nothing of a session is removed."""

from __future__ import annotations

from typing import NamedTuple

from sessionstream.errors import SessionHeld
from sessionstream.events.encrypted import Undecrypted, mark_in
from sessionstream.events.recorded import version_of
from sessionstream.events.stored import reading_stored
from sessionstream.events.strict_json import decode_json
from sessionstream.lifecycle.reading import Head
from sessionstream.log.history import parse_offset
from sessionstream.projections.retention import HOLD

__all__ = ["Standing", "require_unheld", "standing_holds"]

_PREFIX = HOLD.encode()
_ENCRYPTED = "(encrypted, and the key is not here)"


class Standing(NamedTuple):
    """A hold that stands, as the session's head tells of it.

    Attributes:
        hold_id: its id.
        offset: of the event that placed it.
        reason: why, or that this is encrypted.
    """

    hold_id: str
    offset: str
    reason: str


def standing_holds(head: Head) -> list[Standing]:
    """Return the holds that stand on a session, the oldest first."""
    if b"held" not in head:
        return []
    found = []
    with reading_stored("a hold"):
        for field, value in head.items():
            if field.startswith(_PREFIX):
                offset, _, reason = value.decode().partition(" ")
                parse_offset(offset)
                # A hold stands, whoever can read why.
                why = _ENCRYPTED if isinstance(value, Undecrypted) or mark_in(value) >= 0 else decode_json(reason)
                found.append(Standing(field[len(_PREFIX) :].decode(), offset, str(why)))
    return sorted(found, key=lambda hold: version_of(hold.offset))


def require_unheld(session_id: str, head: Head) -> None:
    """Raise `SessionHeld` if a hold stands on a session."""
    if b"held" in head:
        raise SessionHeld(session_id, [hold.reason for hold in standing_holds(head)])
