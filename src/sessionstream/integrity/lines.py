"""Files of JSON lines that can be neither cut nor altered unnoticed: the last line is a keyed digest of the rest."""

from __future__ import annotations

import contextlib
import hmac
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import msgspec

from sessionstream.errors import InvalidAnchor, InvalidEvidence
from sessionstream.integrity.keyring import Keyring, SealKey

__all__ = ["FORMAT", "LinesReader", "LinesWriter"]

FORMAT = 1
"""The format of such a file; the first key of its first line has it."""

_Refusal = type[InvalidAnchor] | type[InvalidEvidence]
_encode = msgspec.json.Encoder().encode


class LinesWriter:
    """Writes a file, which appears under its name, in the place of an earlier one, when all of it is on the disk.

    Args:
        path: the file.
        kind: what it is; the first key of its first line.
        key: the present key.
        facts: what else the first line says.
        refusal: what is raised if it cannot be written.

    Raises:
        InvalidAnchor: or what ``refusal`` is: the path names no file.

    Attributes:
        lines: how many were written, the first and the last aside.
    """

    def __init__(self, path: Path, kind: str, key: SealKey, facts: Mapping[str, Any], refusal: _Refusal) -> None:
        self._refusal, self._path = refusal, path
        with self._as_ours():
            self._path = path = path.resolve() if path.is_symlink() else path
            is_other = path.exists() and not path.is_file()
        if not path.name:
            raise refusal(str(path), "it has no name")
        # What is in its place is replaced, which a device or a pipe would not survive.
        if is_other:
            raise refusal(str(path), "it is there, and is no file")
        self._part = path.with_name(f".{path.name}.{os.getpid()}.part")
        self._header = {kind: FORMAT, "key": key.id, **facts}
        self._digest = hmac.new(key.files, kind.encode(), "sha256")
        self._file: BinaryIO | None = None
        self.lines = -1

    def __enter__(self) -> Self:
        with self._as_ours():
            self._file = open(self._part, "wb")
        self.write(self._header)
        return self

    def write(self, record: Mapping[str, Any]) -> None:
        """Write one line."""
        assert self._file is not None
        line = _encode(record) + b"\n"
        self._digest.update(line)
        with self._as_ours():
            self._file.write(line)
        self.lines += 1

    @contextlib.contextmanager
    def _as_ours(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:
            raise self._refusal(str(self._path), _told(error)) from None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._file is not None
        try:
            with self._as_ours():
                if error is None:
                    self._file.write(_encode({"lines": self.lines, "mac": self._digest.hexdigest()}) + b"\n")
                    self._file.flush()
                    os.fsync(self._file.fileno())
                self._file.close()
                if error is None:
                    self._part.replace(self._path)
                    _sync_folder(self._path.parent)
        finally:
            with contextlib.suppress(OSError):  # a full disk says so once more
                self._file.close()
            self._part.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Let the name of a file in a folder survive a crash."""
    with contextlib.suppress(OSError):  # not every system can
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class LinesReader:
    """Reads such a file, line by line; what is wrong with it is known when all lines are read.

    Args:
        path: the file.
        kind: what it must be.
        keyring: the keys.
        refusal: what is raised if it is nothing of the kind.

    Attributes:
        header: what the first line says.
        problem: what is wrong with it; empty if it is as it was written.
        unchecked: why that cannot be told; empty if it can.
    """

    def __init__(self, path: Path, kind: str, keyring: Keyring, refusal: _Refusal) -> None:
        self._path = path
        self._kind = kind
        self._keyring = keyring
        self._refusal = refusal
        self.header: dict[str, Any] = {}
        self.problem = self.unchecked = ""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        try:
            with open(self._path, "rb") as file:
                yield from self._read(file)
        except self._refusal:
            raise
        except (OSError, ValueError) as error:
            raise self._refusal(str(self._path), _told(error)) from None

    def _read(self, file: BinaryIO) -> Iterator[dict[str, Any]]:
        line = file.readline()
        self.header = _record(line) or {}
        format_ = self.header.get(self._kind)
        if isinstance(format_, int) and format_ > FORMAT:
            needed = f"this version reads format {FORMAT}, a newer one is needed"
            raise self._refusal(str(self._path), f"it is {self._kind} of format {format_}: {needed}")
        if format_ != FORMAT:
            raise self._refusal(str(self._path), f"it does not begin as {self._kind} of this version does")
        key = self._keyring.get(str(self.header.get("key")))
        if key is None:
            self.unchecked = f"it was written with key {self.header.get('key')}, which is not here"
        digest = hmac.new(key.files if key is not None else b"", self._kind.encode(), "sha256")
        digest.update(line)
        for number, line in enumerate(file, 2):
            record = _record(line)
            if record is None:
                cut = "" if line.endswith(b"\n") else ", and ends there: it was cut short"
                self.problem = self.problem or f"line {number} does not decode{cut}"
            elif "mac" in record:
                self._compare(record, digest.hexdigest(), number, rest=bool(file.read(1)))
                return
            digest.update(line)
            if record is not None:
                yield record
        self.problem = self.problem or "it was cut short: its last line is missing"

    def _compare(self, trailer: dict[str, Any], found: str, number: int, *, rest: bool) -> None:
        if rest:
            self.problem = self.problem or f"it goes on behind line {number}, which was its last"
        elif trailer.get("lines") != number - 2:
            self.problem = self.problem or f"it has {number - 2} lines, not {trailer.get('lines')}"
        elif not self.unchecked and not hmac.compare_digest(str(trailer["mac"]).encode(), found.encode()):
            self.problem = self.problem or "it is not as it was written"


def _told(error: OSError | ValueError) -> str:
    # No system has files with a NUL in their name: Python says so with a ValueError.
    return (error.strerror if isinstance(error, OSError) else "") or str(error)


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        return msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
