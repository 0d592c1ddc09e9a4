"""Files that commands read, standard input under the name ``-``, and standard output as a file."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

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
    """Takes lines for standard output, as an export writes them.

    Args:
        terminal: whose standard output it is.

    Attributes:
        pending: bytes that are not saved; what went to standard output is gone.
    """

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self.pending = 0

    def write(self, line: bytes) -> None:
        """Write one line."""
        self._terminal.write(line)

    def save(self) -> int:
        """Do nothing: it cannot be gone on from."""
        return 0

    def finish(self) -> None:
        """Do nothing: it has appeared already."""


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
