"""Erasing what archives hold: each file is written anew with what stands in the places of its events.

The file that tells whose a life is comes last, so that one which was cut short is found again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from sessionstream.erasure.belonging import Life
from sessionstream.erasure.tombstones import Tombstones, is_erased
from sessionstream.errors import ArchiveDamaged, ArchiveFailed
from sessionstream.events.lifecycle import SessionCreated
from sessionstream.events.recorded import RecordedEvent
from sessionstream.retention.files import FileWriter, read_pages
from sessionstream.retention.lines import Head, Whose, event_of, line_of
from sessionstream.retention.places import bodies_file, segments
from sessionstream.retention.threads import each_in_thread, to_its_end

__all__ = ["ArchivedLife", "archived_lives", "erase_life"]


class ArchivedLife(msgspec.Struct, frozen=True):
    """A life of a session as an archive has it.

    Attributes:
        folder: of its files.
        whose: whose archive it is.
        life: what its first event tells; whose session it was is empty if that is not there, or erased.
    """

    folder: Path
    whose: Whose
    life: Life


async def archived_lives(archive: Path, namespace: str) -> list[ArchivedLife]:
    """Return the lives of a namespace that an archive holds; raises `ArchiveFailed` if it cannot be read."""
    found: list[ArchivedLife] = []
    async for one in each_in_thread(_lives(archive, namespace)):
        found.append(one)
    return found


def _lives(archive: Path, namespace: str) -> Iterator[ArchivedLife]:
    for above in _folders(archive):
        for folder in _folders(above):
            if folder.name.isdigit() and (one := _life(folder, namespace)) is not None:
                yield one


def _folders(above: Path) -> list[Path]:
    try:
        return sorted(path for path in above.iterdir() if path.is_dir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ArchiveFailed(str(above), error.strerror or str(error)) from None


def _life(folder: Path, namespace: str) -> ArchivedLife | None:
    files = [segment.path for segment in segments(folder)]
    closing = bodies_file(folder)
    for path in [*files, *([closing] if closing else [])]:
        head, first = _beginning(path)
        if head is None:
            continue
        if head.namespace != namespace:
            return None
        whose = Whose(head.namespace, head.session_id, head.created_ms)
        created = first.known if first is not None and first.version == 1 else None
        if not isinstance(created, SessionCreated):
            return ArchivedLife(folder, whose, Life(head.session_id, head.created_ms, ""))
        return ArchivedLife(folder, whose, Life(head.session_id, head.created_ms, created.user_id, created.forked_from))
    return None


def _beginning(path: Path) -> tuple[Head | None, RecordedEvent | None]:
    """Return a file's first line, and its first event if it has one; nothing of one that cannot be read."""
    try:
        lines = _lines(path)
        head = msgspec.json.decode(next(lines), type=Head)
        return head, event_of(next(lines)) if head.archive == "events" else None
    except (OSError, EOFError, ValueError, StopIteration):
        return None, None


def _lines(path: Path) -> Iterator[bytes]:
    import gzip

    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        yield from gzip.GzipFile(fileobj=raw) if packed else raw


async def erase_life(one: ArchivedLife, tombstones: Tombstones) -> int:
    """Erase what the files of a life hold, and return how many were written anew, or removed since they are damaged.

    Args:
        one: the life.
        tombstones: what stands in the places of its events.

    Raises:
        ArchiveFailed: a file could not be written.
    """
    count = 0
    for left in await asyncio.to_thread(lambda: list(one.folder.glob(".*.part"))):
        # Somebody was killed while writing it, or is about to be told that it is gone.
        await asyncio.to_thread(left.unlink, missing_ok=True)
        count += 1
    closing = await asyncio.to_thread(bodies_file, one.folder)
    if closing is not None:
        count += await _rewrite(one, closing, "checkpoints", lambda line: None)
    found = await asyncio.to_thread(segments, one.folder)
    for segment in sorted(found, key=lambda of: of.first, reverse=True):
        count += await _rewrite(one, segment.path, "events", lambda line: _erased_line(line, tombstones))
    return count


def _erased_line(line: bytes, tombstones: Tombstones) -> bytes | None:
    event = event_of(line)
    if is_erased(event.words):
        return line + b"\n"
    words = tombstones.words(event.offset, event.words)
    return line_of(RecordedEvent(event.session_id, event.offset, words))


async def _rewrite(one: ArchivedLife, path: Path, kind: str, made_of: Callable[[bytes], bytes | None]) -> bool:
    """Write a file anew; whether there was anything to do."""
    head = Head(one.whose.namespace, one.whose.session_id, one.whose.created_ms, archive=kind)
    changed = False
    try:
        with FileWriter(one.folder, head, compress=path.suffix == ".gz") as writer:
            await to_its_end(writer.begin)
            async for page in each_in_thread(read_pages(path, one.whose, kind)):
                lines = [made for line in page.lines if (made := made_of(line)) is not None]
                changed = changed or lines != [line + b"\n" for line in page.lines]
                await to_its_end(writer.write, b"".join(lines), len(lines))
                if page.foot is not None and changed:
                    await to_its_end(writer.finish, path.name, page.foot.last)
    except (ArchiveDamaged, ValueError):
        # Nobody can say what is in it, and so it cannot stay.
        await asyncio.to_thread(path.unlink, missing_ok=True)
        return True
    return changed
