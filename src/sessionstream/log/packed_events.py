"""Events as the words that the append script reads, in the pieces that a call is joined of."""

from __future__ import annotations

from collections.abc import Iterable

from sessionstream.events.base import EventType
from sessionstream.events.codec import EncodedEvent
from sessionstream.wire.packing import bulk

__all__ = ["pieces_of"]

_BEFORE_ID, _AFTER_ID, _END = b"$22\r\n", b"\r\n", b"\r\n"
_LONG = 2048
_LENGTHS = [b"$%d\r\n" % size for size in range(_LONG)]


def pieces_of(events: Iterable[tuple[bytes, EncodedEvent]], *, versioned: bool = False) -> list[bytes]:
    """Return the words of events: of each its id, its type and its data.

    Args:
        events: with their ids, of 22 characters.
        versioned: with their versions behind their types; 1 is the empty word.
    """
    kinds = _versioned_kinds if versioned else _kinds
    pieces: list[bytes] = []
    for identifier, event in events:
        data = event.data
        size = len(data)
        length = _LENGTHS[size] if size < _LONG else b"$%d\r\n" % size
        pieces += (_BEFORE_ID, identifier, kinds[event.kind], length, data, _END)
    return pieces


class _KindWords(dict[EventType, bytes]):
    def __init__(self, *, versioned: bool) -> None:
        super().__init__()
        self._versioned = versioned

    def __missing__(self, kind: EventType) -> bytes:
        version = b"" if kind.version == 1 else b"%d" % kind.version
        self[kind] = words = _AFTER_ID + bulk(kind.name.encode()) + (bulk(version) if self._versioned else b"")
        return words


_kinds, _versioned_kinds = _KindWords(versioned=False), _KindWords(versioned=True)
