"""How what is encrypted looks where it is stored, and an event that cannot be decrypted; no keys are known here.

The payload of an entry, a checkpoint's body or a delta begins with a byte that can begin neither JSON nor text. A text
in a view begins with a mark that JSON never holds, alone or behind an offset.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Protocol

import msgspec

from sessionstream.errors import EncryptionError, KeyUnavailable

__all__ = [
    "FIRST_BYTE",
    "NO_KEYS",
    "EncryptedEvent",
    "Envelope",
    "Opened",
    "Opener",
    "Seal",
    "Undecrypted",
    "envelope_in",
    "is_encrypted",
    "key_ids_in",
    "mark_in",
    "text_of_envelope",
]

FIRST_BYTE = 0xFF
_HEADER = b"\xff\x01"
_MARK = b"\x02e1:"
_KEY_ID, _NONCE, _LENGTH = 16, 12, 4
_FIXED = len(_HEADER) + _KEY_ID + _NONCE + _LENGTH


class Envelope(NamedTuple):
    """Something encrypted, with what is needed to decrypt it, the key aside.

    Attributes:
        key_id: of the data key.
        nonce: 96 bits.
        ciphertext: with its tag.
        plain: what stands behind it as it is, bound to it.
    """

    key_id: bytes
    nonce: bytes
    ciphertext: bytes
    plain: bytes = b""

    def packed(self) -> bytes:
        """Return it as it is stored."""
        size = len(self.ciphertext).to_bytes(_LENGTH)
        return b"".join((_HEADER, self.key_id, self.nonce, size, self.ciphertext, self.plain))

    @classmethod
    def unpacked(cls, stored: bytes) -> Envelope:
        """Return what is stored; raises `ValueError` for what is no such thing."""
        size = int.from_bytes(stored[_FIXED - _LENGTH : _FIXED])
        if not stored.startswith(_HEADER) or len(stored) < _FIXED + size:
            raise ValueError("it is encrypted in a way that this version does not know, or cut short")
        body = _FIXED + size
        nonce = stored[len(_HEADER) + _KEY_ID : _FIXED - _LENGTH]
        return cls(stored[len(_HEADER) : len(_HEADER) + _KEY_ID], nonce, stored[_FIXED:body], stored[body:])


def is_encrypted(stored: bytes) -> bool:
    """Whether a payload, a body or a delta is encrypted."""
    return stored[:1] == _HEADER[:1]


def text_of_envelope(envelope: Envelope) -> str:
    """Return an envelope as a view holds it."""
    return _MARK.decode() + base64.urlsafe_b64encode(envelope.key_id + envelope.nonce + envelope.ciphertext).decode()


def mark_in(value: bytes) -> int:
    """Return where in a view's value something encrypted begins; -1 if nothing does."""
    return value.find(_MARK)


