"""The lines of an archive: events as an export writes them, between a line that says whose and one that ends them."""

from __future__ import annotations

from typing import Any

import msgspec

from sessionstream.events.recorded import RecordedEvent
from sessionstream.transfer.event_lines import encode_line, read_line

__all__ = ["FORMAT", "BodyLine", "Foot", "Head", "Whose", "encode", "event_of", "line_of"]

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
    return encode_line(event, last=False)


def event_of(line: bytes) -> RecordedEvent:
    """Return the event of a line, with every byte of its entry; raises `InvalidArgument` if it is no such line."""
    return read_line(0, line).event
