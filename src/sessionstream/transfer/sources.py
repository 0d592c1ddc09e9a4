"""Lines from a file or a pipe, gzipped or not, read in a thread: the event loop waits for no disk and no terminal."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import io
import itertools
import threading
import zlib
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any, BinaryIO, TypeVar

from sessionstream.errors import InvalidImportLine, InvalidType

__all__ = ["LineSource", "checked_lines", "looked_at", "pumped"]

_GZIP = b"\x1f\x8b"
_AHEAD = 64
_Item = TypeVar("_Item")


class LineSource:
    """The lines of a binary file, which is unpacked if it begins as gzip does.

    Args:
        file: opened for reading; read once, from where it stands.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    @property
    def position(self) -> int:
        """How many bytes of the file have been read, packed as they are; 0 for a pipe."""
        return self._file.tell() if self._file.seekable() else 0

    def __iter__(self) -> Iterator[bytes]:
        """Yield the lines.

        Raises:
            InvalidImportLine: the packed data ends early or is damaged; the lines before it have been given.
        """
        # The loop's own buffer, not the file's: `tell` then says what was handed on, and a pipe can be sniffed.
        buffered = io.BufferedReader(_Raw(self._file), 1 << 16)
        lines: Any = gzip.GzipFile(fileobj=buffered) if buffered.peek(2)[:2] == _GZIP else buffered
        number = 0
        try:
            for line in lines:
                number += 1
                yield line
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise InvalidImportLine(number + 1, f"the gzip data ends here: {error}") from None


class _Raw(io.RawIOBase):
    def __init__(self, file: BinaryIO) -> None:
        self._read = getattr(file, "read1", file.read)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data: bytes = self._read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def checked_lines(lines: object) -> None:
    """Raise `InvalidType` for what is no lines: a text would be taken for its characters, and most often is a path."""
    if isinstance(lines, str | bytes) or not isinstance(lines, Iterable):
        raise InvalidType(f"lines is a file opened for reading, or a list of lines, not a {type(lines).__name__}")


async def looked_at(lines: Iterable[bytes | str]) -> tuple[bytes | str, Iterable[bytes | str]]:
    """Return the first line that is not empty, or an empty one, and all lines, that one among them."""
    reader, begun = iter(lines), list[bytes | str]()

    def beginning() -> Iterator[bytes | str]:
        for line in reader:
            yield line
            if line.strip():
                return

    try:
        async for line in pumped(beginning()):
            begun.append(line)
    except InvalidImportLine as error:
        # Whoever reads the lines is told of it in its place.
        return b"", itertools.chain(begun, _failing(error))
    return begun[-1] if begun else b"", itertools.chain(begun, reader)


def _failing(error: InvalidImportLine) -> Iterator[bytes]:
    raise error
    yield b""


async def pumped(lines: Iterable[_Item], ahead: int = _AHEAD) -> AsyncIterator[_Item]:
    """Yield what a thread reads from ``lines``, which may block; at most ``ahead`` are read ahead."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
    room, stopped = threading.Semaphore(ahead), threading.Event()

    def tell(word: str, what: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(queue.put_nowait, (word, what))

    def pump() -> None:
        try:
            for line in lines:
                room.acquire()
                if stopped.is_set():
                    return
                tell("line", line)
            tell("end", None)
        except BaseException as error:
            tell("error", error)

    # Not in the loop's executor, which is waited for at the end: a thread that reads a terminal would hold it up.
    threading.Thread(target=pump, name="sessionstream-lines", daemon=True).start()
    try:
        while True:
            word, what = await queue.get()
            if word == "end":
                return
            if word == "error":
                raise what
            room.release()
            yield what
    finally:
        stopped.set()
        room.release()
