"""The key provider of the settings: master keys made of secrets."""

from __future__ import annotations

import hmac
import os
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sessionstream.errors import KeyUnavailable

if TYPE_CHECKING:
    from sessionstream.settings import Settings

__all__ = ["MasterKeys"]

_NAME_BYTES = 8
_NONCE = 12


class MasterKeys:
    """Wraps data keys with AES-256-GCM and a master key that is derived from a secret.

    Args:
        present: the secret that new data keys are wrapped with; 32 bytes or more that nobody can guess.
        old: those before it, with which data keys may still be wrapped.
    """

    def __init__(self, present: str, old: tuple[str, ...] = ()) -> None:
        keys = [_derive(secret.encode()) for secret in (*old, present)]
        self._ciphers = {name: AESGCM(key) for name, key in keys}
        self.present = keys[-1][0]

    @classmethod
    def of(cls, settings: Settings) -> MasterKeys:
        """Return the keys of settings that have an ``encryption_key``."""
        assert settings.encryption_key is not None
        old = settings.encryption_keys_old.get_secret_value() if settings.encryption_keys_old is not None else ""
        return cls(settings.encryption_key.get_secret_value(), tuple(filter(None, old.split(","))))

    def wrap(self, key: bytes, context: bytes) -> tuple[str, bytes]:
        """Return the name of the present master key, and a data key wrapped with it."""
        nonce = os.urandom(_NONCE)
        return self.present, nonce + self._ciphers[self.present].encrypt(nonce, key, context)

    def unwrap(self, master: str, wrapped: bytes, context: bytes) -> bytes:
        """Return a data key that was wrapped with the master key of that name.

        Raises:
            KeyUnavailable: no secret here gives that master key, or what is wrapped was changed.
        """
        cipher = self._ciphers.get(master)
        if cipher is None:
            raise KeyUnavailable(f"the data key is wrapped with master key {master}: give it in encryption_keys_old")
        try:
            return cipher.decrypt(wrapped[:_NONCE], wrapped[_NONCE:], context)
        except (InvalidTag, ValueError):
            raise KeyUnavailable(f"a data key that is wrapped with master key {master} was changed") from None


def _derive(secret: bytes) -> tuple[str, bytes]:
    """Return the name of a secret's master key, which tells nothing of it, and the key."""
    name = hmac.digest(secret, b"sessionstream master key id", "sha256")[:_NAME_BYTES].hex()
    return name, hmac.digest(secret, b"sessionstream master key", "sha256")
