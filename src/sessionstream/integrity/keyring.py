"""The secrets that seals are made with: the present one, and those before it that verify still."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from sessionstream.errors import SealKeyMissing

if TYPE_CHECKING:
    from sessionstream.settings import Settings

__all__ = ["Keyring", "SealKey"]

_ID_BYTES = 8


class SealKey:
    """One secret, as the keys that it gives for each purpose: what is made for one never passes for another.

    Args:
        secret: the bytes of the setting.

    Attributes:
        id: names the secret, and tells nothing of it but whether two are the same.
        events: for what events are.
        seals: for seals.
        files: for files outside of Redis.
    """

    __slots__ = ("events", "files", "id", "seals")

    def __init__(self, secret: bytes) -> None:
        def derived(purpose: str) -> bytes:
            return hmac.digest(secret, f"sessionstream {purpose}".encode(), "sha256")

        self.id = derived("key id")[:_ID_BYTES].hex()
        self.events = derived("events")
        self.seals = derived("seals")
        self.files = derived("files")

    def __repr__(self) -> str:
        return f"<SealKey {self.id}>"


class Keyring:
    """All secrets of one process.

    Args:
        present: what new seals are made with.
        old: what earlier ones were made with.

    Attributes:
        present: as a key.
    """

    __slots__ = ("_keys", "present")

    def __init__(self, present: str, old: tuple[str, ...] = ()) -> None:
        self.present = SealKey(present.encode())
        self._keys = {key.id: key for key in [*(SealKey(one.encode()) for one in old), self.present]}

    def get(self, key_id: str) -> SealKey | None:
        """Return the key of an id, None if it is not here."""
        return self._keys.get(key_id)

    @classmethod
    def of(cls, settings: Settings) -> Keyring:
        """Return the keys of the settings; raises `SealKeyMissing` where there is none."""
        if settings.seal_key is None:
            raise SealKeyMissing
        old = settings.seal_keys_old.get_secret_value() if settings.seal_keys_old is not None else ""
        return cls(settings.seal_key.get_secret_value(), tuple(filter(None, old.split(","))))
