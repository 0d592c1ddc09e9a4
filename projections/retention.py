"""What is kept of a session, and what is gone of it: the holds that stand, and up to where its stream was trimmed.

All of it lies in the session's head, where whoever would remove something looks first. A hold is the field
``hold:<id>``; ``held`` is there while any stands, so that a script can ask.
"""

from __future__ import annotations

from collections.abc import Iterable

from sessionstream.events.lifecycle import HoldPlaced, HoldReleased, SessionErased, SessionTrimmed
from sessionstream.events.strict_json import encode_json
from sessionstream.projection import AT, HEAD, OFFSET, Add, Operation, Projection, Put, Remove, Unset, index

__all__ = ["HELD", "HOLD", "retention"]

HOLD = "hold:"
HELD = index("held")

retention = Projection("retention", version=1)


@retention.on(HoldPlaced)
def placed(session_id: str, event: HoldPlaced) -> Iterable[Operation]:
    """A hold stands from its own offset on."""
    reason = encode_json(event.reason, "reason").decode()
    yield Put(HEAD, {"held": "1", HOLD + event.hold_id: OFFSET + f" {reason}"})
    yield Add(HELD, AT)


@retention.on(HoldReleased)
def released(session_id: str, event: HoldReleased) -> Iterable[Operation]:
    """A released hold no longer stands; with the last one the session is no longer held."""
    yield Unset(HEAD, [HOLD + event.hold_id])
    if not event.standing:
        yield Unset(HEAD, ["held"])
        yield Remove(HELD)


@retention.on(SessionTrimmed)
def trimmed(session_id: str, event: SessionTrimmed) -> Iterable[Operation]:
    """What is read of the session begins behind the last event that was removed."""
    yield Put(HEAD, {"trimmed": event.upto})


@retention.on(SessionErased)
def erased(session_id: str, event: SessionErased) -> Iterable[Operation]:
    """What was trimmed before it was erased is still not there."""
    if event.trimmed:
        yield Put(HEAD, {"trimmed": event.trimmed})
