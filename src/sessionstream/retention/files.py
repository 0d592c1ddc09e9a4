"""Files of an archive: there under their names only when they are whole and on disk, and read with every check.

What is done here waits for the disk, so it is called in a thread.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, Self

import msgspec

from sessionstream.errors import ArchiveDamaged, ArchiveFailed
from sessionstream.retention.lines import FORMAT, Foot, Head, Whose, encode

__all__ = ["FileWriter", "Page", "read_pages"]

_PAGE = 500
_PAGE_BYTES = 4 * 1024 * 1024
_decode_head = msgspec.json.Decoder(Head).decode
_decode_foot = msgspec.json.Decoder(Foot, strict=True).decode
_DAMAGES = (EOFError, gzip.BadGzipFile, zlib.error)


class FileWriter:
    """Writes one file, under a name that begins with a dot until it is finished.

    Args:
        folder: where; it is made if it is not there.
        head: its first line.
        compress: whether it is gzipped.

    Attributes:
        lines: how many were written between the first and the last.
        size: bytes of all lines, before they are packed.
    """

    def __init__(self, folder: Path, head: Head, *, compress: bool) -> None:
        self._folder = folder
        self._part = folder / f".{os.getpid()}-{os.urandom(4).hex()}.part"
        self._head = head
        self._compress = compress
        self._digest = hashlib.sha256()
        self._file: BinaryIO | None = None
        self._packed: gzip.GzipFile | None = None
        self.lines = -1
        self.size = 0

    def begin(self) -> None:
        """Make the file, and write its first line."""
        with _telling(self._folder):
            _make_folder(self._folder)
            self._file = self._part.open("wb")
        if self._compress:
            # Without a name and a time, so that the same events give the same bytes.
            self._packed = gzip.GzipFile(filename="", mode="wb", fileobj=self._file, mtime=0, compresslevel=6)
        self.write(encode(self._head) + b"\n", 1)

    def write(self, data: bytes, lines: int) -> None:
        """Write some lines."""
        self.lines += lines
        self.size += len(data)
        self._digest.update(data)
        with _telling(self._part):
            self._target.write(data)

    def finish(self, name: str, last: str) -> Path:
        """Write the last line, see the file to the disk, and give it its name; return its path.

        Args:
            name: of the file; one that is there is replaced, as the same events give the same bytes.
            last: the offset of the last event.
        """
        path = self._folder / name
        with _telling(path):
            self._target.write(encode(Foot(self.lines, last, self._digest.hexdigest())) + b"\n")
            if self._packed is not None:
                self._packed.close()
            assert self._file is not None
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None
            os.replace(self._part, path)
            _sync_folder(self._folder)
        return path

    @property
    def _target(self) -> Any:
        return self._packed if self._packed is not None else self._file

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            # What was not finished is nothing; a full disk refuses the rest of the packed bytes once more.
            with contextlib.suppress(OSError, ValueError):
                self._file.close()
            with contextlib.suppress(OSError):
                self._part.unlink()


class Page(NamedTuple):
    """Some lines of a file; the last page has none, and says what the file's last line does.

    Attributes:
        lines: as they are, without their ends.
        foot: None before the end.
    """

    lines: list[bytes]
    foot: Foot | None = None


def read_pages(path: Path, whose: Whose, kind: str) -> Iterator[Page]:
    """Yield the lines of a file in pages, then what its last line says, if all that was read is what was written.

    Args:
        path: the file.
        whose: whose it has to be.
        kind: what it has to hold: ``events`` or ``checkpoints``.

    Raises:
        ArchiveDamaged: it is cut short, altered, or somebody else's; the lines given before may be wrong.
        ArchiveFailed: it cannot be read.
    """
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            lines: Any = gzip.GzipFile(fileobj=raw) if packed else raw
            yield from _checked(path, lines, whose, kind)
    except _DAMAGES as error:
        raise ArchiveDamaged(str(path), f"it is damaged: {error}") from None
    except OSError as error:
        raise ArchiveFailed(str(path), error.strerror or str(error)) from None


def _checked(path: Path, lines: Any, whose: Whose, kind: str) -> Iterator[Page]:
    digest, count, size, page = hashlib.sha256(), 0, 0, list[bytes]()
    before = lines.readline()
    _check_head(path, before, whose, kind)
    first = True
    while line := lines.readline():
        digest.update(before)
        if not first:
            page.append(before[:-1])
            count, size = count + 1, size + len(before)
        if len(page) >= _PAGE or size >= _PAGE_BYTES:
            yield Page(page)
            page, size = [], 0
        before, first = line, False
    if first or not before.endswith(b"\n"):
        raise ArchiveDamaged(str(path), "it ends early")
    yield Page(page)
    yield Page([], _checked_foot(path, before, count, digest.hexdigest()))


def _check_head(path: Path, line: bytes, whose: Whose, kind: str) -> None:
    try:
        head = _decode_head(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise ArchiveDamaged(str(path), "its first line is none of an archive") from None
    if head.format > FORMAT:
        raise ArchiveDamaged(str(path), f"it is of format {head.format}, this process reads {FORMAT}")
    for name in ("namespace", "session_id", "created_ms"):
        told, wanted = getattr(head, name), getattr(whose, name)
        if told != wanted:
            raise ArchiveDamaged(str(path), f"its {name} is {told!r}, not {wanted!r}")
    if head.archive != kind:
        raise ArchiveDamaged(str(path), f"it holds {head.archive}, not {kind}")


def _checked_foot(path: Path, line: bytes, count: int, sha256: str) -> Foot:
    try:
        foot = _decode_foot(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise ArchiveDamaged(str(path), "it ends early: its last line is none that ends a file") from None
    if foot.lines != count:
        raise ArchiveDamaged(str(path), f"it has {count:,} lines, not {foot.lines:,}")
    if foot.sha256 != sha256:
        raise ArchiveDamaged(str(path), "its lines are not those that were written: their SHA-256 is another")
    return foot


@contextlib.contextmanager
def _telling(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ArchiveFailed(str(path), error.strerror or str(error)) from None


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for made in missing:
        _sync_folder(made.parent)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # pragma: no cover - a folder cannot be opened there
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
