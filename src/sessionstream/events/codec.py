"""How an event becomes the fields of a stream entry; nothing else writes or reads those fields."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from sessionstream.errors import InvalidArgument, InvalidData, TooLarge
from sessionstream.events.base import EventType, type_of
from sessionstream.events.strict_json import encode_json

__all__ = ["EncodedEvent", "encode_event"]


class EncodedEvent(NamedTuple):
    """An event, its type, and the JSON of its fields.

    Attributes:
        kind: its registered type.
        value: the event itself.
        data: the JSON of its fields.
    """

    kind: EventType
    value: Any
    data: bytes


def encode_event(value: Any, max_bytes: int) -> EncodedEvent:
    """Encode an event, and make sure that it reads back equal.

    Args:
        value: an event of a declared type.
        max_bytes: the largest size of its JSON.

    Raises:
        EventTypeError: its class is not declared.
        InvalidData: reading it back would give something else.
        TooLarge: its JSON is larger than ``max_bytes``.
    """
    kind = type_of(value)
    data = None
    try:
        data = kind.encode(value)
        same = kind.decode(data, kind.version) == value
    except (TypeError, ValueError, OverflowError, RecursionError):
        same = False
    if data is None or not same:
        _refuse(kind, value)
        raise InvalidData(kind.name, "the event would not read back as it is")
    if len(data) > max_bytes:
        raise TooLarge(f"the {kind.name} event", len(data), max_bytes, "max_event_bytes")
    return EncodedEvent(kind, value, data)


def _refuse(kind: EventType, value: Any) -> None:
    """Raise the error that names the field at fault, if one alone is."""
    names = value.__struct_fields__ if isinstance(value, msgspec.Struct) else type(value).model_fields
    for name in names:
        given = getattr(value, name)
        if isinstance(given, (dict, list, str, int, float, bytes, set, tuple)):
            try:
                encode_json(given, f"{kind.name}.{name}")
            except InvalidData:
                # What a typed field converts, such as bytes declared as bytes, is no offence by itself.
                if isinstance(given, (dict, list, str, float)):
                    raise
    try:
        kind.decode(kind.encode(value), kind.version)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidArgument(f"{kind.name}: {error}") from None
