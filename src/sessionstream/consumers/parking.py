"""What a group has parked: fields of the hash `Keys.parked`, and what they say.

``s:<session>`` is a session that waits from its first unhandled event on, ``e:<offset>:<session>`` a single event whose
session goes on, and ``d:<session>`` up to where a session was caught up from its own stream ahead of the feed. A field
``''`` stands in each hash for as long as it exists.
"""

from __future__ import annotations

import traceback
from datetime import datetime
from typing import Literal, NamedTuple

import msgspec

from sessionstream.errors import EncryptionError
from sessionstream.events.encrypted import Opener, Seal
from sessionstream.events.recorded import RecordedEvent, moment
from sessionstream.events.stored import reading_stored
from sessionstream.log.gates import fields_of
from sessionstream.log.history import parse_offset
from sessionstream.log.store import Store

__all__ = [
    "Caught",
    "Parked",
    "Record",
    "error_text",
    "field_of",
    "parked_of",
    "read_fields",
    "read_parked",
    "readable_text",
    "record_of",
]

_LONGEST = 2_000
_PLACE = "error"


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is kept of something parked.

    Attributes:
        offset: of the event that failed.
        type: that event's type.
        start: where the session's stream is read from on; ``(`` in front excludes the offset.
        number: of the pointer with which it was parked.
        error: the class of what it failed with.
        message: what that said.
        trace: the end of its traceback.
        attempts: how often it was tried.
        at_ms: when it was parked.
        asked: what somebody wants done with it.
    """

    offset: str
    type: str
    start: str
    number: int
    error: str
    message: str = ""
    trace: str = ""
    attempts: int
    at_ms: int
    asked: Literal["", "replay", "discard"] = ""


class Caught(msgspec.Struct, frozen=True):
    """Up to where a session was caught up, while the group's position was in front of that.

    Attributes:
        offset: of the last event.
        number: of a pointer at or behind that event's own.
    """

    offset: str
    number: int


class Parked(NamedTuple):
    """An event that a group could not handle.

    Attributes:
        group: the group.
        session_id: the session.
        offset: the event's.
        type: the event's type.
        waits: whether the session's later events wait for it.
        error: the class of what it failed with.
        message: what that said.
        trace: the end of its traceback.
        attempts: how often it was tried.
        at: when it was parked, by the clock of the process that did.
        asked: ``replay`` or ``discard`` once somebody has asked for that, or nothing.
    """

    group: str
    session_id: str
    offset: str
    type: str
    waits: bool
    error: str
    message: str
    trace: str
    attempts: int
    at: datetime
    asked: str


def field_of(session_id: str, offset: str | None) -> str:
    """Return the field of a waiting session, or of a single event."""
    return f"s:{session_id}" if offset is None else f"e:{offset}:{session_id}"


class Fields(NamedTuple):
    """The fields of one partition.

    Attributes:
        waiting: the sessions that wait.
        single: single events, by session and offset.
        caught: the sessions that were caught up ahead of the position.
    """

    waiting: dict[str, Record]
    single: dict[tuple[str, str], Record]
    caught: dict[str, Caught]


def read_fields(found: dict[bytes, bytes]) -> Fields:
    """Return what the hash of a partition says."""
    fields = Fields({}, {}, {})
    with reading_stored("what a group has parked"):
        _read_into(fields, found)
    return fields


def _read_into(fields: Fields, found: dict[bytes, bytes]) -> None:
    for name, value in found.items():
        kind, _, rest = name.decode().partition(":")
        if kind == "s":
            fields.waiting[rest] = msgspec.json.decode(value, type=Record)
        elif kind == "e":
            offset, _, session_id = rest.partition(":")
            fields.single[session_id, offset] = msgspec.json.decode(value, type=Record)
        elif kind == "d":
            fields.caught[rest] = msgspec.json.decode(value, type=Caught)


async def read_parked(store: Store, group: str, partition: int) -> Fields:
    """Return what a group has parked in a partition."""
    return read_fields(fields_of(await store.server.call("HGETALL", store.keys.parked(group, partition))))


def text_of(value: Record | Caught) -> str:
    """Return a record as it is stored."""
    return msgspec.json.encode(value).decode()


def record_of(
    event: RecordedEvent, seal: Seal | None, number: int, attempts: int, error: BaseException, at_ms: int
) -> Record:
    """Return the record of an event that is parked with its error, which may tell what was said."""
    trace = "".join(traceback.format_exception(error))
    return Record(
        offset=event.offset,
        type=event.type,
        start=event.offset,
        number=number,
        error=type(error).__name__,
        message=error_text(seal, _clean(str(error))[:_LONGEST]),
        trace=error_text(seal, _clean(trace)[-_LONGEST:]),
        attempts=attempts,
        at_ms=at_ms,
    )


def error_text(seal: Seal | None, text: str) -> str:
    """Return what an error says as it is stored."""
    return text if seal is None else seal.text(_PLACE, text)


def readable_text(opener: Opener, session_id: str, text: str) -> str:
    """Return what an error says, as `error_text` gave it; if it cannot be decrypted, that."""
    try:
        return opener.text(session_id, _PLACE, text)
    except (EncryptionError, ValueError) as error:
        return f"(encrypted: {error})"


def _clean(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


def parked_of(group: str, fields: Fields, opener: Opener) -> list[Parked]:
    """Return what is parked in a partition, in the order of the events' offsets."""
    found = [(session_id, record, True) for session_id, record in fields.waiting.items()]
    found += [(session_id, record, False) for (session_id, _), record in fields.single.items()]
    found.sort(key=lambda one: parse_offset(one[1].offset))
    return [
        Parked(
            group,
            session_id,
            record.offset,
            record.type,
            waits,
            record.error,
            readable_text(opener, session_id, record.message),
            readable_text(opener, session_id, record.trace),
            record.attempts,
            moment(record.at_ms),
            record.asked,
        )
        for session_id, record, waits in found
    ]
