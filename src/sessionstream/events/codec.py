"""How an event becomes the fields of a stream entry; nothing else writes or reads those fields."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from sessionstream.errors import InvalidArgument, InvalidData, TooLarge
from sessionstream.events.base import EventType, type_of, types_by_class
from sessionstream.events.encrypted import Seal
from sessionstream.events.strict_json import decode_json, encode_json, refuse_unportable
from sessionstream.redaction import AS_GIVEN, Redacted, Redactor

__all__ = ["EncodedEvent", "SealedEvent", "encode_event", "encode_events", "encode_plain"]


class EncodedEvent(msgspec.Struct, frozen=True, gc=False):
    """An event, its type, and the JSON of its fields.

    Attributes:
        kind: its registered type.
        data: the JSON of its fields.
        decoded: the event as it was read back, or None where there was no need to.
    """

    kind: EventType
    data: bytes
    decoded: Any = None

    @property
    def value(self) -> Any:
        """The event, as it will be read back: the caller may change the one it gave while this one travels."""
        return self.kind.read(self.data) if self.decoded is None else self.decoded

    @property
    def seal(self) -> Seal | None:
        """What encrypts what is derived from it; None where it is stored in plain text."""
        return None


class SealedEvent(EncodedEvent, frozen=True, gc=False):
    """An event as it is stored encrypted.

    Attributes:
        plain: the JSON of its fields.
        sealed_with: what encrypts what is derived from it.
    """

    plain: bytes = b""
    sealed_with: Any = None

    @property
    def value(self) -> Any:
        """The event, as it will be read back."""
        return self.kind.read(self.plain)

    @property
    def seal(self) -> Seal | None:
        """What encrypts what is derived from it."""
        seal: Seal | None = self.sealed_with
        return seal


def encode_plain(value: Any, kind: EventType, max_bytes: int, redactor: Redactor) -> bytes | None:
    """Return the JSON of an event's fields if it is plain, and None if only `encode_event` can tell; see there.

    Args:
        value: the event.
        kind: its type.
        max_bytes: the largest size of its JSON.
        redactor: what takes secrets out of it.
    """
    try:
        data = kind.encode(value)
        plain = kind.is_plain(value, redactor.names)
    except _UNENCODABLE:
        return None
    return data if plain and len(data) <= max_bytes else None


def encode_event(value: Any, max_bytes: int, redactor: Redactor = AS_GIVEN) -> EncodedEvent:
    """Encode an event, and make sure that it reads back equal.

    Args:
        value: an event of a declared type.
        max_bytes: the largest size of its JSON.
        redactor: what takes secrets out of it; nothing else is taken out.

    Raises:
        EventTypeError: its class is not declared.
        InvalidData: reading it back would give something else; or its type has no place for the mark of what was
            taken out.
        TooLarge: its JSON is larger than ``max_bytes``.
    """
    kind = types_by_class.get(type(value)) or type_of(value)
    try:
        data = kind.encode(value)
        plain = kind.is_plain(value, redactor.names)
    except _UNENCODABLE as error:
        raise _unencodable(kind, value, error) from None
    decoded = None
    if not plain:
        decoded = _read_back(kind, value, data)
        if redactor is not AS_GIVEN and not kind.is_clean(decoded, redactor.names):
            data, decoded = _redacted(kind, data, decoded, redactor)
    if len(data) > max_bytes:
        raise TooLarge(f"the {kind.name} event", len(data), max_bytes, "max_event_bytes")
    return EncodedEvent(kind, data, decoded)


def encode_events(values: Sequence[Any], max_bytes: int, redactor: Redactor = AS_GIVEN) -> list[EncodedEvent]:
    """Encode events; the arguments and the errors are those of `encode_event`."""
    encoded: list[EncodedEvent] = []
    for value in values:
        # As `encode_plain`: to call that for each takes a fiftieth of a large append's time.
        kind = types_by_class.get(type(value))
        try:
            if kind is not None and kind.inspected:
                data = kind.encode(value)
                if kind.is_plain(value, redactor.names) and len(data) <= max_bytes:
                    encoded.append(EncodedEvent(kind, data))
                    continue
        except _UNENCODABLE:
            pass
        encoded.append(encode_event(value, max_bytes, redactor))
    return encoded


def _read_back(kind: EventType, value: Any, data: bytes) -> Any:
    try:
        decoded = kind.read(data)
        same = decoded == value
    except _UNENCODABLE as error:
        raise _unencodable(kind, value, error) from None
    if not same:
        raise _changed(kind, value, data)
    refuse_unportable(data, kind.name, depth=-1)
    return decoded


def _redacted(kind: EventType, data: bytes, decoded: Any, redactor: Redactor) -> tuple[bytes, Any]:
    value = decode_json(data)
    without, found = redactor.traced(value, kind.name)
    if not found:
        return data, decoded
    data = encode_json(without, kind.name)
    try:
        return data, kind.read(data)
    except ValueError:  # the error would show the value
        raise InvalidData(*_without_place(found)) from None


def _without_place(found: list[Redacted]) -> tuple[str, str]:
    """Return the path of a mark that the event's type does not take, and what to do."""
    one = next((one for one in found if not one.was_text), found[0])
    return one.path, (
        f"it is redacted as {one.rule!r}, and its type does not take the mark, a text: "
        "let the type take a text, call it otherwise, or keep that name by the setting redact"
    )


_UNENCODABLE = (TypeError, ValueError, OverflowError, RecursionError)


def _fields(kind: EventType, value: Any) -> Iterator[tuple[str, str, Any]]:
    names = value.__struct_fields__ if isinstance(value, msgspec.Struct) else type(value).model_fields
    for name in names:
        if (given := getattr(value, name)) is not msgspec.UNSET:
            yield name, f"{kind.name}.{name}", given


def _unencodable(kind: EventType, value: Any, error: BaseException) -> InvalidArgument:
    """Return the error for what has no JSON, or whose JSON is not of the fields' types."""
    for _, path, given in _fields(kind, value):
        try:
            msgspec.json.encode(given)
        except _UNENCODABLE:
            try:
                encode_json(given, path)
            except InvalidData as named:
                return named
    return InvalidArgument(f"{kind.name}: {_told(error)}")


def _told(error: BaseException) -> str:
    """Return what an error says; of one of pydantic's not what was given, which may be private."""
    try:
        found = error.errors(include_url=False, include_context=False, include_input=False)  # type: ignore[attr-defined]
    except (AttributeError, TypeError):
        return str(error)
    return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in found)


def _changed(kind: EventType, value: Any, data: bytes) -> InvalidData:
    """Return the error for what its JSON would not give back."""
    back = kind.decode(data, kind.version)
    for name, path, given in _fields(kind, value):
        if getattr(back, name) != given:
            try:
                encode_json(given, path)
            except InvalidData as named:
                return named
            return InvalidData(path, "the value would not read back as it is")
    return InvalidData(kind.name, "the event would not read back as it is")
