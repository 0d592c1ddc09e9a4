"""What ``--json`` says: plain objects, one a line; times are ISO 8601 in UTC."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from sessionstream.audit import AsOf, Diff
from sessionstream.checkpoints.reading import Resumed
from sessionstream.cli.moments import full
from sessionstream.events.encrypted import EncryptedEvent
from sessionstream.events.recorded import RecordedEvent
from sessionstream.session import Checkpoint, Session

if TYPE_CHECKING:
    from sessionstream.following import Delta

__all__ = [
    "as_of_record",
    "checkpoint_record",
    "delta_record",
    "diff_record",
    "event_record",
    "resumed_record",
    "session_record",
]


def session_record(session: Session, state: str) -> dict[str, Any]:
    """Return a session; its state may also be ``deleted``; only a fork has ``forked_from``."""
    forked = session.forked_from
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
        **({} if forked is None else {"forked_from": {"session_id": forked.session_id, "offset": forked.offset}}),
    }


def event_record(event: RecordedEvent) -> dict[str, Any]:
    """Return an event with its data as JSON, or with what is wrong with it, or why it cannot be decrypted."""
    problem = event.error or (event.data.error if isinstance(event.data, EncryptedEvent) else None)
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
        "data": _stored_json(event.plain) if problem is None or event.error is not None else None,
        "error": None if problem is None else str(problem),
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


def diff_record(found: Diff) -> dict[str, Any]:
    """Return what changed between two moments."""
    return {
        "session_id": found.before.session.session_id,
        "from": {"offset": found.before.offset, "at": full(found.before.at), "version": found.before.version},
        "to": {"offset": found.after.offset, "at": full(found.after.at), "version": found.after.version},
        "events": found.events,
        "types": dict(found.types),
        "changes": [
            {
                "path": list(change.path),
                "kind": change.kind,
                "before": _plain(change.before),
                "after": _plain(change.after),
                "events": [cause._asdict() for cause in change.events],
                "complete": change.complete,
            }
            for change in found.changes
        ],
    }


def _plain(value: Any) -> Any:
    return full(value) if isinstance(value, datetime) else value


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
