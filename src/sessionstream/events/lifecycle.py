"""Lifecycle events: one for each change of a session that is not what the agent itself says or does."""

from __future__ import annotations

from typing import Any

from sessionstream.events.base import LIVE, Event, Phase, event
from sessionstream.events.forked import ForkedFrom

__all__ = [
    "CheckpointDeleted",
    "CheckpointSaved",
    "EventErased",
    "HoldPlaced",
    "HoldReleased",
    "MetadataUpdated",
    "SessionCreated",
    "SessionDeleted",
    "SessionErased",
    "SessionExpired",
    "SessionRefreshed",
    "SessionRetired",
    "SessionTrimmed",
    "StateChanged",
]

_OVER = frozenset({Phase.LIVE, Phase.LAPSED})
_KEPT = frozenset({Phase.LIVE, Phase.LAPSED, Phase.ENDED})


@event("session.created", phases=frozenset({Phase.ABSENT}), runtime=False)
class SessionCreated(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A session began.

    Attributes:
        user_id: whose it is.
        agent_id: with which agent.
        metadata: the caller's own facts about it.
        ttl_ms: milliseconds until it expires; None does not expire.
        sliding: every runtime event renews the time to live.
        forked_from: where it comes from, if it is a fork.
    """

    user_id: str
    agent_id: str
    metadata: dict[str, Any] = {}
    ttl_ms: int | None = None
    sliding: bool = False
    forked_from: ForkedFrom | None = None


@event("session.metadata_updated", phases=LIVE, runtime=False)
class MetadataUpdated(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Top-level keys of the metadata were set or removed.

    Attributes:
        set: keys and their new values; None is a value.
        unset: keys that were removed.
    """

    set: dict[str, Any] = {}
    unset: list[str] = []


@event("session.refreshed", phases=LIVE, runtime=False)
class SessionRefreshed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The time to live began anew.

    Attributes:
        ttl_ms: milliseconds from now until it expires; None does not expire.
    """

    ttl_ms: int | None = None


@event("session.state_changed", phases=LIVE, runtime=False)
class StateChanged(Event, frozen=True, kw_only=True):
    """The session became active, idle or archived.

    Attributes:
        state: ``active``, ``idle`` or ``archived``.
    """

    state: str


@event("session.expired", phases=_OVER, runtime=False)
class SessionExpired(Event, frozen=True, kw_only=True):
    """The session ended because its time was over, or because it was set to EXPIRED.

    Attributes:
        user_id: whose it was.
        agent_id: with which agent.
        created_ms: when it was created, so that its duration needs no look-up.
    """

    user_id: str
    agent_id: str
    created_ms: int


@event("session.deleted", phases=_OVER, runtime=False)
class SessionDeleted(Event, frozen=True, kw_only=True):
    """The session ended because somebody deleted it.

    Attributes:
        user_id: whose it was.
        agent_id: with which agent.
        created_ms: when it was created, so that its duration needs no look-up.
    """

    user_id: str
    agent_id: str
    created_ms: int


@event("checkpoint.saved", phases=LIVE, runtime=False)
class CheckpointSaved(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A snapshot of the agent's data was saved; its body lies beside the stream.

    Attributes:
        checkpoint_id: its id, unique in the session.
        covers: the offset of the last event that the data includes.
        size: bytes of the body's JSON.
        sha256: of the body's JSON, in hexadecimal.
        label: the caller's own name for it.
    """

    checkpoint_id: str
    covers: str
    size: int
    sha256: str
    label: str | None = None


@event("checkpoint.deleted", phases=_KEPT, runtime=False)
class CheckpointDeleted(Event, frozen=True, kw_only=True):
    """A checkpoint was deleted, and its body with it.

    Attributes:
        checkpoint_id: its id.
    """

    checkpoint_id: str


@event("session.held", phases=_KEPT, runtime=False)
class HoldPlaced(Event, frozen=True, kw_only=True):
    """The session is to be kept: nothing of it is removed while any hold stands.

    Attributes:
        hold_id: the hold's id, unique in the session while it stands.
        reason: why.
    """

    hold_id: str
    reason: str


@event("session.released", phases=_KEPT, runtime=False)
class HoldReleased(Event, frozen=True, kw_only=True):
    """A hold no longer stands.

    Attributes:
        hold_id: the hold's id.
        standing: how many others still stand.
    """

    hold_id: str
    standing: int


@event("session.trimmed", phases=_KEPT, runtime=False)
class SessionTrimmed(Event, frozen=True, kw_only=True):
    """The oldest events that were still in the session's stream were removed from it; an archive has them.

    Attributes:
        upto: the offset of the last event that was removed.
        archive: the name of the archive's file that holds it.
        sha256: of that file's lines, as its last line says it, in hexadecimal.
    """

    upto: str
    archive: str
    sha256: str


@event("session.retired", phases=frozenset(), runtime=False)
class SessionRetired(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The retention of an ended session was over and all of it was removed; only the feed tells of it.

    Attributes:
        user_id: whose it was.
        agent_id: with which agent.
        created_ms: when it was created.
        ended_ms: when it ended.
        erased: it had been erased before, so that nothing was counted of it any more.
    """

    user_id: str
    agent_id: str
    created_ms: int
    ended_ms: int
    erased: bool = False


@event("event.erased", phases=frozenset(), runtime=False)
class EventErased(Event, frozen=True, kw_only=True, omit_defaults=True):
    """In the place of an event that was erased: nothing is left of it but its offset, and what proves that it was it.

    Attributes:
        digest: the keyed digest of the event, in base64, where a seal covers it and the key was there; see
            `sessionstream.integrity.chain`.
    """

    digest: str = ""


@event("session.erased", phases=frozenset({Phase.ENDED}), runtime=False)
class SessionErased(Event, frozen=True, kw_only=True, omit_defaults=True):
    """All that was kept of a session was erased; what its events had made is nothing from here on.

    Attributes:
        agent_id: with which agent it was.
        created_ms: when it was created.
        ended_ms: when it ended.
        events: how many entries of its stream were erased.
        trimmed: the offset of the last event that was trimmed from its stream before; empty for none.
    """

    agent_id: str
    created_ms: int
    ended_ms: int
    events: int
    trimmed: str = ""
