"""Archiving: a session's events into files, which are then read back and compared with the stream."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from sessionstream.errors import ArchiveDamaged, CorruptEvent, InvalidArgument, InvalidType, SessionNotFound
from sessionstream.events.recorded import NOWHERE, RecordedEvent, version_of
from sessionstream.lifecycle.reading import Head as SessionHead
from sessionstream.log.history import Window, checked_count, checked_time, offset_at_version, parse_offset, read_history
from sessionstream.log.store import Store
from sessionstream.retention.files import FileWriter, read_pages
from sessionstream.retention.lines import Foot, Head, Whose, event_of, line_of
from sessionstream.retention.places import Segment, best, life_folder, segment_name, segments
from sessionstream.retention.threads import each_in_thread, to_its_end

__all__ = ["Extent", "Held", "archived_segments", "events_of", "target_of", "whose_of"]

_MOST_EVENTS = 20_000
_MOST_BYTES = 64 * 1024 * 1024
_PAGE = 500


class Extent(NamedTuple):
    """Up to where events are meant; all that is given has to be met.

    Attributes:
        upto: up to and with this offset.
        keep_events: but not the newest so many.
        older_than: only those from before this moment, or older than so long by the server's clock.
    """

    upto: str | None = None
    keep_events: int = 0
    older_than: datetime | timedelta | None = None


class Held(NamedTuple):
    """A file that holds what the stream does.

    Attributes:
        segment: the file.
        offset: of its last event.
        sha256: of its lines.
    """

    segment: Segment
    offset: str
    sha256: str


def whose_of(store: Store, session_id: str, head: SessionHead) -> Whose:
    """Return whose archive that of a session is; raises `SessionNotFound` for a session of which nothing is kept."""
    if b"created_at" not in head:
        raise SessionNotFound(session_id)
    return Whose(store.keys.namespace, session_id, int(head[b"created_at"]))


async def target_of(store: Store, session_id: str, head: SessionHead, extent: Extent) -> int:
    """Return the version up to which events are meant; 0 for none.

    Raises:
        InvalidArgument: the extent is malformed, or its offset is none of the session's.
    """
    last = version_of(head[b"offset"].decode())
    target = last - checked_count(extent.keep_events, "keep_events")
    if extent.upto is not None:
        ms, version = parse_offset(extent.upto)
        gone = parse_offset(head.get(b"trimmed", NOWHERE.encode()).decode())
        if version > gone[1] and await offset_at_version(store, session_id, version) != f"{ms}-{version}":
            raise InvalidArgument(f"upto: session {session_id!r} has no event {extent.upto}")
        target = min(target, version)
    if extent.older_than is not None:
        target = min(target, await _older(store, session_id, extent.older_than))
    return max(target, 0)


async def _older(store: Store, session_id: str, than: object) -> int:
    if isinstance(than, timedelta):
        before = await store.now_ms() - int(than.total_seconds() * 1000)
    elif isinstance(than, datetime):
        before = checked_time(than, "older_than")
    else:
        raise InvalidType(f"older_than is a datetime or a timedelta, not a {type(than).__name__}")
    if before <= 0:
        return 0
    found = await store.server.call("XREVRANGE", store.keys.events(session_id), str(before - 1), "-", "COUNT", 1)
    return version_of(found[0][0].decode()) if found else 0


async def archived_segments(
    store: Store, session_id: str, folder: Path, target: int, *, compress: bool
) -> AsyncIterator[Held]:
    """Yield files that hold the events of a stream up to a version, one behind the other, each seen to be so.

    Files that are there are used as far as they go; the others are written.

    Args:
        store: where the session is kept.
        session_id: the session.
        folder: of the archive.
        target: the last version.
        compress: whether new files are gzipped.

    Raises:
        ArchiveFailed: a file could not be written.
        ArchiveDamaged: a file is damaged, or does not hold what the stream does.
    """
    head, _ = await store.existing_head(session_id)
    whose = whose_of(store, session_id, head)
    life = life_folder(folder, session_id, whose.created_ms)
    after = head.get(b"trimmed", NOWHERE.encode()).decode()
    while version_of(after) < target:
        segment = best(await asyncio.to_thread(segments, life), version_of(after) + 1)
        if segment is None:
            segment = await _write(store, whose, life, after, target, compress=compress)
        held = await _compared(store, whose, segment, after)
        yield held
        after = held.offset


async def _write(store: Store, whose: Whose, life: Path, after: str, target: int, *, compress: bool) -> Segment:
    head = Head(whose.namespace, whose.session_id, whose.created_ms, archive="events")
    first, last = version_of(after) + 1, after
    lines: list[bytes] = []
    with FileWriter(life, head, compress=compress) as writer:
        await to_its_end(writer.begin)
        window = Window(after=None if after == NOWHERE else after)
        events = read_history(store, whose.session_id, window, limit=min(target - first + 1, _MOST_EVENTS))
        async with contextlib.aclosing(events):  # type: ignore[type-var]
            async for event in events:
                if event.version != version_of(last) + 1:
                    raise CorruptEvent(
                        whose.session_id, event.offset, f"it does not follow on {last}: nothing archived"
                    )
                lines.append(line_of(event))
                last = event.offset
                if len(lines) >= _PAGE:
                    await to_its_end(writer.write, b"".join(lines), len(lines))
                    lines = []
                if writer.size >= _MOST_BYTES:
                    break
        await to_its_end(writer.write, b"".join(lines), len(lines))
        name = segment_name(first, version_of(last), compress=compress)
        path = await to_its_end(writer.finish, name, last)
    return Segment(path, first, version_of(last))


async def _compared(store: Store, whose: Whose, segment: Segment, after: str) -> Held:
    """Read a file back, and make sure that it holds, entry by entry, what the stream holds behind an offset."""
    stream = read_history(store, whose.session_id, Window(after=None if after == NOWHERE else after))
    known, last = version_of(after), after
    async with contextlib.aclosing(stream):  # type: ignore[type-var]
        async for event, foot in _events_and_foot(segment, whose):
            if event is None:
                assert foot is not None
                return Held(segment, last, foot.sha256)
            if event.version <= known:
                continue
            kept = await anext(stream, None)
            if kept is None or kept.offset != event.offset or list(kept.words) != list(event.words):
                raise ArchiveDamaged(str(segment.path), f"its event {event.offset} is not what the stream holds")
            last = event.offset
    raise ArchiveDamaged(str(segment.path), "it ends early")


async def events_of(segment: Segment, whose: Whose) -> AsyncIterator[RecordedEvent]:
    """Yield the events of a file; that all of them are what was written is known behind the last one.

    Raises:
        ArchiveDamaged: it is cut short, altered, or somebody else's.
    """
    async for event, _ in _events_and_foot(segment, whose):
        if event is not None:
            yield event


async def _events_and_foot(segment: Segment, whose: Whose) -> AsyncIterator[tuple[RecordedEvent | None, Foot | None]]:
    version = segment.first
    async for page in each_in_thread(read_pages(segment.path, whose, "events")):
        for line in page.lines:
            event = _event(segment, whose, line)
            if event.version != version:
                raise ArchiveDamaged(str(segment.path), f"version {version} is missing in front of {event.offset}")
            version += 1
            yield event, None
        if page.foot is not None:
            if version != segment.last + 1:
                raise ArchiveDamaged(str(segment.path), f"it ends with version {version - 1}, not {segment.last}")
            yield None, page.foot


def _event(segment: Segment, whose: Whose, line: bytes) -> RecordedEvent:
    try:
        event = event_of(line)
        parse_offset(event.offset)
    except ValueError as error:
        raise ArchiveDamaged(str(segment.path), f"a line is damaged: {error}") from None
    if event.session_id != whose.session_id:
        raise ArchiveDamaged(str(segment.path), f"it holds an event of session {event.session_id!r}")
    return event
