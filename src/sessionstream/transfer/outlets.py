"""Files that an export writes: whole under their name, or resumable beside it."""

from __future__ import annotations

import contextlib
import gzip
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Protocol, Self

from sessionstream.errors import InvalidArgument

__all__ = ["LineFile", "Outlet", "part_of", "refused_by_the_disk"]


class Outlet(Protocol):
    """What takes the items of an export, in their order.

    Attributes:
        pending: bytes, about, that are not saved yet.
    """

    pending: int

    def write(self, item: Any) -> None:
        """Take one item."""

    def save(self) -> int:
        """Make sure that what was taken stays, and return how much that is, as the outlet counts."""

    def finish(self) -> None:
        """Let the result appear under its name."""


def part_of(path: Path, *, resumable: bool) -> Path:
    """Return where a file is written until it is whole: by a name that the next process knows, or by one of our own."""
    return path.with_name(f"{path.name}.part" if resumable else f".{path.name}.{os.getpid()}.part")


@contextlib.contextmanager
def refused_by_the_disk(path: Path) -> Iterator[None]:
    """Raise `InvalidArgument`, which names the file, for what the operating system refuses in the block."""
    try:
        yield
    except OSError as error:
        raise InvalidArgument(f"{path}: {error.strerror or error}") from None


class LineFile:
    """Takes lines, and appears under its name when all of them are in it; packed if that ends in ``.gz``.

    A packed file has several gzip members, each closed when it is saved: it can be cut between them.

    Args:
        path: the file.
        resumed: of how many bytes an interrupted one is kept; None begins anew.
        resumable: whether what was written stays there when it is interrupted.

    Raises:
        InvalidArgument: it cannot be opened, or is not the one that the cursor tells of.

    Attributes:
        pending: bytes of lines that are not saved yet.
    """

    def __init__(self, path: Path, *, resumed: int | None = None, resumable: bool = False) -> None:
        self._path = path
        self._part = part_of(path, resumable=resumable)
        self._resumable = resumable
        self._packed: gzip.GzipFile | None = None
        self.pending = 0
        with refused_by_the_disk(self._part if resumed is not None else path):
            self._file: BinaryIO = self._part.open("wb" if resumed is None else "r+b")
            if resumed is not None and self._file.seek(0, os.SEEK_END) < resumed:
                self._file.close()
                raise InvalidArgument(
                    f"{self._part} has fewer bytes than the cursor tells of: remove the cursor's file to begin anew"
                )
            self._file.truncate(resumed or 0)
            self._file.seek(resumed or 0)

    def __enter__(self) -> Self:
        return self

    def write(self, line: bytes) -> None:
        """Write one line."""
        with refused_by_the_disk(self._path):
            if self._path.suffix == ".gz" and self._packed is None:
                # Without a name and a time, so that the same sessions give the same bytes.
                self._packed = gzip.GzipFile(filename="", mode="wb", fileobj=self._file, mtime=0)
            (self._packed or self._file).write(line)
        self.pending += len(line)

    def save(self) -> int:
        """Bring what was written to the disk, and return how many bytes the file has."""
        with refused_by_the_disk(self._path):
            if self._packed is not None:
                self._packed.close()
                self._packed = None
            self._file.flush()
            os.fsync(self._file.fileno())
        self.pending = 0
        return self._file.tell()

    def finish(self) -> None:
        """Let the file appear under its name."""
        if self._file.tell() == 0:
            self.write(b"")  # no bytes at all are no gzip
        self.save()
        with refused_by_the_disk(self._path):
            self._part.replace(self._path)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What was written behind the last save is cut off by whoever resumes.
        with contextlib.suppress(OSError):
            self._file.close()
        if not self._resumable:
            self._part.unlink(missing_ok=True)
