"""How a session begins."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from sessionstream.errors import InvalidArgument, InvalidType, SessionStreamError
from sessionstream.events.codec import encode_event
from sessionstream.events.ids import checked_id, new_session_id, session_id_for
from sessionstream.events.lifecycle import SessionCreated, StateChanged
from sessionstream.events.recorded import at_ms, moment
from sessionstream.events.strict_json import copy_json
from sessionstream.lifecycle.enlisting import enlist, enlist_at
from sessionstream.log.store import Store
from sessionstream.session import Session, SessionState

__all__ = ["begin", "checked_metadata", "create", "milliseconds", "redacted_metadata"]


async def create(
    store: Store,
    user_id: str,
    agent_id: str,
    metadata: Mapping[str, Any] | None,
    *,
    session_id: str | None = None,
    ttl: float | None = None,
    idempotency_key: str | None = None,
) -> Session:
    """Begin a session and return it; see `SessionManager.create_session`."""
    event = SessionCreated(
        user_id=checked_id(user_id, "user_id"),
        agent_id=checked_id(agent_id, "agent_id"),
        metadata=redacted_metadata(store, metadata),
        ttl_ms=milliseconds(ttl, "ttl"),
        sliding=store.settings.extend_on == "append",
    )
    encode_event(event, store.settings.max_event_bytes)
    if idempotency_key is not None:
        checked_id(idempotency_key, "idempotency_key")
    new = session_id is None and idempotency_key is None
    if session_id is not None:
        checked_id(session_id, "session_id")
    elif idempotency_key is not None:
        session_id = session_id_for(idempotency_key)
    else:
        session_id = new_session_id()
    return await begin(store, session_id, event, idempotency_key=idempotency_key, new=new)


async def begin(
    store: Store,
    session_id: str,
    event: SessionCreated,
    further: Sequence[Any] = (),
    *,
    claims: Sequence[tuple[str, bytes | None]] = (),
    idempotency_key: str | None = None,
    new: bool = False,
) -> Session:
    """Append the first events of a session, note it in its user's list, and return it as it is then.

    Args:
        store: where to.
        session_id: its id.
        event: the first event.
        further: what follows in the same step.
        claims: see `Store.append`.
        idempotency_key: see `Store.append`.
        new: whether the id was never used before.
    """
    await store.check_writable()
    # Before the session exists: a crash in between leaves an entry that is ignored, never a session that is missing.
    await enlist(store, event.user_id, session_id)
    appended = await store.append(session_id, [event, *further], idempotency_key=idempotency_key, claims=claims)
    created_ms = at_ms(appended.offset)
    if not new and not appended.duplicate:
        # The id may have belonged to a session that was being removed, and that took the entry with it. The session is
        # there: an error now would say that it is not. A clean-up mends the list.
        with contextlib.suppress(SessionStreamError):
            await enlist_at(store, event.user_id, session_id, created_ms)
    states = [SessionState(one.state) for one in further if isinstance(one, StateChanged)]
    return Session(
        session_id=session_id,
        user_id=event.user_id,
        agent_id=event.agent_id,
        created_at=moment(created_ms),
        expires_at=None if event.ttl_ms is None else moment(created_ms + event.ttl_ms),
        metadata=event.metadata,
        state=states[-1] if states else SessionState.ACTIVE,
        version=appended.version,
        last_event_at=moment(created_ms),
        forked_from=event.forked_from,
    ).remember()


def checked_metadata(metadata: object) -> dict[str, Any]:
    """Return a copy of a session's metadata, made before anything is awaited.

    Raises:
        InvalidType: it is neither a mapping with string keys nor None.
        InvalidData: JSON would change one of its values.
    """
    if metadata is None:
        return {}
    if not isinstance(metadata, Mapping):
        raise InvalidType(f"metadata is a mapping, not a {type(metadata).__name__}")
    for key in metadata:
        if not isinstance(key, str):
            raise InvalidType(f"metadata: the key {key!r} is not a string")
    copied: dict[str, Any] = copy_json(dict(metadata), "metadata")
    return copied


def redacted_metadata(store: Store, metadata: object) -> dict[str, Any]:
    """Return what `checked_metadata` does, without what the store's rules take out."""
    redacted: dict[str, Any] = store.redactor.value(checked_metadata(metadata), "metadata")
    return redacted


def milliseconds(seconds: object, name: str) -> int | None:
    """Return a time to live in whole milliseconds; raises `InvalidArgument` unless it is above 0, or None."""
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise InvalidType(f"{name} is a number of seconds or None, not a {type(seconds).__name__}")
    # An int of any size can be compared, but neither be a float nor be written out.
    if not 0.001 <= seconds <= 3_153_600_000:
        told = seconds if isinstance(seconds, float) or abs(seconds) < 10**300 else "far too many"
        raise InvalidArgument(f"{name} is {told} seconds: 0.001 to 100 years, or None for no expiry")
    return round(seconds * 1000)
