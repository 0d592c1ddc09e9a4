"""Where an archive keeps a session: a folder for each session, in it one for each of its lives, in that the files.

A life is named by the milliseconds of its creation, as the id of a removed session may be used again. A file holds the
events of two versions and all between: ``000000000001-000000020000.jsonl.gz``.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sessionstream.errors import ArchiveFailed, InvalidArgument
from sessionstream.events.arguments import checked_path

__all__ = [
    "BODIES",
    "Segment",
    "best",
    "bodies_file",
    "checked_folder",
    "life_folder",
    "lives",
    "segment_name",
    "segments",
]

BODIES = "checkpoints"
_SEGMENT = re.compile(r"(\d{1,20})-(\d{1,20})\.jsonl(?:\.gz)?\Z")
_LONGEST_NAME = 180
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")


class Segment(NamedTuple):
    """A file of an archive.

    Attributes:
        path: the file.
        first: the version of its first event.
        last: the version of its last event.
    """

    path: Path
    first: int
    last: int


def checked_folder(folder: object) -> Path:
    """Return a folder as a path; raises `InvalidArgument` for what can be none."""
    path = checked_path(folder, "folder")
    if "\0" in str(path):
        raise InvalidArgument("folder holds a NUL, which no path can")
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        raise InvalidArgument("folder holds what this system has no bytes for") from None
    return path


def life_folder(folder: Path, session_id: str, created_ms: int) -> Path:
    """Return the folder of a session that was created at that moment."""
    return folder / _escaped(session_id) / str(created_ms)


def lives(folder: Path, session_id: str) -> list[Path]:
    """Return the folders of all lives of a session, the latest first."""
    above = folder / _escaped(session_id)
    try:
        found = [path for path in above.iterdir() if path.name.isdigit() and path.is_dir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ArchiveFailed(str(above), error.strerror or str(error)) from None
    return sorted(found, key=lambda path: int(path.name), reverse=True)


def segments(life: Path) -> list[Segment]:
    """Return the files of a life, by their first version; what is not finished is none of them."""
    try:
        names = [path.name for path in life.iterdir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ArchiveFailed(str(life), error.strerror or str(error)) from None
    matches = [(name, _SEGMENT.match(name)) for name in names]
    found = [Segment(life / name, int(match[1]), int(match[2])) for name, match in matches if match]
    return sorted(found, key=lambda one: (one.first, one.last))


def best(found: Sequence[Segment], version: int) -> Segment | None:
    """Return the file that holds a version and goes on farthest, or None."""
    holding = [one for one in found if one.first <= version <= one.last]
    return max(holding, key=lambda one: one.last, default=None)


def segment_name(first: int, last: int, *, compress: bool) -> str:
    """Return the name of the file that holds two versions and all between."""
    return f"{first:012}-{last:012}.jsonl{'.gz' if compress else ''}"


def bodies_file(life: Path) -> Path | None:
    """Return the file that closes a life: it holds the bodies of the checkpoints, and says which event was the last."""
    found = [path for name in (f"{BODIES}.jsonl.gz", f"{BODIES}.jsonl") if (path := life / name).exists()]
    return found[0] if found else None


def _escaped(session_id: str) -> str:
    """Return a file's name for any id, never the same for two: what is no letter, digit, ``_`` or ``-`` is ``%hh``."""
    raw = session_id.encode()
    name = "".join(chr(byte) if byte in _PLAIN else f"%{byte:02x}" for byte in raw)
    if len(name) <= _LONGEST_NAME:
        return name
    # A name that was cut has more signs than any other, so it is nobody else's.
    return f"{name[:_LONGEST_NAME]}%{hashlib.sha256(raw).hexdigest()}"
