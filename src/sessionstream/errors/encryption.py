"""What stands against reading what is encrypted, or against encrypting."""

from __future__ import annotations

from sessionstream.errors.root import SessionStreamError

__all__ = [
    "EncryptionError",
    "KeyDestroyed",
    "KeyUnavailable",
]


class EncryptionError(SessionStreamError):
    """Something cannot be encrypted, or what is encrypted cannot be read.

    Attributes:
        user_id: whose data it is, where that is known.
        key_id: what names the data key, where that is known; 32 hexadecimal digits.
    """

    def __init__(self, message: str, *, user_id: str | None = None, key_id: str | None = None) -> None:
        super().__init__(message)
        self.user_id = user_id
        self.key_id = key_id


class KeyUnavailable(EncryptionError):
    """The data key, or the master key that it is wrapped with, cannot be had here or now; nothing was written."""


class KeyDestroyed(EncryptionError):
    """The data key was destroyed, and with it all that was encrypted with it: nobody can read that any more."""
