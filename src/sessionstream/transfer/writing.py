"""One recorded session into the store: made if it is not there, given the messages that it lacks if it is.

What is decided rests on the version that was read, and every append expects that version: whoever else writes to the
session meanwhile, other imports of the same line included, makes this one read again and decide anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sessionstream.errors import AccessDenied, ConflictError, InvalidArgument, SessionEnded, SessionExists
from sessionstream.events.codec import encode_event
from sessionstream.events.lifecycle import SessionCreated
from sessionstream.events.recorded import at_ms, version_of
from sessionstream.events.runtime import MessageAdded, MessageRetracted
from sessionstream.lifecycle.enlisting import enlist
from sessionstream.lifecycle.reading import end_of, session_from
from sessionstream.log.history import Window, read_history
from sessionstream.log.store import Store
from sessionstream.transfer.lines import RecordedSession, canonical

__all__ = ["Outcome", "write_session"]

_MOST_TRIES = 20
_MOST_EVENTS = 500
_MOST_BYTES = 512 * 1024


class Outcome(NamedTuple):
    """What became of one recorded session.

    Attributes:
        created: it was not there before.
        messages: how many were appended.
        kept_metadata: it was there, with other metadata, which was left as it is.
    """

    created: bool
    messages: int
    kept_metadata: bool


async def write_session(store: Store, recorded: RecordedSession, ttl_ms: int | None) -> Outcome:
    """Bring a session to what was recorded of it, adding nothing that it has.

    Args:
        store: where it is kept.
        recorded: what it shall be.
        ttl_ms: milliseconds until it expires, if it is made now; None does not expire.

    Raises:
        InvalidArgument: it is there with other messages, or its metadata is too large.
        AccessDenied: it is somebody else's.
        SessionEnded: it is over and lacks messages.
        ConflictError: others wrote to it faster, again and again.
    """
    for attempt in range(1, _MOST_TRIES + 1):
        head, now = await store.head(recorded.session_id)
        try:
            if not head:
                return await _create(store, recorded, ttl_ms)
            return await _extend(store, recorded, head, now)
        except (ConflictError, SessionExists):
            if attempt == _MOST_TRIES:
                raise
    raise AssertionError("unreachable")


async def _create(store: Store, recorded: RecordedSession, ttl_ms: int | None) -> Outcome:
    event = SessionCreated(
        user_id=recorded.user_id,
        agent_id=recorded.agent_id,
        metadata=recorded.metadata,
        ttl_ms=ttl_ms,
        sliding=store.settings.extend_on == "append",
    )
    encode_event(event, store.settings.max_event_bytes)
    await enlist(store, recorded.user_id, recorded.session_id)
    first, *rest = _batches(recorded.messages, recorded.sizes)
    version = (await store.append(recorded.session_id, [event, *first])).version
    await _append(store, recorded.session_id, rest, version)
    return Outcome(True, len(recorded.messages), False)


async def _extend(store: Store, recorded: RecordedSession, head: Mapping[bytes, bytes], now_ms: int) -> Outcome:
    session = session_from(recorded.session_id, head)
    if session.user_id != recorded.user_id:
        raise AccessDenied(recorded.session_id, recorded.user_id)
    missing = await _missing(store, recorded, head[b"offset"].decode())
    if missing:
        if (end := end_of(head, now_ms)) is not None:
            raise SessionEnded(recorded.session_id, end)
        batches = _batches(recorded.messages[-missing:], recorded.sizes[-missing:])
        await _append(store, recorded.session_id, batches, session.version)
    differs = canonical(session.metadata) != canonical(recorded.metadata)
    return Outcome(False, missing, differs)


async def _missing(store: Store, recorded: RecordedSession, offset: str) -> int:
    """Return how many of the last recorded messages the session does not have up to this offset."""
    window = Window(before=f"{at_ms(offset)}-{version_of(offset) + 1}")
    wanted = [canonical(event.message()) for event in recorded.messages]
    added: list[bytes] = []
    conversation: dict[str, bytes] = {}
    types = (MessageAdded, MessageRetracted)
    async for event in read_history(store, recorded.session_id, window, types=types):
        data = event.foldable
        if isinstance(data, MessageAdded):
            added.append(canonical(data.message()))
            conversation[event.offset] = added[-1]
        elif isinstance(data, MessageRetracted):
            conversation.pop(data.offset, None)
    current = list(conversation.values())
    # A message that was taken back is not added again: the session has had it.
    if _begins_with(added, wanted) or _begins_with(current, wanted):
        return 0
    if _begins_with(wanted, current):
        return len(wanted) - len(current)
    raise InvalidArgument(f"session {recorded.session_id!r} is there with other messages")


def _begins_with(whole: Sequence[bytes], beginning: Sequence[bytes]) -> bool:
    return list(whole[: len(beginning)]) == list(beginning)


async def _append(store: Store, session_id: str, batches: Sequence[Sequence[Any]], version: int) -> None:
    for batch in batches:
        version = (await store.append(session_id, batch, expected_version=version)).version


def _batches(events: Sequence[MessageAdded], sizes: Sequence[int]) -> list[Sequence[MessageAdded]]:
    """Return the events in pieces that the server takes in a few milliseconds each; at least one, maybe empty."""
    return list(_cut(events, sizes))


def _cut(events: Sequence[MessageAdded], sizes: Sequence[int]) -> Iterator[Sequence[MessageAdded]]:
    start, held = 0, 0
    for place, size in enumerate(sizes):
        if place > start and (held + size > _MOST_BYTES or place - start >= _MOST_EVENTS):
            yield events[start:place]
            start, held = place, 0
        held += size
    yield events[start:]
