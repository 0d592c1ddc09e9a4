"""What is encrypted of events: all that an event says, and who did it; of a session's life the parts that users say.

Of the events that tell of a session's life, ids, times and states stay as they are: they stand so in views, and without
them nobody could remove what is over. An event of which nothing is encrypted is stored in plain text.
"""

from __future__ import annotations

from typing import Any

import msgspec

from sessionstream.encryption.ciphers import decrypt, encrypt, place_of
from sessionstream.encryption.data_keys import DataKey
from sessionstream.encryption.views import EventSeal
from sessionstream.events.codec import EncodedEvent, SealedEvent
from sessionstream.events.encrypted import Envelope

__all__ = ["open_payload", "says_nothing", "seal_event"]

_PRIVATE: dict[str, dict[str, Any]] = {
    "session.created": {"metadata": msgspec.UNSET},
    "session.metadata_updated": {"set": msgspec.UNSET},
    "checkpoint.saved": {"label": msgspec.UNSET},
    "session.held": {"reason": ""},
}
"""The fields of reserved events that users fill, and what stands in their place where their type wants something."""

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


def seal_event(key: DataKey, session_id: str, event_id: bytes, event: EncodedEvent, meta: bytes) -> EncodedEvent:
    """Return an event as it is stored encrypted; the same one if it says nothing that is to be encrypted.

    Args:
        key: the present one of the session's user.
        session_id: the session.
        event_id: the event's id.
        event: the event.
        meta: the JSON of who did it and why, or empty.
    """
    kind, data = event.kind, event.data
    private, beside = _divided(kind.name, data) if kind.reserved else (data, b"")
    if not private and not meta:
        return event
    # JSON that is written by a machine has no line break.
    place = _place(session_id, event_id, kind.stored_as)
    sealed = encrypt(key, place, meta + b"\n" + private, beside)
    return SealedEvent(kind, sealed, None, data, EventSeal(key, session_id, event_id))


def says_nothing(event: EncodedEvent) -> bool:
    """Whether an event says nothing that is to be encrypted."""
    return event.kind.reserved and not _divided(event.kind.name, event.data)[0]


def open_payload(
    key: DataKey, session_id: str, word: bytes, event_id: bytes, envelope: Envelope
) -> tuple[bytes, bytes]:
    """Return the JSON of an event's fields, and that of who did it and why; raises `ValueError` as `decrypt` does."""
    plain = decrypt(key, _place(session_id, event_id, word), envelope)
    meta, _, private = plain.partition(b"\n")
    if not envelope.plain or not private:
        return private or envelope.plain, meta
    return _encode({**_decode(envelope.plain), **_decode(private)}), meta


def _place(session_id: str, event_id: bytes, word: bytes) -> bytes:
    return place_of("event", session_id, event_id, word)


def _divided(name: str, data: bytes) -> tuple[bytes, bytes]:
    """Return the JSON of what is encrypted of a reserved event, empty if nothing is, and that of all else."""
    names = _PRIVATE.get(name)
    if names is None:
        return b"", data
    fields = _decode(data)
    private = {field: fields.pop(field) for field in names if field in fields}
    if not private:
        return b"", data
    left: dict[str, Any] = {**fields, **{field: names[field] for field in private if names[field] is not msgspec.UNSET}}
    return _encode(private), _encode(left)
