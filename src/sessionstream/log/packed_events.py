"""Events as the words that the append script reads, in the pieces that a call is joined of."""

from __future__ import annotations

from collections.abc import Iterable

from sessionstream.events.base import EventType
from sessionstream.events.codec import EncodedEvent
from sessionstream.wire.packing import bulk

__all__ = ["pieces_of"]

_END = b"\r\n"
_LONG = 2048
_LENGTHS = [b"$%d\r\n" % size for size in range(_LONG)]


def pieces_of(events: Iterable[tuple[bytes, EncodedEvent]]) -> list[bytes]:
    """Return the words of events: of each the field of its entry and its value; see `sessionstream.events.recorded`.

    Args:
        events: with their ids.
    """
    pieces: list[bytes] = []
    for identifier, event in events:
        data = event.data
        size = len(identifier) + len(data)
        length = _LENGTHS[size] if size < _LONG else b"$%d\r\n" % size
        pieces += (_names[event.kind], length, identifier, data, _END)
    return pieces


class _Names(dict[EventType, bytes]):
    def __missing__(self, kind: EventType) -> bytes:
        self[kind] = word = bulk(kind.stored_as)
        return word


_names = _Names()
