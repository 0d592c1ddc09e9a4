"""Replaying a session from its archive and its stream, without a seam."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Collection
from pathlib import Path

from sessionstream.errors import ArchiveDamaged, HistoryTrimmed, InvalidArgument, SessionNotFound
from sessionstream.events.encrypted import Opener
from sessionstream.events.ids import checked_id
from sessionstream.events.lifecycle import SessionTrimmed
from sessionstream.events.recorded import NOWHERE, RecordedEvent, version_of
from sessionstream.log.history import Window, checked_time, first_offset, parse_offset, read_history, trimmed_to
from sessionstream.log.store import Store
from sessionstream.retention.archiving import events_of
from sessionstream.retention.files import read_pages
from sessionstream.retention.lines import Whose
from sessionstream.retention.places import Segment, best, bodies_file, checked_folder, life_folder, lives, segments
from sessionstream.retention.threads import each_in_thread

__all__ = ["archived_events", "archived_in", "chosen_events", "replay"]


async def replay(store: Store, session_id: str, folder: Path) -> AsyncIterator[RecordedEvent]:
    """Yield all events of a session, the oldest first: those of the archive, then what the stream holds behind them.

    A file is checked as a whole before any of its events is given. Of a session that was removed the archive's latest
    life is given.

    Args:
        store: where the session is kept.
        session_id: the session.
        folder: of the archive.

    Raises:
        SessionNotFound: there is no such session, in the store or in the archive.
        ArchiveDamaged: a file is damaged, or is none of those that were written, or events are in neither.
    """
    checked_id(session_id, "session_id")
    head, _ = await store.head(session_id)
    if not head:
        async for event in _of_removed(store, session_id, folder):
            yield event
        return
    life = life_folder(folder, session_id, int(head[b"created_at"]))
    reading = _Reading(Whose(store.keys.namespace, session_id, int(head[b"created_at"])), life, store.opener)
    while True:
        async for event in reading.archived():
            yield event
        try:
            after = None if reading.offset == NOWHERE else reading.offset
            async for event in read_history(store, session_id, Window(after=after)):
                reading.note(event)
                yield event
            return
        except HistoryTrimmed as error:
            # It may have been trimmed since the files were looked at; then another one is there by now.
            wanted = version_of(reading.offset) + 1
            if best(await asyncio.to_thread(segments, life), wanted) is None:
                missing = f"version {wanted} and what follows are neither here nor in the stream"
                raise ArchiveDamaged(str(life), missing) from error


async def chosen_events(
    events: AsyncIterator[RecordedEvent],
    window: Window,
    *,
    types: Collection[str] | None = None,
    limit: int | None = None,
) -> AsyncIterator[RecordedEvent]:
    """Yield those of a session's events that are asked for, as `read_history` chooses them.

    Args:
        events: all of them, the oldest first.
        window: bounds, which all have to be met.
        types: only events of these types.
        limit: at most so many.
    """
    after = None if window.after is None else parse_offset(window.after)
    before = None if window.before is None else parse_offset(window.before)
    since = None if window.since is None else checked_time(window.since, "since")
    until = None if window.until is None else checked_time(window.until, "until")
    count = 0
    async for event in events:
        at = parse_offset(event.offset)
        if (
            (before is not None and at >= before)
            or (window.to_version is not None and event.version > window.to_version)
            or (until is not None and at[0] > until)
        ):
            return
        if (
            (after is None or at > after)
            and event.version >= (window.from_version or 0)
            and (since is None or at[0] >= since)
            and (types is None or event.type in types)
        ):
            count += 1
            yield event
            if count == limit:
                return


async def archived_events(store: Store, session_id: str, folder: Path) -> AsyncIterator[RecordedEvent]:
    """Yield the events of a kept session that were trimmed from its stream, from an archive; each file checked first.

    Args:
        store: where the session is kept.
        session_id: the session.
        folder: of the archive.

    Raises:
        SessionNotFound: there is no such session.
        ArchiveDamaged: a file is damaged, or is none of those that were written, or events are missing.
    """
    created_ms = await _created_ms(store, session_id)
    first = await first_offset(store, session_id) or await trimmed_to(store, session_id)
    gone = version_of(first or NOWHERE) - 1
    life = life_folder(folder, session_id, created_ms)
    reading = _Reading(Whose(store.keys.namespace, session_id, created_ms), life, store.opener)
    async for event in reading.archived(gone):
        yield event
    if version_of(reading.offset) < gone:
        raise ArchiveDamaged(str(life), f"version {version_of(reading.offset) + 1} and what follows are missing")


async def _created_ms(store: Store, session_id: str) -> int:
    """Return when a kept session was created: its head says so, and if that is damaged the registry does."""
    head, _ = await store.glance(session_id)
    if head.get(b"created_at", b"").isdigit():
        return int(head[b"created_at"])
    score = await store.server.call("ZSCORE", store.keys.registry(store.keys.partition(session_id)), session_id)
    if score is None:
        raise SessionNotFound(session_id)
    return int(float(score))


def archived_in(store: Store, folder: object) -> Callable[[str], AsyncIterator[RecordedEvent]]:
    """Return what gives, for a session's id, the events that were trimmed from its stream; see `archived_events`.

    Raises:
        InvalidArgument: there is no such folder, so nothing can be told of what it should hold.
    """
    where = checked_folder(folder)
    if not os.path.isdir(where):
        raise InvalidArgument(f"there is no folder {str(where)!r}: name that of the archive")
    return lambda session_id: archived_events(store, session_id, where)


async def _of_removed(store: Store, session_id: str, folder: Path) -> AsyncIterator[RecordedEvent]:
    life = next(iter(await asyncio.to_thread(lives, folder, session_id)), None)
    if life is None:
        raise SessionNotFound(session_id)
    whose = Whose(store.keys.namespace, session_id, int(life.name))
    reading = _Reading(whose, life, store.opener)
    async for event in reading.archived():
        yield event
    closing = await asyncio.to_thread(bodies_file, life)
    if closing is None:
        problem = "the session is removed, and this archive was not closed: what followed is in neither"
        raise ArchiveDamaged(str(life), f"it ends with version {version_of(reading.offset)}: {problem}")
    async for page in each_in_thread(read_pages(closing, whose, "checkpoints")):
        if page.foot is not None and page.foot.last != reading.offset:
            raise ArchiveDamaged(str(life), f"it ends at {reading.offset}, not at {page.foot.last}")


class _Reading:
    """How far a session was replayed.

    Args:
        whose: whose archive it is.
        life: its folder.
        opener: what decrypts the events.

    Attributes:
        offset: of the last event that was given.
    """

    def __init__(self, whose: Whose, life: Path, opener: Opener) -> None:
        self._whose = whose
        self._life = life
        self._opener = opener
        self._digests: dict[str, str] = {}
        self.offset = NOWHERE

    async def archived(self, upto: int | None = None) -> AsyncIterator[RecordedEvent]:
        """Yield what files hold behind the last event that was given, up to and with a version."""
        while True:
            known = version_of(self.offset)
            found = await asyncio.to_thread(segments, self._life)
            segment = best(found, known + 1)
            if segment is None or (upto is not None and known >= upto):
                return
            await self._check(segment)
            async for event in events_of(segment, self._whose):
                if event.version > known and (upto is None or event.version <= upto):
                    event.opener = self._opener
                    self.note(event)
                    yield event

    async def _check(self, segment: Segment) -> None:
        async for page in each_in_thread(read_pages(segment.path, self._whose, "events")):
            if page.foot is not None:
                self._digests[segment.path.name] = page.foot.sha256

    def note(self, event: RecordedEvent) -> None:
        """Note an event; one that tells of a file says what its lines were when it was compared with the stream."""
        self.offset = event.offset
        if event.type != "session.trimmed" or not isinstance(event.data, SessionTrimmed):
            return
        known = self._digests.get(event.data.archive)
        if known is not None and known != event.data.sha256:
            path = self._life / event.data.archive
            raise ArchiveDamaged(str(path), f"it is not the file that was written: {event.offset} tells of another")
