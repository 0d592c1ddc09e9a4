"""What encryption asks of the outside: a place for the wrapped data keys of users, and who wraps them.

Both are protocols of plain blocking calls, so that any client serves to write one; the library makes them in a thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec

__all__ = ["KEY_ID_BYTES", "KeyProvider", "KeyStore", "WrappedKey"]

KEY_ID_BYTES = 16


class WrappedKey(msgspec.Struct, frozen=True):
    """A data key as a key store keeps it.

    Attributes:
        key_id: 32 hexadecimal digits, drawn at random; it travels with what the key encrypts.
        user_id: whose data it encrypts.
        master: the name of the master key that it is wrapped with.
        wrapped: the data key, encrypted with the master key.
        created_ms: when it was made, in milliseconds since 1970 by this machine's clock.
    """

    key_id: str
    user_id: str
    master: str
    wrapped: bytes
    created_ms: int


class KeyStore(Protocol):
    """Where the wrapped data keys of users lie, outside of the Redis that holds what they encrypt.

    Every call blocks until what it did is on the disk, may be made from any thread, and by several processes at once.
    What goes wrong may be raised as any exception: it reaches callers as `sessionstream.errors.KeyUnavailable`.
    """

    def get(self, user_id: str) -> Sequence[WrappedKey]:
        """Return the keys of a user, the oldest first; none if there was none, or if they were destroyed."""

    def find(self, key_id: str) -> WrappedKey | None:
        """Return one key; None if it is not here, or was destroyed."""

    def put(self, key: WrappedKey, *, known: int) -> bool:
        """Add a key behind the others of its user.

        Args:
            key: the key.
            known: how many keys the user has, by what the caller knows.

        Returns:
            False if the user has another number of keys; then nothing was changed.
        """

    def rewrap(self, key: WrappedKey) -> bool:
        """Put the same key, wrapped anew, in the place of the one that has its id; False if that is not here."""

    def destroy(self, user_id: str) -> int:
        """Destroy all keys of a user for good, remember their ids and whose they were, and return how many there were.

        It may be repeated. Keys that the user is given later are not those, and do not read what those have encrypted.
        """

    def is_destroyed(self, key_id: str) -> bool:
        """Whether a key was here once and was destroyed."""

    def has_destroyed(self, user_id: str) -> bool:
        """Whether a user had keys once that were destroyed."""

    def users(self) -> Iterator[str]:
        """Yield every user that has a key."""


class KeyProvider(Protocol):
    """Who wraps data keys with a master key: the settings' secrets, or the caller's own key management service.

    Calls block, and may be made from any thread. ``context`` has to be given to `unwrap` as it was given to `wrap`: it
    binds a wrapped key to its user and its id.
    """

    def wrap(self, key: bytes, context: bytes) -> tuple[str, bytes]:
        """Return the name of the present master key, and a data key of 32 bytes wrapped with it."""

    def unwrap(self, master: str, wrapped: bytes, context: bytes) -> bytes:
        """Return a data key that was wrapped with the master key of that name."""
