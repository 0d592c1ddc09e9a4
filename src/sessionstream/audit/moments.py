"""A moment of a session's life, as it is asked for: a version, an offset, or a time."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sessionstream.bases import Folded, fold_until
from sessionstream.bases.reading import base_names
from sessionstream.errors import HistoryErased, HistoryTrimmed, InvalidArgument, InvalidType, SessionNotFound
from sessionstream.events.base import name_of
from sessionstream.events.ids import checked_id
from sessionstream.events.lifecycle import EventErased
from sessionstream.events.recorded import NOWHERE, RecordedEvent, version_of
from sessionstream.log.history import checked_count, checked_time, first_offset, offset_at_version, parse_offset
from sessionstream.log.store import Store

__all__ = ["Moment", "Until", "folded_at", "until_of"]

Moment = int | str | datetime
"""A version, an offset, or an aware datetime; each with what happened at it."""

_LAST = 2**64 - 1


class Until(NamedTuple):
    """Up to where the events count.

    Attributes:
        offset: up to and with this one, whether there is an event or not.
        now_ms: the moment as milliseconds, where it was a time that was asked for.
    """

    offset: str
    now_ms: int | None = None


async def until_of(store: Store, session_id: str, moment: Moment) -> Until:
    """Return up to where a session's events count at a moment.

    Raises:
        SessionNotFound: there was no such session then, or there is none.
        HistoryTrimmed: the event of that version is gone.
        InvalidArgument: it is no moment, a naive datetime, or a version or offset that the session has not come to.
    """
    checked_id(session_id, "session_id")
    if isinstance(moment, datetime):
        now_ms = checked_time(moment, "time")
        return Until(f"{now_ms}-{_LAST}", now_ms)
    if isinstance(moment, str):
        await _require_past(store, session_id, moment)
        return Until(moment)
    if not isinstance(moment, int):
        raise InvalidType(f"a moment is a version, an offset or a datetime, not a {type(moment).__name__}")
    if checked_count(moment, "version") == 0:
        raise SessionNotFound(session_id, f"session {session_id!r} did not exist at version 0")
    return Until(await _offset_of(store, session_id, moment))


async def folded_at(store: Store, session_id: str, until: Until) -> Folded:
    """Return what a session's events had made at a moment.

    Raises:
        SessionNotFound: there was no such session then.
        HistoryErased: the session was erased later.
        HistoryTrimmed: events are gone that are needed.
    """
    folded = await fold_until(store, session_id, until.offset)
    if folded.offset == NOWHERE:
        raise SessionNotFound(session_id, f"session {session_id!r} did not exist at that moment")
    # Where a session was erased, its events up to there make nothing at all, not even that it was created.
    if b"created_at" not in folded.views.head and await _stands_for_erased(store, session_id, folded.offset):
        raise HistoryErased(session_id)
    return folded


async def _stands_for_erased(store: Store, session_id: str, offset: str) -> bool:
    found = await store.server.call("XRANGE", store.keys.events(session_id), offset, offset)
    return bool(found) and RecordedEvent(session_id, offset, found[0][1] or ()).type == name_of(EventErased)


async def _require_past(store: Store, session_id: str, offset: str) -> None:
    asked = parse_offset(offset)
    head, _ = await store.existing_head(session_id)
    last = head[b"offset"].decode()
    if asked > parse_offset(last):
        raise InvalidArgument(f"offset {offset} is past the end of session {session_id!r}, {last}")


async def _offset_of(store: Store, session_id: str, version: int) -> str:
    await store.check_readable()
    found = await offset_at_version(store, session_id, version)
    if found is not None:
        return found
    head, _ = await store.existing_head(session_id)
    last = version_of(head[b"offset"].decode())
    if version <= last:
        for name in await base_names(store, session_id):
            if version_of(name.offset) == version:
                return name.offset
        first = await first_offset(store, session_id)
        if first is None or version_of(first) > version:
            raise HistoryTrimmed(session_id, first=first)
    raise InvalidArgument(f"session {session_id!r} has {last} versions, not {version}")
