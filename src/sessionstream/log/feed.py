"""The feed of a partition: one pointer for each append, in commit order; those of one script call share an entry.

An entry ``<ms>-<n>`` holds one or more pointers, the last of which has position n: under the session's name the offset
of the append's last event, without its milliseconds where they are the entry's, and, if it is not 1, how many events it
appended. A retirement has 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sessionstream.errors import CorruptRecord
from sessionstream.events.stored import UNREADABLE
from sessionstream.log.gates import session_named

__all__ = ["Pointer", "pointers_of"]


class Pointer(NamedTuple):
    """That something was appended.

    Attributes:
        number: its position, counted from 1 without a gap.
        session_id: the session.
        offset: of the append's last event.
        events: how many it appended; 0 says that the session was retired.
        position: ``<ms>-<number>``, by which a reader goes on behind it.
    """

    number: int
    session_id: str
    offset: str
    events: int
    position: str


def pointers_of(entry: Sequence[Any]) -> list[Pointer]:
    """Return the pointers of an entry of the feed, in commit order.

    Args:
        entry: its id and its fields, as XRANGE gives them.
    """
    try:
        return _pointers_of(entry)
    except UNREADABLE as error:
        raise CorruptRecord("an entry of the feed", f"{type(error).__name__}: {error}") from None


def _pointers_of(entry: Sequence[Any]) -> list[Pointer]:
    identifier, fields = entry
    ms, _, last = identifier.decode().partition("-")
    first = int(last) - len(fields) // 2 + 1
    found = []
    for place, (name, told) in enumerate(zip(fields[::2], fields[1::2], strict=True)):
        offset, _, count = told.decode().partition(" ")
        if "-" not in offset:
            offset = f"{ms}-{offset}"
        version = offset.partition("-")[2]
        if not version.isdigit():
            raise ValueError(f"{offset!r} is no offset")
        number = first + place
        found.append(Pointer(number, session_named(name.decode()), offset, int(count or 1), f"{ms}-{number}"))
    return found
