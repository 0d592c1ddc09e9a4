"""The lines of an archive's files: events as an export writes them, between a line that says whose and one that ends.

An entry that an export cannot tell in full, as one that somebody put there by hand, has its words under ``entry`` too.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from sessionstream.events.recorded import RecordedEvent
from sessionstream.transfer.exporting import event_record

__all__ = ["FORMAT", "BodyLine", "Foot", "Head", "Whose", "bytes_of", "encode", "event_of", "line_of", "text_of"]

FORMAT = 1

encode = msgspec.json.Encoder().encode
"""Return the JSON of one line."""


class Whose(msgspec.Struct, frozen=True):
    """Whose archive it is.

    Attributes:
        namespace: the store's.
        session_id: the session.
        created_ms: when it was created.
    """

    namespace: str
    session_id: str
    created_ms: int


class Head(Whose, frozen=True, kw_only=True):
    """The first line of a file.

    Attributes:
        archive: what the file holds: ``events``, or ``checkpoints``.
        format: of its lines.
    """

    archive: str
    format: int = FORMAT


class Foot(msgspec.Struct, frozen=True):
    """The last line of a file, which says that it is whole.

    Attributes:
        lines: how many there are between the first and the last.
        last: the offset of the session's last event in it, or up to it.
        sha256: of all lines before this one, in hexadecimal.
    """

    lines: int
    last: str
    sha256: str


class BodyLine(msgspec.Struct, frozen=True):
    """The data of a checkpoint.

    Attributes:
        checkpoint_id: its id.
        body: its JSON, as it is stored; None if it was missing.
    """

    checkpoint_id: str
    body: Any


def line_of(event: RecordedEvent) -> bytes:
    """Return the line of an event."""
    record = event_record(event)
    if _words_of(record) != list(event.words):
        record["entry"] = [text_of(word) for word in event.words]
    return encode(record) + b"\n"


def event_of(line: bytes) -> RecordedEvent:
    """Return the event of a line, with every byte of its entry.

    Raises:
        ValueError: it is no such line.
    """
    record = msgspec.json.decode(line)
    try:
        return RecordedEvent(str(record["session_id"]), str(record["offset"]), _words_of(record))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it is no event: {error!r}") from None


def _words_of(record: Mapping[str, Any]) -> Sequence[bytes]:
    if "entry" in record:
        return [bytes_of(word) for word in record["entry"]]
    version = record["schema_version"]
    name = (record["type"] or "") if version == 1 else f"{record['type']}@{version}"
    words = [name.encode(), (record["id"] or "").encode() + bytes_of(record["data"])]
    if record["meta"] is not None:
        words += (b"meta", bytes_of(record["meta"]))
    return words


def text_of(raw: bytes) -> Any:
    """Return bytes as JSON has them: text, or base64 where they are none."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(raw).decode()}


def bytes_of(text: Any) -> bytes:
    """Return the bytes that JSON has as text; none for null."""
    if text is None:
        return b""
    if isinstance(text, str):
        return text.encode()
    return base64.b64decode(text["base64"], validate=True)