def envelope_in(value: bytes, at: int) -> Envelope:
    """Return what begins at a place of a view's value; raises `ValueError` for what is no such thing."""
    try:
        packed = base64.b64decode(value[at + len(_MARK) :], altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(f"it is no base64: {error}") from None
    if len(packed) < _KEY_ID + _NONCE:
        raise ValueError("it is cut short")
    return Envelope(packed[:_KEY_ID], packed[_KEY_ID : _KEY_ID + _NONCE], packed[_KEY_ID + _NONCE :])


def key_ids_in(stored: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the ids of the keys that payloads, bodies, deltas and a view's values are encrypted with."""
    for one in stored:
        if one[:1] == _HEADER[:1]:
            yield one[len(_HEADER) : len(_HEADER) + _KEY_ID]
        elif (at := one.find(_MARK)) >= 0:
            try:
                yield envelope_in(one, at).key_id
            except ValueError:
                continue


class EncryptedEvent(msgspec.Struct, frozen=True):
    """An event whose data key this process cannot have, or that was destroyed.

    Attributes:
        type: its name.
        schema_version: the version of its schema.
        known: the typed event of what is stored of it in plain text, if that is more than nothing: ids, times, states.
        error: why it cannot be decrypted: `KeyUnavailable` or `KeyDestroyed`.
    """

    type: str
    schema_version: int
    known: Any
    error: EncryptionError


class Seal(Protocol):
    """What encrypts what is derived from one event, so that it comes out the same wherever it is derived again."""

    def operations(self, owner: str, operations: Iterable[Any]) -> Iterator[Any]:
        """Yield view operations with their texts encrypted.

        Args:
            owner: the name of the projection, or under which a group keeps its views.
            operations: as the projection gave them.
        """

    def text(self, place: str, text: str) -> str:
        """Return a text encrypted, bound to the event's session and to a place."""


class Opened(NamedTuple):
    """The payload of an event in plain text.

    Attributes:
        data: the JSON of its fields.
        meta: the JSON of who did it and why, empty if there is none.
        seal: what encrypts what is derived from it.
    """

    data: bytes
    meta: bytes
    seal: Seal


class Opener(Protocol):
    """What decrypts for one process.

    Whatever is asked of it raises `KeyUnavailable` or `KeyDestroyed`, and `ValueError` for what is not what was written
    at this place.
    """

    def event(self, session_id: str, word: bytes, event_id: bytes, payload: bytes) -> Opened:
        """Return the payload of an event in plain text.

        Args:
            session_id: the session.
            word: what its entry calls its type.
            event_id: its id.
            payload: as it is stored.
        """

    def field(self, session_id: str, owner: str, place: Any, field: bytes, value: bytes) -> bytes:
        """Return a value of a view in plain text; one that is not encrypted comes back as it is.

        Args:
            session_id: the session.
            owner: the name of the projection, or under which a group keeps its views.
            place: where that keeps it.
            field: of the hash.
            value: as it is stored.
        """

    def text(self, session_id: str, place: str, text: str) -> str:
        """Return in plain text what `Seal.text` gave."""

    def body(self, session_id: str, checkpoint_id: str, stored: bytes) -> bytes:
        """Return a checkpoint's body in plain text; one that is not encrypted comes back as it is."""

    def delta(self, session_id: str, delta_id: bytes, stored: bytes) -> bytes:
        """Return a delta in plain text; one that is not encrypted comes back as it is."""


class NoKeys:
    """The opener of a process that was given no keys: what is encrypted it does not read."""

    def event(self, session_id: str, word: bytes, event_id: bytes, payload: bytes) -> Opened:
        """Raise `KeyUnavailable`."""
        raise _no_keys(Envelope.unpacked(payload))

    def field(self, session_id: str, owner: str, place: Any, field: bytes, value: bytes) -> bytes:
        """Return a value that is not encrypted; raise `KeyUnavailable` for one that is."""
        if (at := mark_in(value)) >= 0:
            raise _no_keys(envelope_in(value, at))
        return value

    def text(self, session_id: str, place: str, text: str) -> str:
        """Return a text that is not encrypted; raise `KeyUnavailable` for one that is."""
        if mark_in(text.encode()) == 0:
            raise _no_keys(envelope_in(text.encode(), 0))
        return text

    def body(self, session_id: str, checkpoint_id: str, stored: bytes) -> bytes:
        """Return a body that is not encrypted; raise `KeyUnavailable` for one that is."""
        if is_encrypted(stored):
            raise _no_keys(Envelope.unpacked(stored))
        return stored

    def delta(self, session_id: str, delta_id: bytes, stored: bytes) -> bytes:
        """Return a delta that is not encrypted; raise `KeyUnavailable` for one that is."""
        return self.body(session_id, "", stored)


NO_KEYS = NoKeys()
"""What a store decrypts with that was given no keys."""


class Undecrypted(bytes):
    """A value of a view that could not be decrypted, as it is stored.

    Attributes:
        error: why that is.
    """

    error: Exception


def _no_keys(envelope: Envelope) -> KeyUnavailable:
    key_id = envelope.key_id.hex()
    return KeyUnavailable(
        f"it is encrypted with data key {key_id}, and no keys are given: give encryption_key and key_store",
        key_id=key_id,
    )
