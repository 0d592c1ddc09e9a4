"""Encrypting and decrypting, bound to a place: what is moved to another one, or changed, does not decrypt there."""

from __future__ import annotations

import hmac
import os

from cryptography.exceptions import InvalidTag

from sessionstream.encryption.data_keys import DataKey
from sessionstream.events.encrypted import Envelope

__all__ = ["decrypt", "decrypt_derived", "encrypt", "encrypt_derived", "place_of"]

_NONCE_BYTES = 12
_FORMAT = b"sessionstream 1"


def place_of(*parts: str | bytes) -> bytes:
    """Return what binds a ciphertext to a place: its parts, each behind its length, so that no two places are alike."""
    encoded = [part.encode() if isinstance(part, str) else part for part in (_FORMAT, *parts)]
    return b"".join([len(part).to_bytes(4) + part for part in encoded])


def encrypt(key: DataKey, place: bytes, plain: bytes, beside: bytes = b"") -> bytes:
    """Return something encrypted, as it is stored.

    Args:
        key: whose data it is.
        place: where it belongs.
        plain: what is encrypted.
        beside: what is stored with it as it is; it is bound to the place too.
    """
    nonce = os.urandom(_NONCE_BYTES)
    return Envelope(key.key_id, nonce, key.events.encrypt(nonce, plain, place + beside), beside).packed()


def decrypt(key: DataKey, place: bytes, envelope: Envelope) -> bytes:
    """Return what was encrypted; raises `ValueError` where it is not what was written at this place."""
    try:
        return key.events.decrypt(envelope.nonce, envelope.ciphertext, place + envelope.plain)
    except InvalidTag:
        raise ValueError("it does not decrypt: it was changed, or moved there from somewhere else") from None


def encrypt_derived(key: DataKey, place: bytes, source: bytes, plain: bytes) -> Envelope:
    """Return something encrypted that follows from an event, always the same for the same event.

    The nonce is derived from all that goes in, so that it comes again only where everything does (as in RFC 5297).

    Args:
        key: the event's.
        place: where it belongs.
        source: the id of the event.
        plain: what is encrypted.
    """
    text = b"".join([len(part).to_bytes(4) + part for part in (place, source, plain)])
    nonce = hmac.digest(key.nonces, text, "sha256")[:_NONCE_BYTES]
    return Envelope(key.key_id, nonce, key.views.encrypt(nonce, plain, place))


def decrypt_derived(key: DataKey, place: bytes, envelope: Envelope) -> bytes:
    """Return what was encrypted by `encrypt_derived`; raises `ValueError` as `decrypt` does."""
    try:
        return key.views.decrypt(envelope.nonce, envelope.ciphertext, place)
    except InvalidTag:
        raise ValueError("it does not decrypt: it was changed, or moved there from somewhere else") from None
