"""How far an export has come, in a file: what a later call needs to go on without leaving out or repeating anything."""

from __future__ import annotations

import hashlib
import os
from datetime import datetime
from pathlib import Path

import msgspec

from sessionstream.errors import InvalidArgument
from sessionstream.transfer.outlets import refused_by_the_disk

__all__ = ["Cursor", "digest"]


_FORMAT = 1


class _Format(msgspec.Struct, frozen=True):
    format: int = _FORMAT


class Cursor(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The position of an export, and the size of its output at that position.

    Attributes:
        namespace: of the store.
        wanted: a digest of what is exported.
        since: events from this moment on, as the first call understood it.
        until: events up to this moment.
        session_id: the session that was passed last, written or not; None before the first.
        created_ms: when that was created.
        offset: the last event of it that was written; None if it is complete.
        size: what the outlet had saved.
        sessions: how many sessions were written.
        items: how many lines or rows were.
        missing: as `Exported` has it; so has it the next two.
        cut: sessions that lack events.
        failures: sessions that could not be read.
        complete: whether nothing is left but to give the output its name.
        format: of the file.
    """

    namespace: str
    wanted: str
    since: datetime | None = None
    until: datetime | None = None
    session_id: str | None = None
    created_ms: int = 0
    offset: str | None = None
    size: int = 0
    sessions: int = 0
    items: int = 0
    missing: list[str] = []
    cut: list[str] = []
    failures: list[tuple[str, str]] = []
    complete: bool = False
    format: int = _FORMAT

    @classmethod
    def begun(cls, path: Path, namespace: str, wanted: object) -> Cursor | None:
        """Return what a file tells of an export that was begun; None if there is no such file.

        Args:
            path: the file.
            namespace: of the store.
            wanted: what is exported, as anything that has a JSON.

        Raises:
            InvalidArgument: the file is no cursor, or the cursor of another export.
        """
        if not path.exists():
            return None
        with refused_by_the_disk(path):
            data = path.read_bytes()
        try:
            cursor = msgspec.json.decode(data, type=cls)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise InvalidArgument(f"{path} is {_newer(data) or _NONE}: remove it to begin anew") from None
        if newer := _newer(data):
            raise InvalidArgument(f"{path} is {newer}: remove it to begin anew")
        if cursor.namespace != namespace:
            raise InvalidArgument(f"{path} is the cursor of an export of namespace {cursor.namespace!r}")
        if cursor.wanted != digest(wanted):
            raise InvalidArgument(f"{path} is the cursor of an export with other options: give those, or remove it")
        return cursor

    def save(self, path: Path) -> None:
        """Write it, in one step: whoever reads the file finds this or what was there before."""
        beside = path.with_name(f".{path.name}.{os.getpid()}.new")
        with refused_by_the_disk(path):
            with beside.open("wb") as file:
                file.write(msgspec.json.encode(self))
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)

    @staticmethod
    def remove(path: Path) -> None:
        """Remove the file of an export that is finished."""
        with refused_by_the_disk(path):
            path.unlink(missing_ok=True)


_NONE = "no cursor of an export"


def _newer(data: bytes) -> str:
    """Return what a file is that a newer version wrote; nothing for any other."""
    try:
        found = msgspec.json.decode(data, type=_Format).format
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ""
    return f"the cursor of an export in format {found}, and this version reads format {_FORMAT}" * (found > _FORMAT)


def digest(wanted: object) -> str:
    """Return what tells one export from another."""
    return hashlib.sha256(msgspec.json.encode(wanted, order="sorted")).hexdigest()[:32]
