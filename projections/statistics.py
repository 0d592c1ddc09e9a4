"""How many sessions have ended, and how long they lasted together; of the sessions that are still kept."""

from __future__ import annotations

from collections.abc import Iterable

from sessionstream.events.lifecycle import SessionDeleted, SessionExpired, SessionRetired
from sessionstream.projection import AT, Increment, Operation, Projection, counters

__all__ = ["LIFETIMES", "statistics"]

LIFETIMES = counters("lifetimes")

statistics = Projection("statistics", version=1)


@statistics.on(SessionExpired, SessionDeleted)
def ended(session_id: str, event: SessionExpired | SessionDeleted) -> Iterable[Operation]:
    """One more has ended, after so long."""
    yield Increment(LIFETIMES, "sessions", 1)
    yield Increment(LIFETIMES, "milliseconds", AT + -event.created_ms)


@statistics.on(SessionRetired)
def retired(session_id: str, event: SessionRetired) -> Iterable[Operation]:
    """A retired session no longer counts; an erased one has not since then."""
    if event.erased:
        return
    yield Increment(LIFETIMES, "sessions", -1)
    yield Increment(LIFETIMES, "milliseconds", event.created_ms - event.ended_ms)
