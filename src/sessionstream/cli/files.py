"""Files that commands read and write: standard input under the name ``-``, and results that are whole or not there."""

from __future__ import annotations

import contextlib
import gzip
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from sessionstream.cli.terminal import Terminal
from sessionstream.errors import InvalidArgument

__all__ = ["Sink", "opened_file", "size_of_file"]


@contextlib.contextmanager
def opened_file(name: str) -> Iterator[BinaryIO]:
    """Open a file for reading; raises `InvalidArgument` if that cannot be."""
    if name == "-":
        # Not sys.stdin: a thread that waits for a terminal would hold its lock when the process ends.
        descriptor = _descriptor_of_stdin()
        if descriptor is None:
            yield sys.stdin.buffer
        else:
            yield os.fdopen(descriptor, "rb", buffering=0, closefd=False)
        return
    with _open(name, "rb", name) as file:
        yield file


def size_of_file(name: str) -> int | None:
    """Return the bytes of a file, or None if that says nothing about what can be read from it."""
    path = Path(name)
    return path.stat().st_size if name != "-" and path.is_file() else None


class Sink:
    """Takes lines: for standard output, or for a file that appears under its name only when all of them are in it.

    Args:
        terminal: whose standard output it is.
        path: the file, gzipped if it ends in ``.gz``; None is standard output.

    Attributes:
        lines: how many were written.
    """

    def __init__(self, terminal: Terminal, path: Path | None) -> None:
        self._terminal = terminal
        self._path = path
        self._part = None if path is None else path.with_name(f".{path.name}.{os.getpid()}.part")
        self._file: BinaryIO | None = None
        self._packed: gzip.GzipFile | None = None
        self.lines = 0

    def __enter__(self) -> Self:
        if self._path is not None and self._part is not None:
            self._file = _open(str(self._part), "wb", str(self._path))
            if self._path.suffix == ".gz":
                # Without a name and a time, so that the same sessions give the same bytes.
                self._packed = gzip.GzipFile(filename="", mode="wb", fileobj=self._file, mtime=0)
        return self

    def write(self, line: bytes) -> None:
        """Write one line."""
        self.lines += 1
        if self._file is None:
            self._terminal.write(line)
        else:
            (self._packed or self._file).write(line)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is None or self._part is None or self._path is None:
            return
        try:
            if self._packed is not None:
                self._packed.close()
            self._file.close()
            if error is None:
                self._part.replace(self._path)
        except OSError as problem:
            raise InvalidArgument(f"{self._path}: {problem.strerror}") from None
        finally:
            self._part.unlink(missing_ok=True)


def _open(name: str, mode: str, called: str) -> Any:
    try:
        return open(name, mode)
    except OSError as error:
        raise InvalidArgument(f"{called}: {error.strerror}") from None


def _descriptor_of_stdin() -> int | None:
    try:
        return sys.stdin.fileno()
    except (OSError, ValueError):
        return None
