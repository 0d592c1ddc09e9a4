"""Reading through a fork to its origin, and to that one's, up to the moments at which they were forked.

A fork copies nothing of the past. Its first event names its origin and an offset in it; what lies before is read there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from sessionstream.errors import HistoryErased, HistoryTrimmed
from sessionstream.events.forked import ForkedFrom
from sessionstream.events.lifecycle import EventErased, SessionCreated
from sessionstream.events.recorded import NOWHERE, RecordedEvent, version_of
from sessionstream.lifecycle.reading import session_from
from sessionstream.log.history import Window, parse_offset, read_history
from sessionstream.log.store import Store

__all__ = ["read_back", "read_inherited"]


async def read_back(
    store: Store, session_id: str, types: Sequence[type], *, after: str | None = None, before: str | None = None
) -> AsyncIterator[RecordedEvent]:
    """Yield a session's events of some types, newest first; behind a fork's own those of its origin.

    Args:
        store: where they are kept.
        session_id: the session.
        types: of which types; not `SessionCreated`.
        after: an offset, of the session or of one that it comes from: only what lies behind it.
        before: another one: only what lies in front of it.

    Raises:
        SessionNotFound: nothing is kept of such a session.
        HistoryTrimmed: what would come next is gone.
    """
    forked, begins = None, None
    wanted = (*types, SessionCreated)
    async for event in read_history(store, session_id, Window(after, before), types=wanted, backward=True):
        if isinstance(event.known, SessionCreated):
            forked, begins = event.known.forked_from, event.offset
        else:
            yield event
    if begins is None:
        head, _ = await store.head(session_id)
        forked = session_from(session_id, head).forked_from if head else None
        begins = f"{head[b'created_at'].decode()}-1" if forked else NOWHERE
    while forked is not None and not _reaches(after, begins):
        if before is not None and not _reaches(begins, before):
            before = None  # an offset of the session that was just read: the clock of its origin may be ahead of it
        first = await _first_event(store, forked)
        window = Window(after, _earlier(_behind(forked.offset), before))
        async for event in read_history(store, forked.session_id, window, types=types, backward=True):
            yield event
        begins = first.offset
        forked = None if _reaches(after, begins) else _origin_of(first)


async def read_inherited(store: Store, forked: ForkedFrom, *, whole: bool) -> AsyncIterator[RecordedEvent]:
    """Yield what happened before a session was forked, oldest first.

    Args:
        store: where it is kept.
        forked: where the session comes from.
        whole: from the very beginning; otherwise what the checkpoint that it began with does not cover.

    Raises:
        HistoryTrimmed: some of it is gone.
    """
    chain, after = [forked], NOWHERE
    while True:
        at = chain[-1]
        first = await _first_event(store, at)
        if not whole and at.session_id == (forked.covers_in or forked.session_id) and forked.covers != NOWHERE:
            after = forked.covers
            if first.version > version_of(after) + 1:
                raise HistoryTrimmed(at.session_id, after, first.offset)
            break
        origin = _origin_of(first)
        if origin is None:
            break
        chain.append(origin)
    for at in reversed(chain):
        async for event in read_history(store, at.session_id, Window(after=after, before=_behind(at.offset))):
            yield event
        after = NOWHERE


async def _first_event(store: Store, forked: ForkedFrom) -> RecordedEvent:
    """Return the first event that is kept of an origin, if that is still the session that was forked."""
    await store.check_readable()
    key = store.keys.events(forked.session_id)
    first, point = await store.server.calls(
        [("XRANGE", key, "-", "+", "COUNT", 1), ("XRANGE", key, forked.offset, forked.offset)]
    )
    await store.remember_keys_of(first)
    events = [RecordedEvent(forked.session_id, at.decode(), words or (), store.opener) for at, words in first]
    # Of a session that was removed, or that was and has another life under the same id, the event is not there.
    if not point:
        raise HistoryTrimmed(forked.session_id, first=events[0].offset if events else None)
    if isinstance(events[0].data, EventErased):
        raise HistoryErased(forked.session_id)
    return events[0]


def _origin_of(first: RecordedEvent) -> ForkedFrom | None:
    if first.version != 1:
        raise HistoryTrimmed(first.session_id, first=first.offset)
    return first.known.forked_from if isinstance(first.known, SessionCreated) else None


def _behind(offset: str) -> str:
    ms, version = parse_offset(offset)
    return f"{ms}-{version + 1}"


def _reaches(after: str | None, offset: str) -> bool:
    return after is not None and parse_offset(after) >= parse_offset(offset)


def _earlier(offset: str, other: str | None) -> str:
    return offset if other is None or parse_offset(offset) <= parse_offset(other) else other
