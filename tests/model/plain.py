"""The model: what is kept of sessions, in plain values, and what each event makes of it.

It knows nothing of streams, views or scripts. Of the library it takes the names of the event types alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from sessionstream import MessageAdded, MessageRetracted
from sessionstream.events import lifecycle as life

__all__ = [
    "NOWHERE",
    "RETIRED",
    "UNSEEN",
    "Happened",
    "Model",
    "Saved",
    "SessionModel",
    "View",
    "at_ms",
    "conversation",
    "version_of",
]

NOWHERE = "0-0"
RETIRED = "retired"
"""What followers are told of a session that was removed."""
UNSEEN = "unseen"
"""The end of a session that was removed with it: whoever was quick has read it."""
_HOUSEKEEPING = (
    life.SessionCreated,
    life.MetadataUpdated,
    life.SessionRefreshed,
    life.StateChanged,
    life.SessionExpired,
    life.SessionDeleted,
    life.CheckpointSaved,
    life.CheckpointDeleted,
    life.HoldPlaced,
    life.HoldReleased,
    life.SessionTrimmed,
)


def at_ms(offset: str) -> int:
    """Return the milliseconds of an offset."""
    return int(offset.partition("-")[0])


def version_of(offset: str) -> int:
    """Return the version of an offset."""
    return int(offset.partition("-")[2])


@dataclass(frozen=True)
class Happened:
    """An event that is in a session's history.

    Attributes:
        session_id: of which session.
        offset: where.
        event: what.
    """

    session_id: str
    offset: str
    event: Any


@dataclass(frozen=True)
class Saved:
    """A checkpoint that stands."""

    checkpoint_id: str
    saved_at: str
    covers: str
    label: str | None
    sha256: str


@dataclass(frozen=True)
class View:
    """What a session is after one of its events."""

    user_id: str
    agent_id: str
    created_ms: int
    ttl_ms: int | None
    sliding: bool
    expires_ms: int | None
    state: str
    metadata: dict[str, Any]
    checkpoints: tuple[Saved, ...] = ()
    holds: dict[str, str] = field(default_factory=dict)
    ended_ms: int | None = None

    @property
    def checkpoint(self) -> Saved | None:
        """The one that was saved last."""
        return self.checkpoints[-1] if self.checkpoints else None

    @property
    def ended(self) -> bool:
        """Whether an event has ended it."""
        return self.state in ("expired", "deleted")


def _begun(event: life.SessionCreated, ms: int) -> View:
    expires = None if event.ttl_ms is None else ms + event.ttl_ms
    return View(event.user_id, event.agent_id, ms, event.ttl_ms, event.sliding, expires, "active", dict(event.metadata))


def _after(view: View, offset: str, event: Any) -> View:
    """Return what a session is after one more event."""
    ms = at_ms(offset)
    match event:
        case life.MetadataUpdated(set=values, unset=gone):
            merged = {**view.metadata, **values}
            return replace(view, metadata={key: merged[key] for key in merged if key not in gone})
        case life.SessionRefreshed(ttl_ms=ttl):
            return replace(view, expires_ms=None if ttl is None else ms + ttl)
        case life.StateChanged(state=state):
            return replace(view, state=state)
        case life.SessionExpired():
            return replace(view, state="expired", ended_ms=ms)
        case life.SessionDeleted():
            return replace(view, state="deleted", ended_ms=ms)
        case life.CheckpointSaved():
            saved = Saved(event.checkpoint_id, offset, event.covers, event.label, event.sha256)
            return replace(view, checkpoints=(*view.checkpoints, saved))
        case life.CheckpointDeleted(checkpoint_id=gone):
            left = tuple(one for one in view.checkpoints if one.checkpoint_id != gone)
            return replace(view, checkpoints=left)
        case life.HoldPlaced(hold_id=hold, reason=reason):
            return replace(view, holds={**view.holds, hold: reason})
        case life.HoldReleased(hold_id=gone):
            return replace(view, holds={hold: view.holds[hold] for hold in view.holds if hold != gone})
    if view.sliding and view.ttl_ms is not None and not isinstance(event, _HOUSEKEEPING):
        return replace(view, expires_ms=ms + view.ttl_ms)
    return view


def conversation(past: Iterable[Happened]) -> list[Happened]:
    """Return the messages that were added and not taken back."""
    past = list(past)
    retracted = {one.event.offset for one in past if isinstance(one.event, MessageRetracted)}
    return [one for one in past if isinstance(one.event, MessageAdded) and one.offset not in retracted]


@dataclass
class SessionModel:
    """What is kept of one session.

    Attributes:
        session_id: its id.
        inherited: what had happened in its origins when it was forked.
        events: its own, oldest first.
        views: what it was after each of them.
        keys: what each idempotency key was used for: the events, and the offset and the count that they got.
        trimmed: up to which version its events are gone from the stream.
        lapsed: whether its time was seen to be over.
        origins: the sessions that it comes from, nearest first, as they were then.
        token: the last fencing token of its lock.
        handled: how many of its events the consumer group has handled.
    """

    session_id: str
    inherited: list[Happened] = field(default_factory=list)
    events: list[Happened] = field(default_factory=list)
    views: list[View] = field(default_factory=list)
    keys: dict[str, tuple[list[Any], str, int]] = field(default_factory=dict)
    trimmed: int = 0
    lapsed: bool = False
    origins: tuple[SessionModel, ...] = ()
    token: int = 0
    handled: int = 0

    @property
    def version(self) -> int:
        """How many events it has."""
        return len(self.events)

    @property
    def offset(self) -> str:
        """Of its last event."""
        return self.events[-1].offset if self.events else NOWHERE

    @property
    def view(self) -> View:
        """What it is now."""
        return self.views[-1]

    @property
    def past(self) -> list[Happened]:
        """All that happened in it, and before in its origins."""
        return [*self.inherited, *self.events]

    @property
    def over(self) -> bool:
        """Whether it has ended, or its time is over."""
        return self.view.ended or self.lapsed

    def offset_at(self, version: int) -> str:
        """Return the offset of a version; 0 is the beginning."""
        return self.events[version - 1].offset if version else NOWHERE

    def take(self, offset: str, event: Any) -> None:
        """Add an event."""
        view = _begun(event, at_ms(offset)) if not self.events else _after(self.view, offset, event)
        self.events.append(Happened(self.session_id, offset, event))
        self.views.append(view)
        if isinstance(event, life.SessionTrimmed):
            self.trimmed = version_of(event.upto)

    def past_at(self, version: int) -> list[Happened]:
        """Return what had happened in it, and in its origins, when it had a version."""
        return [*self.inherited, *self.events[:version]]

    def body_of(self, saved: Saved | None, bodies: dict[tuple[str, str], Any]) -> Any:
        """Return the data of a checkpoint; None if it does not stand any more."""
        stands = saved is not None and saved in self.view.checkpoints
        return bodies[self.session_id, saved.saved_at] if saved is not None and stands else None


@dataclass
class Model:
    """What is kept of a namespace.

    Attributes:
        sessions: those that are kept, ended ones too, in the order of their creation.
        bodies: the data of each checkpoint, by its session and the offset of its event.
        feed: for each session id what followers are told: offsets, `RETIRED`, `UNSEEN`.
    """

    sessions: dict[str, SessionModel] = field(default_factory=dict)
    bodies: dict[tuple[str, str], Any] = field(default_factory=dict)
    feed: dict[str, list[str]] = field(default_factory=dict)

    def live(self) -> Iterator[SessionModel]:
        """Yield the sessions that are neither over nor gone, newest first."""
        for session in reversed(self.sessions.values()):
            if not session.over:
                yield session

    def removed(self, session: SessionModel) -> None:
        """Note that all of a session is gone; where it had not ended, its end was appended just before."""
        self.sessions.pop(session.session_id)
        self.feed[session.session_id] += [RETIRED] if session.view.ended else [UNSEEN, RETIRED]
