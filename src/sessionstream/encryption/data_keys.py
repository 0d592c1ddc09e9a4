"""Data keys as they are used: unwrapped, remembered for a minute, found by their user or by their id."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import os
import threading
import time
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sessionstream.encryption.keys import KEY_ID_BYTES, KeyProvider, KeyStore, WrappedKey
from sessionstream.errors import KeyDestroyed, KeyUnavailable, SessionStreamError

__all__ = ["DataKey", "DataKeys", "UserKey"]

REMEMBERED = 60.0
"""Seconds for which an unwrapped key is used before the key store is asked again: so long others notice nothing."""

_MOST = 10_000
_KEY_BYTES = 32
_TRIES = 50
_Name = TypeVar("_Name")
_Kept = TypeVar("_Kept")
_Answer = TypeVar("_Answer")


class DataKey:
    """One data key, as the keys that it gives for each purpose.

    Args:
        key_id: its id.
        user_id: whose data it encrypts.
        secret: its 32 bytes.

    Attributes:
        key_id: as bytes.
        user_id: as given.
        events: the cipher for what is written once, under nonces that are drawn at random.
        views: the cipher for what is derived from events and must come out the same again.
        nonces: from which the nonces of those are derived.
        digests: for digests that only the holder of the key can try out.
    """

    __slots__ = ("digests", "events", "key_id", "nonces", "user_id", "views")

    def __init__(self, key_id: str, user_id: str, secret: bytes) -> None:
        def derived(purpose: str) -> bytes:
            return hmac.digest(secret, f"sessionstream {purpose}".encode(), "sha256")

        self.key_id = bytes.fromhex(key_id)
        self.user_id = user_id
        self.events = AESGCM(derived("events"))
        self.views = AESGCM(derived("views"))
        self.nonces = derived("nonces")
        self.digests = derived("digests")

    def __repr__(self) -> str:
        return f"<DataKey {self.key_id.hex()}>"


class UserKey:
    """What a user's data is encrypted with now.

    Args:
        present: the user's latest data key.
        first: the earliest one, whose digests stay the same for as long as the user has keys.
        count: how many there are.
    """

    __slots__ = ("count", "digests", "present")

    def __init__(self, present: DataKey, first: DataKey, count: int) -> None:
        self.present = present
        self.digests = first.digests
        self.count = count


class DataKeys:
    """All data keys of one process.

    Args:
        store: where they lie, wrapped.
        provider: who wraps them.
    """

    def __init__(self, store: KeyStore, provider: KeyProvider) -> None:
        self._store = store
        self._provider = provider
        self._of_users: _Remembered[str, UserKey] = _Remembered()
        self._by_id: _Remembered[bytes, DataKey] = _Remembered()

    def known(self, user_id: str) -> UserKey | None:
        """Return what a user's data is encrypted with, if that is remembered."""
        return self._of_users.get(user_id)

    async def of_user(self, user_id: str, *, begin: bool) -> UserKey:
        """Return what a user's data is encrypted with.

        Args:
            user_id: the user.
            begin: whether the user may be given a first key, also in the place of those that were destroyed.

        Raises:
            KeyDestroyed: the user's keys were destroyed, and no other is to be made.
            KeyUnavailable: the key store or the provider fails, or there is no key and none is to be made.
        """
        known = self.known(user_id)
        return known if known is not None else await _in_thread(lambda: self._load(user_id, begin))

    def find(self, key_id: bytes) -> DataKey:
        """Return the key of an id; blocks where it is not remembered.

        Raises:
            KeyDestroyed: it was destroyed.
            KeyUnavailable: it is not in the key store, or that or the provider fails.
        """
        return self._by_id.get(key_id) or _told(lambda: self._find(key_id))

    async def remember(self, key_ids: Iterable[bytes]) -> None:
        """Look those keys up that are not remembered, so that `find` does not block; those that are not there are left.

        Args:
            key_ids: which.
        """
        missing = [one for one in dict.fromkeys(key_ids) if self._by_id.get(one) is None]
        if missing:
            await _in_thread(lambda: self._try_all(missing))

    async def rotate(self, user_id: str) -> str:
        """Give a user a new data key, which encrypts what comes; return its id. The old ones still decrypt.

        Other processes go on with the one before for as long as they remember it.

        Raises:
            KeyUnavailable: the user has no key, or the key store or the provider fails.
            KeyDestroyed: they were destroyed.
        """
        made = await _in_thread(lambda: self._rotate(user_id))
        self._of_users.drop(user_id)
        return made

    async def rewrap(self, progress: Callable[[int], object] | None = None) -> int:
        """Wrap every data key with the present master key, and return how many keys were wrapped with another one.

        Args:
            progress: called with how many users are done, in a thread.
        """
        return await _in_thread(lambda: self._rewrap(progress))

    async def destroy(self, user_id: str) -> int:
        """Destroy a user's keys, and return how many there were: what they have encrypted nobody can read any more.

        Other processes may still read and write with them for as long as they remember them, a minute at most.
        """
        count = await _in_thread(lambda: self._store.destroy(user_id))
        self._of_users.drop(user_id)
        self._by_id.drop_all(lambda key: key.user_id == user_id)
        return count

    async def has_destroyed(self, user_id: str) -> bool:
        """Whether a user's keys were destroyed once."""
        return await _in_thread(lambda: self._store.has_destroyed(user_id))

    def _load(self, user_id: str, begin: bool) -> UserKey:
        for _ in range(_TRIES):
            kept = self._store.get(user_id)
            if kept:
                present, first = self._unwrap(kept[-1]), self._unwrap(kept[0])
                loaded = UserKey(present, first, len(kept))
                self._of_users.keep(user_id, loaded)
                return loaded
            if not begin:
                if self._store.has_destroyed(user_id):
                    raise KeyDestroyed(f"the keys of user {user_id!r} were destroyed", user_id=user_id)
                raise KeyUnavailable(f"the key store has no key of user {user_id!r}", user_id=user_id)
            self._make(user_id, known=0)
        raise KeyUnavailable(f"the keys of user {user_id!r} were changed at each of {_TRIES} looks", user_id=user_id)

    def _make(self, user_id: str, *, known: int) -> str | None:
        """Make a key of a user that has so many, and return its id; None if it has another number by now."""
        key_id, secret = os.urandom(KEY_ID_BYTES).hex(), os.urandom(_KEY_BYTES)
        master, wrapped = self._provider.wrap(secret, _context(user_id, key_id))
        key = WrappedKey(key_id, user_id, master, wrapped, time.time_ns() // 1_000_000)
        return key_id if self._store.put(key, known=known) else None

    def _rotate(self, user_id: str) -> str:
        for _ in range(_TRIES):
            loaded = self._load(user_id, begin=False)
            if (made := self._make(user_id, known=loaded.count)) is not None:
                return made
        raise KeyUnavailable(f"the keys of user {user_id!r} were changed at each of {_TRIES} looks", user_id=user_id)

    def _rewrap(self, progress: Callable[[int], object] | None) -> int:
        count = 0
        for number, user_id in enumerate(self._store.users(), 1):
            for key in self._store.get(user_id):
                context = _context(user_id, key.key_id)
                secret = self._provider.unwrap(key.master, key.wrapped, context)
                master, wrapped = self._provider.wrap(secret, context)
                if master != key.master:
                    count += self._store.rewrap(WrappedKey(key.key_id, user_id, master, wrapped, key.created_ms))
            if progress is not None:
                progress(number)
        return count

    def _find(self, key_id: bytes) -> DataKey:
        kept = self._store.find(key_id.hex())
        if kept is not None:
            return self._unwrap(kept)
        if self._store.is_destroyed(key_id.hex()):
            raise KeyDestroyed(f"data key {key_id.hex()} was destroyed", key_id=key_id.hex())
        raise KeyUnavailable(f"the key store has no data key {key_id.hex()}", key_id=key_id.hex())

    def _try_all(self, key_ids: Iterable[bytes]) -> None:
        for one in key_ids:
            with contextlib.suppress(KeyDestroyed, KeyUnavailable):
                _told(lambda key_id=one: self._find(key_id))  # type: ignore[misc]

    def _unwrap(self, kept: WrappedKey) -> DataKey:
        known = self._by_id.get(bytes.fromhex(kept.key_id))
        if known is None:
            secret = self._provider.unwrap(kept.master, kept.wrapped, _context(kept.user_id, kept.key_id))
            known = DataKey(kept.key_id, kept.user_id, secret)
            self._by_id.keep(known.key_id, known)
        return known


class _Remembered(Generic[_Name, _Kept]):
    """What is used for a minute before it is looked up anew; the oldest goes where it is too much."""

    def __init__(self) -> None:
        self._kept: dict[_Name, tuple[float, _Kept]] = {}
        self._lock = threading.Lock()

    def get(self, name: _Name) -> _Kept | None:
        found = self._kept.get(name)
        return found[1] if found is not None and found[0] > time.monotonic() else None

    def keep(self, name: _Name, value: _Kept) -> None:
        with self._lock:
            self._kept.pop(name, None)
            if len(self._kept) >= _MOST:
                del self._kept[next(iter(self._kept))]
            self._kept[name] = (time.monotonic() + REMEMBERED, value)

    def drop(self, name: _Name) -> None:
        with self._lock:
            self._kept.pop(name, None)

    def drop_all(self, which: Callable[[_Kept], bool]) -> None:
        with self._lock:
            for name in [name for name, (_, value) in self._kept.items() if which(value)]:
                del self._kept[name]


def _context(user_id: str, key_id: str) -> bytes:
    return f"sessionstream data key {key_id} of ".encode() + user_id.encode()


def _told(call: Callable[[], _Answer]) -> _Answer:
    """Call a key store or a provider, of whose making anybody may be; what it raises becomes `KeyUnavailable`."""
    try:
        return call()
    except SessionStreamError:
        raise
    except Exception as error:
        raise KeyUnavailable(f"the keys cannot be had: {type(error).__name__}: {error}") from error


async def _in_thread(call: Callable[[], _Answer]) -> _Answer:
    return await asyncio.to_thread(_told, call)
