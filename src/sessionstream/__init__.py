"""sessionstream: an event-sourced session store for AI agent runtimes, on Redis Streams.

Every change to a session is appended as a typed event to the session's own stream; projections fold the events into
what is read. `SessionManager` is the door. Names are loaded when they are first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sessionstream.audit import AsOf as AsOf
    from sessionstream.audit import Audit as Audit
    from sessionstream.audit import Change as Change
    from sessionstream.audit import Diff as Diff
    from sessionstream.audit import Trace as Trace
    from sessionstream.checkpoints.reading import Resumed as Resumed
    from sessionstream.consumers import Consumer as Consumer
    from sessionstream.consumers import Consumers as Consumers
    from sessionstream.consumers import Item as Item
    from sessionstream.erasure import Erased as Erased
    from sessionstream.errors import AccessDenied as AccessDenied
    from sessionstream.errors import ArchiveDamaged as ArchiveDamaged
    from sessionstream.errors import ConflictError as ConflictError
    from sessionstream.errors import HistoryTrimmed as HistoryTrimmed
    from sessionstream.errors import IdempotencyConflict as IdempotencyConflict
    from sessionstream.errors import InvalidArgument as InvalidArgument
    from sessionstream.errors import LockLost as LockLost
    from sessionstream.errors import LockTimeout as LockTimeout
    from sessionstream.errors import OutcomeUnknown as OutcomeUnknown
    from sessionstream.errors import SessionEnded as SessionEnded
    from sessionstream.errors import SessionExists as SessionExists
    from sessionstream.errors import SessionHeld as SessionHeld
    from sessionstream.errors import SessionNotFound as SessionNotFound
    from sessionstream.errors import SessionStreamError as SessionStreamError
    from sessionstream.errors import Unavailable as Unavailable
    from sessionstream.events.base import Event as Event
    from sessionstream.events.base import Phase as Phase
    from sessionstream.events.base import event as event
    from sessionstream.events.context import acting as acting
    from sessionstream.events.encrypted import EncryptedEvent as EncryptedEvent
    from sessionstream.events.forked import ForkedFrom as ForkedFrom
    from sessionstream.events.lifecycle import CheckpointDeleted as CheckpointDeleted
    from sessionstream.events.lifecycle import CheckpointSaved as CheckpointSaved
    from sessionstream.events.lifecycle import EventErased as EventErased
    from sessionstream.events.lifecycle import HoldPlaced as HoldPlaced
    from sessionstream.events.lifecycle import HoldReleased as HoldReleased
    from sessionstream.events.lifecycle import MetadataUpdated as MetadataUpdated
    from sessionstream.events.lifecycle import SessionCreated as SessionCreated
    from sessionstream.events.lifecycle import SessionDeleted as SessionDeleted
    from sessionstream.events.lifecycle import SessionErased as SessionErased
    from sessionstream.events.lifecycle import SessionExpired as SessionExpired
    from sessionstream.events.lifecycle import SessionRefreshed as SessionRefreshed
    from sessionstream.events.lifecycle import SessionRetired as SessionRetired
    from sessionstream.events.lifecycle import SessionTrimmed as SessionTrimmed
    from sessionstream.events.lifecycle import StateChanged as StateChanged
    from sessionstream.events.recorded import RecordedEvent as RecordedEvent
    from sessionstream.events.recorded import UnknownEvent as UnknownEvent
    from sessionstream.events.recorded import UnreadableEvent as UnreadableEvent
    from sessionstream.events.runtime import ErrorOccurred as ErrorOccurred
    from sessionstream.events.runtime import MessageAdded as MessageAdded
    from sessionstream.events.runtime import MessageRetracted as MessageRetracted
    from sessionstream.events.runtime import NoteAdded as NoteAdded
    from sessionstream.events.runtime import ToolCalled as ToolCalled
    from sessionstream.events.runtime import ToolReturned as ToolReturned
    from sessionstream.events.runtime import UsageRecorded as UsageRecorded
    from sessionstream.feed.cursor import Cursor as Cursor
    from sessionstream.following import Delta as Delta
    from sessionstream.following import FeedFollower as FeedFollower
    from sessionstream.following import SessionFollower as SessionFollower
    from sessionstream.integrity.reporting import Claim as Claim
    from sessionstream.integrity.reporting import Finding as Finding
    from sessionstream.integrity.reporting import Verification as Verification
    from sessionstream.integrity.sealing import Sealed as Sealed
    from sessionstream.locks import Lock as Lock
    from sessionstream.log.request import Appended as Appended
    from sessionstream.manager import SessionManager as SessionManager
    from sessionstream.owned import UserSessions as UserSessions
    from sessionstream.projection import Projection as Projection
    from sessionstream.rebuild import Rebuilt as Rebuilt
    from sessionstream.recipes import AgentConfig as AgentConfig
    from sessionstream.recipes import CachedSessionManager as CachedSessionManager
    from sessionstream.redaction import Redaction as Redaction
    from sessionstream.retention import Archived as Archived
    from sessionstream.retention import Hold as Hold
    from sessionstream.retention import Retention as Retention
    from sessionstream.session import Checkpoint as Checkpoint
    from sessionstream.session import Session as Session
    from sessionstream.session import SessionState as SessionState
    from sessionstream.settings import Settings as Settings

_ROOMS = {
    "audit": ("AsOf", "Audit", "Change", "Diff", "Trace"),
    "checkpoints.reading": ("Resumed",),
    "consumers": ("Consumer", "Consumers", "Item"),
    "erasure": ("Erased",),
    "errors": (
        "AccessDenied", "ArchiveDamaged", "ConflictError", "HistoryTrimmed", "IdempotencyConflict", "InvalidArgument",
        "LockLost", "LockTimeout", "OutcomeUnknown", "SessionEnded", "SessionExists", "SessionHeld", "SessionNotFound",
        "SessionStreamError", "Unavailable",
    ),
    "events.base": ("Event", "Phase", "event"),
    "events.context": ("acting",),
    "events.encrypted": ("EncryptedEvent",),
    "events.forked": ("ForkedFrom",),
    "events.lifecycle": (
        "CheckpointDeleted", "CheckpointSaved", "EventErased", "HoldPlaced", "HoldReleased", "MetadataUpdated",
        "SessionCreated", "SessionDeleted", "SessionErased", "SessionExpired", "SessionRefreshed", "SessionRetired",
        "SessionTrimmed", "StateChanged",
    ),
    "events.recorded": ("RecordedEvent", "UnknownEvent", "UnreadableEvent"),
    "events.runtime": (
        "ErrorOccurred", "MessageAdded", "MessageRetracted", "NoteAdded", "ToolCalled", "ToolReturned", "UsageRecorded",
    ),
    "integrity.reporting": ("Claim", "Finding", "Verification"),
    "integrity.sealing": ("Sealed",),
    "feed.cursor": ("Cursor",),
    "following": ("Delta", "FeedFollower", "SessionFollower"),
    "locks": ("Lock",),
    "log.request": ("Appended",),
    "manager": ("SessionManager",),
    "owned": ("UserSessions",),
    "projection": ("Projection",),
    "rebuild": ("Rebuilt",),
    "retention": ("Archived", "Hold", "Retention"),
    "redaction": ("Redaction",),
    "recipes": ("AgentConfig", "CachedSessionManager"),
    "session": ("Checkpoint", "Session", "SessionState"),
    "settings": ("Settings",),
}  # fmt: skip
_HOMES = {name: room for room, names in _ROOMS.items() for name in names}

__version__ = "0.1.0"
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
