"""Where sessions are found: by agent, by state, by expiry.

A session that has not ended stands in the index of its state with its expiry as the score, so that "active and not
expired" is one count of a range, before any sweep. An ended one stands in ``expired`` or ``deleted`` with the moment of
its end, from which its retention runs.
"""

from __future__ import annotations

from collections.abc import Iterable

from sessionstream.events.lifecycle import (
    CheckpointDeleted,
    CheckpointSaved,
    HoldPlaced,
    HoldReleased,
    MetadataUpdated,
    SessionCreated,
    SessionDeleted,
    SessionErased,
    SessionExpired,
    SessionRefreshed,
    SessionRetired,
    SessionTrimmed,
    StateChanged,
)
from sessionstream.projection import (
    AT,
    Add,
    Move,
    Operation,
    Place,
    Projection,
    Remove,
    Rescore,
    Score,
    Slide,
    index,
    nothing,
)

__all__ = ["ERASED", "EXPIRY", "FOREVER", "STATES", "agent", "directory", "looks_at"]

FOREVER = float("inf")
EXPIRY = index("expiry")
STATES = {name: index("state", name) for name in ("active", "idle", "archived", "expired", "deleted")}
ERASED = index("erased")
"""Sessions that were erased, by the moment of that."""

_ALL = tuple(STATES.values())
_RUNNING = (EXPIRY, STATES["active"], STATES["idle"], STATES["archived"])

directory = Projection("directory", version=1)


def agent(agent_id: str) -> Place:
    """Return the index of an agent's sessions that have not ended, by the time of their creation."""
    return index("agent", agent_id)


@directory.on(SessionCreated)
def created(session_id: str, event: SessionCreated) -> Iterable[Operation]:
    """A new session is active, and its agent's."""
    yield Add(agent(event.agent_id), AT)
    yield Move(_ALL, STATES["active"], _score(event.ttl_ms))
    if event.ttl_ms is not None:
        yield Add(EXPIRY, AT + event.ttl_ms)


@directory.on(SessionRefreshed)
def refreshed(session_id: str, event: SessionRefreshed) -> Iterable[Operation]:
    """Its expiry moves wherever it stands."""
    for state in ("active", "idle", "archived"):
        yield Rescore(STATES[state], _score(event.ttl_ms))
    yield Add(EXPIRY, AT + event.ttl_ms) if event.ttl_ms is not None else Remove(EXPIRY)


@directory.on(StateChanged)
def state_changed(session_id: str, event: StateChanged) -> Iterable[Operation]:
    """It moves from one state's index to another's and keeps its expiry."""
    if event.state in STATES:
        yield Move(_ALL, STATES[event.state])


@directory.on(SessionExpired, SessionDeleted)
def ended(session_id: str, event: SessionExpired | SessionDeleted) -> Iterable[Operation]:
    """An ended session is nobody's, and is kept by the moment of its end."""
    yield Remove(agent(event.agent_id))
    yield Remove(EXPIRY)
    yield Move(_ALL, STATES["expired" if isinstance(event, SessionExpired) else "deleted"], AT)


@directory.on(SessionRetired)
def retired(session_id: str, event: SessionRetired) -> Iterable[Operation]:
    """Nothing is left of a retired session."""
    yield Move(_ALL, None)
    if event.erased:
        yield Remove(ERASED)


@directory.on(SessionErased)
def erased(session_id: str, event: SessionErased) -> Iterable[Operation]:
    """An erased session is found by nothing but the moment of that, from which its retention runs."""
    yield Add(ERASED, AT)


@directory.on(MetadataUpdated, CheckpointSaved, CheckpointDeleted, HoldPlaced, HoldReleased, SessionTrimmed)
def kept(session_id: str, event: object) -> Iterable[Operation]:
    """Housekeeping moves a session nowhere, and does not keep it alive."""
    return ()


@directory.otherwise
def happened(session_id: str, event: object) -> Iterable[Operation]:
    """What happens in a session, also what this process has no type for, keeps it alive if its time to live slides."""
    yield Slide(_RUNNING)


def looks_at(projection: Projection, cls: type) -> bool:
    """Whether a projection makes anything of events of a type, but that a session's time to live slides."""
    handler = projection.handlers.get(cls, projection.fallback)
    return (
        handler is not None
        and handler is not nothing
        and not (projection is directory and handler is directory.fallback)
    )


def _score(ttl_ms: int | None) -> Score:
    return FOREVER if ttl_ms is None else AT + ttl_ms
