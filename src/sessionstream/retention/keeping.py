"""Archiving a session, trimming it behind the archive, and archiving all of it before it is retired."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from sessionstream.errors import HistoryTrimmed
from sessionstream.events.recorded import version_of
from sessionstream.lifecycle.holding import require_unheld
from sessionstream.lifecycle.reading import ENDS, Head
from sessionstream.log.store import Store
from sessionstream.retention.archiving import Extent, archived_segments, target_of, whose_of
from sessionstream.retention.closing import close_life
from sessionstream.retention.places import life_folder
from sessionstream.retention.trimming import trim

__all__ = ["Archived", "archive", "archiver_into"]

_MOST_TRIES = 50


@dataclass
class Archived:
    """What an archive of a session holds, and how far its stream was trimmed.

    Attributes:
        session_id: the session.
        version: up to where files hold its events.
        files: those that hold what the stream held, oldest first.
        trimmed: up to which version its stream is trimmed; 0 for not at all.
        removed: how many events this call removed from the stream.
        stopped_by: what kept it from being trimmed as far as was asked: a checkpoint, a consumer group; or nothing.
        closed: the file that closes the archive of an ended session, all of which it holds; or None.
    """

    session_id: str
    version: int = 0
    files: list[Path] = field(default_factory=list)
    trimmed: int = 0
    removed: int = 0
    stopped_by: str = ""
    closed: Path | None = None


async def archive(
    store: Store, session_id: str, folder: Path, extent: Extent, *, compress: bool, trimming: bool
) -> Archived:
    """Archive a session's events and, if asked for, remove from its stream what an archive holds."""
    done = Archived(session_id)
    for attempt in range(1, _MOST_TRIES + 1):
        try:
            await _archive(store, folder, extent, done, compress=compress, trimming=trimming)
            if extent == Extent() and not trimming:
                done.closed = await _close(store, session_id, folder, done.version, compress=compress)
            return done
        except HistoryTrimmed:
            # Somebody else trims the session too: what is left begins later now.
            if attempt == _MOST_TRIES:
                raise
    raise AssertionError("unreachable")


async def _archive(
    store: Store, folder: Path, extent: Extent, done: Archived, *, compress: bool, trimming: bool
) -> None:
    head, _ = await store.existing_head(done.session_id)
    done.trimmed = _trimmed(head.get(b"trimmed"))
    target = await target_of(store, done.session_id, head, extent)
    if trimming:
        require_unheld(done.session_id, head)
        if await _only_trims(store, done.session_id, head, target):
            return
    done.version = max(done.version, done.trimmed)
    async for held in archived_segments(store, done.session_id, folder, target, compress=compress):
        if held.segment.path not in done.files:
            done.files.append(held.segment.path)
        done.version = max(done.version, held.segment.last)
        if trimming and not done.stopped_by:
            trimmed = await trim(store, done.session_id, held, target)
            done.removed += max(0, trimmed.version - done.trimmed)
            done.trimmed, done.stopped_by = max(done.trimmed, trimmed.version), trimmed.stopped_by


async def _close(store: Store, session_id: str, folder: Path, version: int, *, compress: bool) -> Path | None:
    """Close the archive of an ended session, all of whose events it holds."""
    head, _ = await store.existing_head(session_id)
    offset = head[b"offset"].decode()
    if head[b"state"] not in ENDS or version_of(offset) != version:
        return None
    whose = whose_of(store, session_id, head)
    life = life_folder(folder, session_id, whose.created_ms)
    return await close_life(store, whose, life, offset, compress=compress)


def archiver_into(store: Store, folder: Path) -> Callable[[str], Awaitable[str | None]]:
    """Return what archives all of an ended session into a folder, before it is retired.

    It gives the offset of the last event that it archived, or None for a session that is to be left as it is for now:
    one that is held, or was appended to meanwhile.
    """

    async def archive_whole(session_id: str) -> str | None:
        head, _ = await store.head(session_id)
        if head.get(b"state") not in ENDS or b"held" in head:
            return None
        done = await archive(store, session_id, folder, Extent(), compress=True, trimming=False)
        return (
            head[b"offset"].decode() if done.closed and version_of(head[b"offset"].decode()) == done.version else None
        )

    return archive_whole


async def _only_trims(store: Store, session_id: str, head: Head, target: int) -> bool:
    """Whether nothing but earlier trims is left to trim: to go on would only add another one."""
    trimmed = head.get(b"trimmed")
    left = target - _trimmed(trimmed)
    if trimmed is None or not 0 < left <= _MOST_TRIES:
        return False
    page = await store.server.call("XRANGE", store.keys.events(session_id), b"(" + trimmed, "+", "COUNT", left)
    return all(words[0] == b"session.trimmed" for _, words in page)


def _trimmed(offset: bytes | None) -> int:
    return 0 if offset is None else version_of(offset.decode())
