"""The door to the keys of an encrypting store: what is done with them beside encrypting."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sessionstream.errors import InvalidArgument
from sessionstream.events.ids import checked_id

if TYPE_CHECKING:
    from sessionstream.encryption.data_keys import DataKeys
    from sessionstream.log.store import Store

__all__ = ["KeyRotation"]


class KeyRotation:
    """Renews keys; what is stored stays as it is, and is read as before.

    Args:
        store: whose keys.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def rotate(self, user_id: str) -> str:
        """Give a user a new data key, which encrypts what is written from now on, and return its id.

        Other processes go on with the one before for a minute at most.

        Args:
            user_id: the user.

        Raises:
            InvalidArgument: the store encrypts nothing.
            KeyUnavailable: the user has no key, or the key store or the key provider fails.
            KeyDestroyed: the user's keys were destroyed.
        """
        return await self._keys().rotate(checked_id(user_id, "user_id"))

    async def rewrap(self, progress: Callable[[int], object] | None = None) -> int:
        """Wrap all data keys with the present master key, and return how many were wrapped with another one.

        Behind it the old master keys are needed no more, ``encryption_keys_old`` can be emptied.

        Args:
            progress: called with how many users are done, in a thread.

        Raises:
            InvalidArgument: the store encrypts nothing.
            KeyUnavailable: the key store or the key provider fails; it can be called again.
        """
        return await self._keys().rewrap(progress)

    def _keys(self) -> DataKeys:
        if self._store.encryption is None:
            raise InvalidArgument("this store encrypts nothing: give encryption_key and key_store")
        keys: DataKeys = self._store.encryption.keys
        return keys
