"""The session itself: who, with whom, until when, in which state, and the caller's own metadata.

All of it lies in the session's head, so `get_session` is one read of one hash. A metadata key ``language`` is the field
``m:language``, its value JSON.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from sessionstream.events.lifecycle import (
    MetadataUpdated,
    SessionCreated,
    SessionDeleted,
    SessionErased,
    SessionExpired,
    SessionRefreshed,
    StateChanged,
)
from sessionstream.events.strict_json import encode_json
from sessionstream.projection import AT, HEAD, Operation, Projection, Put, Symbol, Unset

__all__ = ["FORKED_FROM", "METADATA", "session"]

METADATA = "m:"
FORKED_FROM = "forked_from"

session = Projection("session", version=1)


@session.on(SessionCreated)
def created(session_id: str, event: SessionCreated) -> Iterable[Operation]:
    """A session begins active, and lives as long as its time to live, or for ever."""
    yield Put(
        HEAD,
        {
            "user_id": event.user_id,
            "agent_id": event.agent_id,
            "created_at": AT,
            "ttl": "" if event.ttl_ms is None else event.ttl_ms,
            "sliding": "1" if event.sliding else "",
            "expires_at": expiry(event.ttl_ms),
            "state": "active",
            **_metadata(event.metadata),
            **({} if event.forked_from is None else {FORKED_FROM: msgspec.json.encode(event.forked_from)}),
        },
    )


@session.on(MetadataUpdated)
def metadata_updated(session_id: str, event: MetadataUpdated) -> Iterable[Operation]:
    """Keys are set, then removed; all others stay."""
    if event.set:
        yield Put(HEAD, _metadata(event.set))
    if event.unset:
        yield Unset(HEAD, [METADATA + key for key in event.unset])


@session.on(SessionRefreshed)
def refreshed(session_id: str, event: SessionRefreshed) -> Iterable[Operation]:
    """The session lives from now on as long as the event says."""
    yield Put(HEAD, {"expires_at": expiry(event.ttl_ms)})


@session.on(StateChanged)
def state_changed(session_id: str, event: StateChanged) -> Iterable[Operation]:
    """The state is what the last change made it."""
    yield Put(HEAD, {"state": event.state})


@session.on(SessionExpired)
def expired(session_id: str, event: SessionExpired) -> Iterable[Operation]:
    """An expired session has ended."""
    yield Put(HEAD, {"state": "expired", "ended_at": AT})


@session.on(SessionDeleted)
def deleted(session_id: str, event: SessionDeleted) -> Iterable[Operation]:
    """A deleted session has ended."""
    yield Put(HEAD, {"state": "deleted", "ended_at": AT})


@session.on(SessionErased)
def erased(session_id: str, event: SessionErased) -> Iterable[Operation]:
    """Of an erased session it is known that it was, and when; whose it was is not."""
    yield Put(
        HEAD,
        {
            "user_id": "",
            "agent_id": event.agent_id,
            "created_at": event.created_ms,
            "ttl": "",
            "sliding": "",
            # Who does not know of erasure takes what has expired for over.
            "expires_at": "0",
            "state": "erased",
            "ended_at": event.ended_ms,
        },
    )


def expiry(ttl_ms: int | None) -> str | Symbol:
    """Return the moment of expiry for a time to live; empty text where there is none."""
    return "" if ttl_ms is None else AT + ttl_ms


def _metadata(values: dict[str, Any]) -> dict[str, bytes]:
    return {METADATA + key: encode_json(value, f"metadata.{key}") for key, value in values.items()}
