"""What ``--json`` says: plain objects, one a line; times are ISO 8601 in UTC."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from sessionstream.audit import AsOf
from sessionstream.checkpoints.reading import Resumed
from sessionstream.cli.moments import full
from sessionstream.events.recorded import RecordedEvent
from sessionstream.session import Checkpoint, Session

if TYPE_CHECKING:
    from sessionstream.following import Delta

__all__ = ["as_of_record", "checkpoint_record", "delta_record", "event_record", "resumed_record", "session_record"]


def session_record(session: Session, state: str) -> dict[str, Any]:
    """Return a session; its state may also be ``deleted``."""
    return {
        "session_id": session.session_id,
        "user_id": session.user_id,
        "agent_id": session.agent_id,
        "state": state,
        "version": session.version,
        "created_at": full(session.created_at),
        "last_event_at": full(session.last_event_at),
        "expires_at": full(session.expires_at),
        "metadata": session.metadata,
    }


def event_record(event: RecordedEvent) -> dict[str, Any]:
    """Return an event with its data as JSON, or with what is wrong with it."""
    return {
        "session_id": event.session_id,
        "offset": event.offset,
        "version": event.version,
        "at": full(event.at),
        "type": event.type,
        "schema_version": event.schema_version,
        "id": event.id,
        "actor": event.actor,
        "correlation_id": event.correlation_id,
        "causation_id": event.causation_id,
        "data": _stored_json(event.raw),
        "error": None if event.error is None else str(event.error),
    }


def delta_record(delta: Delta) -> dict[str, Any]:
    """Return what was published, under ``delta``."""
    return {
        "session_id": delta.session_id,
        "offset": delta.offset,
        "at": full(delta.at),
        "id": delta.id,
        "delta": delta.data,
    }


def checkpoint_record(checkpoint: Checkpoint, *, with_data: bool) -> dict[str, Any]:
    """Return a checkpoint, with its data if asked for."""
    record = {name: value for name, value in checkpoint.items() if with_data or name != "data"}
    return record | {"created_at": full(checkpoint.created_at)}


def as_of_record(known: AsOf) -> dict[str, Any]:
    """Return a session as it was known at a moment."""
    return {
        "offset": known.offset,
        "at": full(known.at),
        **session_record(known.session, known.state.value),
        "checkpoint": None if known.checkpoint is None else checkpoint_record(known.checkpoint, with_data=True),
    }


def resumed_record(resumed: Resumed) -> dict[str, Any]:
    """Return where a session goes on."""
    return {
        "session": session_record(resumed.session, resumed.session.state.value),
        "checkpoint": None if resumed.checkpoint is None else checkpoint_record(resumed.checkpoint, with_data=True),
        "events": [event_record(event) for event in resumed.events],
        "offset": resumed.offset,
        "version": resumed.version,
    }


def _stored_json(raw: bytes) -> Any:
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return raw.decode(errors="backslashreplace")
    return value if isinstance(value, Mapping) else raw.decode(errors="backslashreplace")
