"""Decrypting what a store reads, with the keys of one process."""

from __future__ import annotations

from collections.abc import Mapping

from sessionstream.encryption.ciphers import decrypt, decrypt_derived, place_of
from sessionstream.encryption.data_keys import DataKeys
from sessionstream.encryption.events import open_payload
from sessionstream.encryption.views import EventSeal, text_place, view_place
from sessionstream.events.encrypted import Envelope, Opened, envelope_in, is_encrypted, mark_in
from sessionstream.projection import Place

__all__ = ["DecryptingOpener", "body_place", "delta_place"]


def body_place(session_id: str, checkpoint_id: str) -> bytes:
    """Return what binds a checkpoint's body to its place."""
    return place_of("checkpoint", session_id, checkpoint_id)


def delta_place(session_id: str, delta_id: bytes) -> bytes:
    """Return what binds a delta to its place."""
    return place_of("delta", session_id, delta_id)


class DecryptingOpener:
    """Decrypts with data keys; see `sessionstream.events.encrypted.Opener`.

    Args:
        keys: the data keys.
    """

    def __init__(self, keys: DataKeys) -> None:
        self._keys = keys

    def event(self, session_id: str, word: bytes, event_id: bytes, payload: bytes) -> Opened:
        """Return the payload of an event in plain text."""
        envelope = Envelope.unpacked(payload)
        key = self._keys.find(envelope.key_id)
        data, meta = open_payload(key, session_id, word, event_id, envelope)
        return Opened(data, meta, EventSeal(key, session_id, event_id))

    def fields(self, session_id: str, owner: str, place: Place, fields: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        """Return the fields of a view in plain text."""
        return {field: self.field(session_id, owner, place, field, value) for field, value in fields.items()}

    def field(self, session_id: str, owner: str, place: Place, field: bytes, value: bytes) -> bytes:
        """Return one field of a view in plain text."""
        at = mark_in(value)
        if at < 0:
            return value
        envelope = envelope_in(value, at)
        key = self._keys.find(envelope.key_id)
        where = view_place(session_id, owner, place, field.decode())
        return value[:at] + decrypt_derived(key, where, envelope)

    def text(self, session_id: str, place: str, text: str) -> str:
        """Return in plain text what `Seal.text` gave."""
        raw = text.encode()
        if mark_in(raw) != 0:
            return text
        envelope = envelope_in(raw, 0)
        return decrypt_derived(self._keys.find(envelope.key_id), text_place(session_id, place), envelope).decode()

    def body(self, session_id: str, checkpoint_id: str, stored: bytes) -> bytes:
        """Return a checkpoint's body in plain text."""
        return self._blob(body_place(session_id, checkpoint_id), stored)

    def delta(self, session_id: str, delta_id: bytes, stored: bytes) -> bytes:
        """Return a delta in plain text."""
        return self._blob(delta_place(session_id, delta_id), stored)

    def _blob(self, place: bytes, stored: bytes) -> bytes:
        if not is_encrypted(stored):
            return stored
        envelope = Envelope.unpacked(stored)
        return decrypt(self._keys.find(envelope.key_id), place, envelope)
