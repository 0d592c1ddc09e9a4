"""Events as the words that the append script reads, in the pieces that a call is joined of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sessionstream.events.base import EventType
from sessionstream.events.codec import EncodedEvent
from sessionstream.events.ids import event_ids
from sessionstream.wire.packing import bulk

__all__ = ["field_of", "pieces_of", "usual_pieces_of"]

_END = b"\r\n"
# Bytes of an event's id, which stands before its JSON.
_ID = 22
_LENGTHS = [b"$%d\r\n" % (_ID + size) for size in range(2048)]


class OfOneEvent(Protocol):
    """An append of the usual form; its id is made when it is packed first, and kept when it is packed again."""

    usual: EventType | None
    ids: Sequence[bytes]
    data: bytes


def usual_pieces_of(appends: Sequence[OfOneEvent], shared: EventType | None) -> list[bytes]:
    """Return the words of appends in the usual form, and give those that have no id theirs; see `pieces_of`."""
    pieces: list[bytes] = []
    fields: dict[EventType | None, bytes] = _fields if shared is None else {shared: b""}
    for one, identifier in zip(appends, event_ids(len(appends)), strict=True):
        if one.ids:
            [identifier] = one.ids
        else:
            one.ids = (identifier,)
        # As in `pieces_of`: to call it for each, or to make lists for it, takes 2 to 6 % of an append's time here.
        data = one.data
        try:
            pieces += (fields[one.usual], _LENGTHS[len(data)], identifier, data, _END)
        except LookupError:
            field = b"" if one.usual is shared else field_of(one.usual)
            pieces += (field, b"$%d\r\n" % (_ID + len(data)), identifier, data, _END)
    return pieces


def pieces_of(ids: Sequence[bytes], events: Sequence[EncodedEvent], shared: EventType | None) -> list[bytes]:
    """Return the words of events: of each the field of its entry and its value; see `sessionstream.events.recorded`.

    Args:
        ids: of the events.
        events: as many.
        shared: the type of all of them, whose field is left out; None if they are not of one.
    """
    pieces: list[bytes] = []
    fields: dict[EventType | None, bytes] = _fields if shared is None else {shared: b""}
    for identifier, event in zip(ids, events, strict=True):
        data = event.data
        try:
            pieces += (fields[event.kind], _LENGTHS[len(data)], identifier, data, _END)
        except LookupError:
            field = b"" if event.kind is shared else field_of(event.kind)
            pieces += (field, b"$%d\r\n" % (_ID + len(data)), identifier, data, _END)
    return pieces


def field_of(kind: EventType | None) -> bytes:
    """Return the field of the entries of an event type, as a word."""
    assert kind is not None
    _fields[kind] = word = bulk(kind.stored_as)
    return word


# A plain dict: to look something up in one that makes what it lacks takes three times as long.
_fields: dict[EventType | None, bytes] = {}
