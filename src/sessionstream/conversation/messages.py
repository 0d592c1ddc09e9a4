"""Messages are events; a retracted one stays in the history and leaves the conversation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sessionstream.errors import HistoryTrimmed, InvalidType
from sessionstream.events.recorded import RecordedEvent, version_of
from sessionstream.events.runtime import MessageAdded, MessageRetracted
from sessionstream.forks import read_back
from sessionstream.log.deciding import Decision, append_decided
from sessionstream.log.history import checked_count
from sessionstream.log.store import Store

__all__ = ["as_events", "newest_messages", "pop"]

_TYPES = (MessageAdded, MessageRetracted)


def as_events(messages: Mapping[str, Any] | Iterable[Mapping[str, Any]]) -> list[MessageAdded]:
    """Return the events of one message or of several; raises `InvalidArgument` for what is no message."""
    if isinstance(messages, Mapping):
        return [MessageAdded.of(messages)]
    if isinstance(messages, str | bytes) or not isinstance(messages, Iterable):
        raise InvalidType(f"messages are mappings, not a {type(messages).__name__}")
    return [MessageAdded.of(message) for message in messages]


async def newest_messages(
    store: Store,
    session_id: str,
    *,
    limit: int | None = None,
    before: str | None = None,
    after: str | None = None,
    kept_only: bool = False,
) -> list[RecordedEvent]:
    """Return the events of the newest messages that were not retracted, oldest first.

    Args:
        store: where the session is kept.
        session_id: the session.
        limit: at most so many.
        before: an offset; only messages in front of it, as the conversation was then. That of a fork is its origin's up
            to the moment of the fork, then its own; an offset may be of either.
        after: an offset; only messages behind it.
        kept_only: where the messages that would come next are gone, return those that are kept.

    Raises:
        SessionNotFound: nothing is kept of such a session.
        HistoryTrimmed: messages that are asked for are gone: of the session, or of the one that it was forked from.
        KeyUnavailable: one is encrypted, and its key cannot be had; those whose key was destroyed are left out.
    """
    most = None if limit is None else checked_count(limit, "limit")
    retracted: set[str] = set()
    found: list[RecordedEvent] = []
    if most == 0:
        return []
    try:
        # Backward, a retraction is met before the message that it takes back.
        async for event in read_back(store, session_id, _TYPES, after=after, before=before):
            data = event.foldable
            if isinstance(data, MessageRetracted):
                retracted.add(data.offset)
            elif isinstance(data, MessageAdded) and event.offset not in retracted:
                found.append(event)
                if len(found) == most:
                    break
    except HistoryTrimmed:
        if not kept_only:
            raise
    found.reverse()
    return found


async def pop(store: Store, session_id: str, count: int) -> list[dict[str, Any]]:
    """Retract the newest messages and return them, oldest first; fewer if there are fewer."""
    popped: list[RecordedEvent] = []

    async def decide() -> Decision | None:
        head, _ = await store.existing_head(session_id)
        version = version_of(head[b"offset"].decode())
        newest = await newest_messages(store, session_id, limit=count)
        popped[:] = [event for event in newest if event.session_id != session_id or event.version <= version]
        if not popped:
            return None
        return Decision([MessageRetracted(offset=event.offset) for event in popped], version)

    checked_count(count, "count")
    await append_decided(store, session_id, decide)
    return [event.data.message() for event in popped]
