"""One event as one line of JSON, from which its entry can be made again byte for byte."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

from sessionstream.errors import InvalidArgument
from sessionstream.events.ids import checked_id
from sessionstream.events.raw import text_of
from sessionstream.events.recorded import RecordedEvent
from sessionstream.log.history import parse_offset

__all__ = ["FORMAT", "EventLine", "encode_line", "event_record", "read_line", "session_named", "tells_of_event"]

FORMAT = 1
"""The format of a line; one of a later format says so under ``format``, which lines of this one lack."""

_MOST_WORDS = 1_000
_encode = msgspec.json.Encoder().encode


class _Packed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    base64: str


_Text = str | _Packed | None


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line as it is read; see `event_record` for its keys."""

    session_id: str
    offset: str
    version: int
    type: str | None
    schema_version: int
    id: str | None
    data: _Text
    meta: _Text
    other: list[list[_Text]] | msgspec.UnsetType = msgspec.UNSET
    entry: list[_Text] | msgspec.UnsetType = msgspec.UNSET
    body: _Text | msgspec.UnsetType = msgspec.UNSET
    last: bool = False
    format: int = FORMAT


class _Named(msgspec.Struct, frozen=True):
    session_id: str | None = None


class _Format(msgspec.Struct, frozen=True):
    format: int = FORMAT


class _Look(msgspec.Struct, frozen=True):
    offset: Any = msgspec.UNSET
    version: Any = msgspec.UNSET
    messages: Any = msgspec.UNSET


class EventLine(msgspec.Struct, frozen=True):
    """An event that a line tells of, checked in itself.

    Attributes:
        number: of the line, from 1.
        event: the event, with the words of its entry.
        ms: the milliseconds of its offset.
        body: of the checkpoint that it saved, if that is kept; UNSET where the line says nothing of a body.
        last: whether it is the last one of its session.
        size: bytes of its entry and of the body.
    """

    number: int
    event: RecordedEvent
    ms: int
    body: bytes | msgspec.UnsetType | None
    last: bool
    size: int


_decode = msgspec.json.Decoder(_Line).decode
_decode_format = msgspec.json.Decoder(_Format).decode
_decode_look = msgspec.json.Decoder(_Look).decode
_decode_name = msgspec.json.Decoder(_Named).decode
_OF_THE_ENTRY = ("version", "type", "schema_version", "id", "data", "meta", "other", "entry")


def event_record(event: RecordedEvent) -> dict[str, Any]:
    """Return an event with everything that is stored of it.

    ``data`` and ``meta`` are the stored JSON as text, so that any JSON parser gives their bytes back; bytes that are no
    UTF-8 are ``{"base64": …}``. What the entry lacks is null. Fields that no event has, as a damaged entry may, are
    under ``other``; and where the entry cannot be made of all these, its words as they stand are under ``entry``.
    """
    record: dict[str, Any] = {
        "session_id": event.session_id,
        "offset": event.offset,
        "version": event.version,
        "type": event.type or None,
        "schema_version": event.schema_version,
        "id": event.id or None,
        "data": _text(event.raw or None),
        "meta": _text(event.raw_meta or None),
    }
    made = _words(event.type, event.schema_version, event.id, event.raw, event.raw_meta)
    if made != list(event.words):
        told = dict(zip(made[::2], made[1::2], strict=True))
        other = [[_text(name), _text(value)] for name, value in event.fields.items() if told.get(name) != value]
        if other:
            record["other"] = other
        record["entry"] = [_text(word) for word in event.words]
    return record


def encode_line(event: RecordedEvent, *, last: bool, body: bytes | msgspec.UnsetType | None = msgspec.UNSET) -> bytes:
    """Return the line of an event.

    Args:
        event: the event.
        last: whether it is the last one of its session.
        body: of the checkpoint that it saved; None where that is not kept.
    """
    record = event_record(event)
    if body is not msgspec.UNSET:
        record["body"] = _text(body)
    if last:
        record["last"] = True
    return _encode(record) + b"\n"


def read_line(number: int, raw: bytes) -> EventLine:
    """Return the event that a line tells of.

    Args:
        number: of the line.
        raw: its JSON.

    Raises:
        InvalidArgument: it is no such line, or was changed so that its parts do not agree.
    """
    try:
        line = _decode(raw)
        words = _entry_of(line)
        body = line.body if line.body is msgspec.UNSET else _bytes(line.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, binascii.Error, RecursionError) as error:
        raise InvalidArgument(_newer(raw) or f"it is no event of an export: {error}") from None
    if line.format != FORMAT:
        raise InvalidArgument(_newer(raw) or f"it is of format {line.format}, which there never was")
    checked_id(line.session_id, "session_id")
    ms, version = parse_offset(line.offset)
    if f"{ms}-{version}" != line.offset:
        raise InvalidArgument(f"its offset {line.offset!r} is not written as an offset is")
    if len(words) > _MOST_WORDS:
        raise InvalidArgument(f"its entry has {len(words):,} words: {_MOST_WORDS:,} are allowed")
    event = RecordedEvent(line.session_id, line.offset, words)
    _compare(line, event)
    size = sum(map(len, words)) + (len(body) if isinstance(body, bytes) else 0)
    return EventLine(number, event, ms, body, line.last, size)


def _newer(raw: bytes) -> str:
    """Return what is to be said of a line of a later format, whatever else it holds; nothing for any other."""
    try:
        found = _decode_format(raw).format
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""
    return f"it is of format {found}: this version reads format {FORMAT}, a newer one is needed" * (found > FORMAT)


def session_named(raw: bytes) -> str | None:
    """Return the session that a line names which is no event of an export; None where it names none."""
    try:
        return _decode_name(raw).session_id
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def tells_of_event(raw: bytes) -> bool:
    """Whether a line looks as if it were an event of an export."""
    try:
        line = _decode_look(raw.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return line.messages is msgspec.UNSET and msgspec.UNSET not in (line.offset, line.version)


def _entry_of(line: _Line) -> list[bytes]:
    if line.entry is msgspec.UNSET:
        text = line.id or ""
        return _words(line.type or "", line.schema_version, text, _bytes(line.data) or b"", _bytes(line.meta) or b"")
    words = [_bytes(word) for word in line.entry]
    if len(words) % 2 or not words or None in words:
        raise InvalidArgument("its entry is no list of fields and values")
    return [word or b"" for word in words]


def _compare(line: _Line, event: RecordedEvent) -> None:
    """Refuse a line whose parts do not tell of one and the same entry."""
    derived = event_record(event)
    for name in _OF_THE_ENTRY:
        given, right = getattr(line, name), derived.get(name, msgspec.UNSET)
        if given != right and (given is msgspec.UNSET or msgspec.to_builtins(given) != right):
            raise InvalidArgument(f"its {name!r} is not what the rest of it says: the line was changed")


def _words(kind: str, version: int, identifier: str, data: bytes, meta: bytes) -> list[bytes]:
    marked = kind if version == 1 else f"{kind}@{version}"
    words = [marked.encode(errors="surrogatepass"), identifier.encode(errors="surrogatepass") + data]
    return [*words, b"meta", meta] if meta else words


def _text(raw: bytes | None) -> Any:
    return None if raw is None else text_of(raw)


def _bytes(text: _Text) -> bytes | None:
    if isinstance(text, _Packed):
        return base64.b64decode(text.base64, validate=True)
    return None if text is None else text.encode()
