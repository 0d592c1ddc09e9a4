"""Acquiring and releasing a session's lock."""

from __future__ import annotations

import asyncio
import math
import os
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
from sessionstream.log.store import Store
from sessionstream.wire.scripts import load_script

__all__ = ["Locks"]

_ACQUIRE = load_script("sessionstream.locks", "acquire")
_RELEASE = load_script("sessionstream.locks", "release")


class Locks:
    """The locks of a store's sessions.

    Args:
        store: where the sessions are kept.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._held: weakref.WeakKeyDictionary[asyncio.Task[Any], dict[str, Lock]] = weakref.WeakKeyDictionary()
        self._waiting: dict[asyncio.AbstractEventLoop, Waiting] = {}

    async def acquire(
        self, session_id: str, *, timeout: float = 10.0, lease: float = 10.0, max_hold: float = 300.0
    ) -> Lock:
        """Acquire a session's lock for the running task; see `SessionManager.lock`."""
        checked_id(session_id, "session_id")
        for name, seconds, least in (("timeout", timeout, 0.0), ("lease", lease, 0.01), ("max_hold", max_hold, 0.0)):
            _check_seconds(name, seconds, least)
        mine = self._locks_of_task()
        if session_id in mine and not mine[session_id].lost:
            raise LockReentered(session_id, f"this task holds the lock of session {session_id!r} already")
        holder = os.urandom(12).hex()
        try:
            token = await self._token(session_id, holder, lease, timeout)
        except (asyncio.CancelledError, OutcomeUnknown):
            # The call may have been carried out though its answer was not waited for.
            await asyncio.shield(self._give_back(session_id, holder))
            raise
        lock = Lock(self._store, session_id, token, holder, lease, max_hold)
        mine[session_id] = lock
        hold_token(self._store.fence(session_id), token)
        return lock

    async def release(self, session_id: str, lock: Lock) -> bool:
        """Release a lock; see `SessionManager.release_lock`."""
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

    async def _give_up(self, session_id: str, lock: Lock) -> None:
        if lock.released:
            raise LockNotHeld(session_id, f"the lock of session {session_id!r} was released already")
        lock.stop()
        release_token(self._store.fence(session_id), lock.token)
        self._forget(lock)
        freed = await self._release(session_id, lock.holder)
        lock.released = True
        if not freed:
            raise LockLost(session_id, f"the lock of session {session_id!r} had gone to somebody else")

    @asynccontextmanager
    async def hold(
        self, session_id: str, *, timeout: float = 10.0, lease: float = 10.0, max_hold: float = 300.0
    ) -> AsyncIterator[Lock]:
        """Hold a session's lock for a block; what the block raises is never hidden."""
        lock = await self.acquire(session_id, timeout=timeout, lease=lease, max_hold=max_hold)
        try:
            yield lock
        finally:
            await self.release(session_id, lock)

    async def locked(self, session_ids: Sequence[str]) -> list[bool]:
        """Return which of the sessions are locked now, by anybody."""
        heads, now = await self._store.heads(session_ids)
        return [bool(head.get(b"lock_holder")) and int(head[b"lock_until"]) > now for head in heads]

    async def aclose(self) -> None:
        """Renew no lock of the running loop any longer; what is held runs out by itself."""
        loop = asyncio.get_running_loop()
        for task, locks in list(self._held.items()):
            if task.get_loop() is loop:
                for lock in locks.values():
                    lock.stop()
        self._waiting.pop(loop, None)

    async def _token(self, session_id: str, holder: str, lease: float, timeout: float) -> int:
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout
        token, _ = await self._try(session_id, holder, lease)
        if token is not None:
            return token
        if loop not in self._waiting:
            self._waiting = {known: waiting for known, waiting in self._waiting.items() if not known.is_closed()}
        waiting = self._waiting.setdefault(loop, Waiting(self._store.server))
        channel = self._store.keys.unlocked(session_id)
        async with waiting.bell(channel) as bell:
            while True:
                bell.clear()
                token, left_ms = await self._try(session_id, holder, lease)
                if token is not None:
                    return token
                left = until - loop.time()
                if left <= 0:
                    raise LockTimeout(session_id, f"the lock of session {session_id!r} was not free for {timeout:g} s")
                try:
                    await asyncio.wait_for(bell.wait(), min(left, left_ms / 1000 + 0.001))
                except TimeoutError:
                    continue
                await waiting.listen(channel.encode())

    async def _try(self, session_id: str, holder: str, lease: float) -> tuple[int | None, int]:
        """Return the token if the lock is ours now, and otherwise how many milliseconds its lease has left."""
        await self._store.check_readable()
        answer = await self._store.server.script(
            _ACQUIRE, [self._store.keys.head(session_id)], [holder, int(lease * 1000)]
        )
        match answer[0]:
            case b"acquired":
                return int(answer[1]), 0
            case b"held":
                return None, int(answer[1])
            case b"over":
                raise SessionEnded(session_id, answer[1].decode())
        raise SessionNotFound(session_id)

    async def _release(self, session_id: str, holder: str) -> bool:
        keys = [self._store.keys.head(session_id), self._store.keys.unlocked(session_id)]
        return bool(await self._store.server.script(_RELEASE, keys, [holder]))

    async def _give_back(self, session_id: str, holder: str) -> None:
        try:
            if self._store.server.open_lane() is not None:
                await self._release(session_id, holder)
        except SessionStreamError:
            # It runs out by itself.
            return

    def _locks_of_task(self) -> dict[str, Lock]:
        task = asyncio.current_task()
        assert task is not None
        return self._held.setdefault(task, {})

    def _forget(self, lock: Lock) -> None:
        for locks in self._held.values():
            if locks.get(lock.session_id) is lock:
                del locks[lock.session_id]


def _check_seconds(name: str, seconds: object, least: float) -> None:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise InvalidType(f"{name} is a number of seconds, not a {type(seconds).__name__}")
    if not math.isfinite(seconds) or seconds < least:
        raise InvalidArgument(f"{name} is {seconds} seconds: at least {least:g} are needed")
