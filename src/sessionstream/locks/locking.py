"""Acquiring and releasing a session's lock."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import weakref
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sessionstream.errors import (
    InvalidArgument,
    InvalidType,
    LockLost,
    LockNotHeld,
    LockReentered,
    LockTimeout,
    OutcomeUnknown,
    SessionEnded,
    SessionNotFound,
    SessionStreamError,
)
from sessionstream.events.ids import checked_id
from sessionstream.locks.lease import Lock
from sessionstream.locks.waiting import Waiting
from sessionstream.log.fencing import hold_token, release_token
from sessionstream.log.leases import holder_named, is_running
from sessionstream.log.store import Store
from sessionstream.wire.lane import milliseconds
from sessionstream.wire.scripts import load_script

__all__ = ["Locks"]

_ACQUIRE = load_script("sessionstream.locks", "acquire")
_RELEASE = load_script("sessionstream.locks", "release")

_LONGEST = 10**9
_PATIENCE = 0.25
"""Seconds for which a cancelled acquisition or release waits until the lock is surely free."""


class Locks:
    """The locks of a store's sessions.

    Args:
        store: where the sessions are kept.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._held: weakref.WeakKeyDictionary[asyncio.Task[Any], dict[str, Lock]] = weakref.WeakKeyDictionary()
        self._waiting: dict[asyncio.AbstractEventLoop, Waiting] = {}
        self._giving_back: set[asyncio.Task[None]] = set()

    async def acquire(
        self, session_id: str, *, timeout: float = 10.0, lease: float = 10.0, max_hold: float = 300.0
    ) -> Lock:
        """Acquire a session's lock for the running task, which renews it and carries its token to every write.

        Give a timeout here rather than wrapping the call in `asyncio.wait_for`, which on Python 3.11 runs it in a task
        of its own: that task would be the holder, and end at once.

        Args:
            session_id: the session.
            timeout: seconds to wait for a lock that somebody else holds; 0 tries once.
            lease: seconds for which it stays held when the holder's process dies.
            max_hold: seconds after which it is renewed no longer.

        Raises:
            SessionNotFound: or `SessionEnded`.
            LockTimeout: somebody else held it all the time.
            LockReentered: the running task holds it already.
        """
        checked_id(session_id, "session_id")
        for name, seconds, least in (("timeout", timeout, 0.0), ("lease", lease, 0.01), ("max_hold", max_hold, 0.0)):
            _check_seconds(name, seconds, least)
        mine = self._locks_of_task()
        if session_id in mine and not mine[session_id].lost:
            raise LockReentered(session_id, f"this task holds the lock of session {session_id!r} already")
        await self._store.check_writable()
        holder = holder_named(lease)
        token, since = await self._token(session_id, holder, lease, timeout)
        # From here to the return nothing is awaited: who is cancelled now has the lock, and releases it.
        if session_id in mine:
            mine[session_id].stop()
        mine[session_id] = lock = Lock(self._store, session_id, token, holder, lease, max_hold, since)
        hold_token(self._store.fence(session_id), token)
        return lock

    async def release(self, session_id: str, lock: Lock) -> bool:
        """Release a lock.

        Returns:
            False if it was not held any more while another exception passes, which is never hidden.

        Raises:
            LockLost: or `LockNotHeld`: it was not held any more, and no other exception passes.
        """
        if not isinstance(lock, Lock):
            raise InvalidType(f"release_lock takes the Lock that was acquired, not a {type(lock).__name__}")
        if lock.session_id != session_id:
            raise InvalidArgument(f"this is the lock of session {lock.session_id!r}, not of {session_id!r}")
        # Called from a `finally` while an exception passes, an error of our own would take that exception's place.
        passing = sys.exc_info()[1] is not None
        try:
            await self._give_up(session_id, lock)
        except SessionStreamError:
            if not passing:
                raise
            return False
        return True

    @asynccontextmanager
    async def hold(
        self, session_id: str, *, timeout: float = 10.0, lease: float = 10.0, max_hold: float = 300.0
    ) -> AsyncIterator[Lock]:
        """Hold a session's lock for a block; what the block raises is never hidden.

        Args:
            session_id: the session.
            timeout: see `acquire`, also for what it raises.
            lease: see `acquire`.
            max_hold: see `acquire`.

        Raises:
            LockLost: the block came to its end, and the lock had gone to somebody else before.
        """
        lock = await self.acquire(session_id, timeout=timeout, lease=lease, max_hold=max_hold)
        try:
            yield lock
        except BaseException:
            with contextlib.suppress(SessionStreamError):
                await self._give_up(session_id, lock)
            raise
        await self._give_up(session_id, lock)

    async def locked(self, session_ids: Sequence[str]) -> list[bool]:
        """Return which of the sessions are locked now, by anybody, in one round trip."""
        await self._store.check_readable()
        heads = [self._store.keys.head(checked_id(session_id, "session_id")) for session_id in session_ids]
        *leases, time = await self._store.server.calls(
            [*(("HMGET", head, "lock_until", "lock_holder") for head in heads), ("TIME",)]
        )
        now = milliseconds(time)
        return [is_running(int(until or 0), holder or b"", now) for until, holder in leases]

    async def aclose(self) -> None:
        """Renew no lock of the running loop any longer; what is held runs out by itself."""
        loop = asyncio.get_running_loop()
        for task, locks in list(self._held.items()):
            if task.get_loop() is loop:
                for lock in locks.values():
                    lock.stop()
        if giving_back := [task for task in self._giving_back if task.get_loop() is loop]:
            await asyncio.wait(giving_back)

    async def _token(self, session_id: str, holder: str, lease: float, timeout: float) -> tuple[int, float]:
        """Return the token of the lock as soon as it is ours, and the time at which it can first have been."""
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout
        if loop not in self._waiting:
            self._waiting = {known: waiting for known, waiting in self._waiting.items() if not known.is_closed()}
        waiting = self._waiting.setdefault(loop, Waiting(self._store.server))
        late = LockTimeout(session_id, f"the lock of session {session_id!r} was not free for {timeout:g} s")
        with waiting.door(self._store.keys.unlocked(session_id)) as door:
            try:
                async with asyncio.timeout_at(until):
                    await door.turn.acquire()
            except TimeoutError:
                raise late from None
            try:
                while True:
                    door.expect()
                    asked = loop.time()
                    token, left_ms = await self._try(session_id, holder, lease)
                    if token is not None:
                        return token, asked
                    if loop.time() >= until:
                        raise late
                    waiting.listen(door)
                    await door.wait(min(until, loop.time() + (left_ms + 1) / 1000))
            finally:
                door.turn.release()

    async def _try(self, session_id: str, holder: str, lease: float) -> tuple[int | None, int]:
        """Return the token if the lock is ours now, and otherwise how many milliseconds its lease has left."""
        try:
            answer = await self._store.server.script(
                _ACQUIRE, [self._store.keys.head(session_id)], [holder, round(lease * 1000)]
            )
        except (asyncio.CancelledError, OutcomeUnknown):
            # It may have been carried out, or may still be, though its answer was not waited for.
            await self._give_back(session_id, holder)
            raise
        match answer[0]:
            case b"acquired":
                return int(answer[1]), 0
            case b"held":
                return None, int(answer[1])
            case b"over":
                raise SessionEnded(session_id, answer[1].decode())
        raise SessionNotFound(session_id)

    async def _give_up(self, session_id: str, lock: Lock) -> None:
        if lock.released:
            raise LockNotHeld(session_id, f"the lock of session {session_id!r} was released already")
        lock.stop()
        release_token(self._store.fence(session_id), lock.token)
        mine = self._held.get(lock.owner) if lock.owner is not None else None
        if mine is not None and mine.get(session_id) is lock:
            del mine[session_id]
        try:
            freed = await self._release(session_id, lock.holder)
        except asyncio.CancelledError:
            # It may not have been sent, or only to be told that the server does not know the script.
            await self._give_back(session_id, lock.holder)
            raise
        lock.end(freed=freed)
        if not freed:
            raise LockLost(session_id, f"the lock of session {session_id!r} had gone to somebody else")

    async def _release(self, session_id: str, holder: str) -> bool:
        keys = self._store.keys
        words = [holder, keys.unlocked(session_id)]
        return bool(await self._store.server.script(_RELEASE, [keys.head(session_id)], words))

    async def _give_back(self, session_id: str, holder: str) -> None:
        """Free what a holder that nobody knows of may have; a server that does not answer holds nobody up for it."""

        async def give_back() -> None:
            # Where it fails the lease runs out by itself.
            with contextlib.suppress(SessionStreamError):
                await self._release(session_id, holder)

        task = asyncio.create_task(give_back(), name=f"sessionstream: giving back the lock of {session_id}")
        self._giving_back.add(task)
        task.add_done_callback(self._giving_back.discard)
        await asyncio.wait({task}, timeout=_PATIENCE)

    def _locks_of_task(self) -> dict[str, Lock]:
        task = asyncio.current_task()
        assert task is not None
        return self._held.setdefault(task, {})


def _check_seconds(name: str, seconds: object, least: float) -> None:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise InvalidType(f"{name} is a number of seconds, not a {type(seconds).__name__}")
    if not least <= seconds <= _LONGEST:
        raise InvalidArgument(f"{name} is out of bounds: {least:g} to {_LONGEST:,} are allowed")
