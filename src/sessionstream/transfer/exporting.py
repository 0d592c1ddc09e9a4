"""Exporting: conversations as the JSON lines that an import takes, or every event as it is stored."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import msgspec

from sessionstream.conversation.messages import newest_messages
from sessionstream.errors import SessionNotFound
from sessionstream.events.recorded import RecordedEvent
from sessionstream.log.history import read_history
from sessionstream.log.store import Store
from sessionstream.session import Session
from sessionstream.transfer.choosing import Choice, chosen_sessions, kept_session

__all__ = ["Sessions", "event_record", "export_events", "export_messages"]

Sessions = Iterable[str] | AsyncIterator[str] | None

_encode = msgspec.json.Encoder().encode


async def export_messages(
    store: Store,
    session_ids: Sessions = None,
    *,
    with_ids: bool = False,
    missing: Callable[[str], None] | None = None,
) -> AsyncIterator[bytes]:
    """Yield one JSON line for each session: its metadata, and its ``messages`` as they stand, retracted ones left out.

    Args:
        store: where they are kept.
        session_ids: which; None is every session that is not over, in the order of creation.
        with_ids: whether a line also says ``session_id``, ``user_id`` and ``agent_id``.
        missing: called with the id of a session that is not there, instead of raising.

    Raises:
        SessionNotFound: a session that was named is not there.
    """
    absent = _absent(session_ids, missing)
    async for session in _sessions(store, session_ids, absent):
        try:
            found = await newest_messages(store, session.session_id)
        except SessionNotFound:  # it was removed just now
            absent(session.session_id)
            continue
        line = dict(session.metadata)
        if with_ids:
            line |= {"session_id": session.session_id, "user_id": session.user_id, "agent_id": session.agent_id}
        yield _encode(line | {"messages": [event.data.message() for event in found]}) + b"\n"


async def export_events(
    store: Store, session_ids: Sessions = None, *, missing: Callable[[str], None] | None = None
) -> AsyncIterator[bytes]:
    """Yield one JSON line for each event, session by session, with everything that is stored; see `event_record`.

    Args:
        store: where they are kept.
        session_ids: which; None is every session that is not over, in the order of creation.
        missing: called with the id of a session that is not there, instead of raising.

    Raises:
        SessionNotFound: a session that was named is not there.
    """
    absent = _absent(session_ids, missing)
    async for session in _sessions(store, session_ids, absent):
        try:
            async for event in read_history(store, session.session_id):
                yield _encode(event_record(event)) + b"\n"
        except SessionNotFound:  # it was removed just now
            absent(session.session_id)


def event_record(event: RecordedEvent) -> dict[str, Any]:
    """Return an event with everything that is stored of it.

    ``data`` and ``meta`` are the stored JSON as text, so that any JSON parser gives their bytes back; bytes that are no
    UTF-8 are ``{"base64": …}``. What the entry lacks is null, and fields that no event has, as a damaged entry may, are
    under ``other``.
    """
    record: dict[str, Any] = {
        "session_id": event.session_id,
        "offset": event.offset,
        "version": event.version,
        "type": event.type or None,
        "schema_version": event.schema_version,
        "id": event.id or None,
        "data": _text(event.raw or None),
        "meta": _text(event.raw_meta or None),
    }
    marked = f"{event.type}@{event.schema_version}" if event.schema_version != 1 else event.type
    told = {marked.encode(): event.id.encode() + event.raw, b"meta": event.raw_meta}
    other = [[_text(name), _text(value)] for name, value in event.fields.items() if told.get(name) != value]
    if other:
        record["other"] = other
    return record


def _text(raw: bytes | None) -> Any:
    if raw is None:
        return None
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(raw).decode()}


def _absent(session_ids: Sessions, missing: Callable[[str], None] | None) -> Callable[[str], None]:
    """Return what to do about a session that is not there: only one that the caller named is missed."""

    def refuse(session_id: str) -> None:
        if session_ids is not None:
            raise SessionNotFound(session_id)

    return missing or refuse


async def _sessions(store: Store, session_ids: Sessions, absent: Callable[[str], None]) -> AsyncIterator[Session]:
    if session_ids is None:
        async for kept in chosen_sessions(store, Choice()):
            yield kept.session
        return
    async for session_id in _each(session_ids):
        found = await kept_session(store, session_id)
        if found is None:
            absent(session_id)
        else:
            yield found.session


async def _each(session_ids: Iterable[str] | AsyncIterator[str]) -> AsyncIterator[str]:
    if isinstance(session_ids, AsyncIterator):
        async for session_id in session_ids:
            yield session_id
    else:
        for session_id in session_ids:
            yield session_id
