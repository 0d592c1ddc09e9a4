"""A lock as its holder has it, and the task that renews its lease."""

from __future__ import annotations

import asyncio
import weakref
from typing import Any

from sessionstream.errors import SessionStreamError
from sessionstream.log.store import Store
from sessionstream.wire.scripts import load_script

__all__ = ["Lock"]

_RENEW = load_script("sessionstream.locks", "renew")


class Lock:
    """A session's lock, held by the task that acquired it.

    Args:
        store: where the session is kept.
        session_id: whose lock it is.
        token: what every write under it carries; each new holder's is greater.
        holder: a random id of this holder.
        lease: seconds for which it stays held without renewal.
        max_hold: seconds after which it is renewed no longer.
        since: the loop's time at which the lease can first have begun.

    Attributes:
        session_id: whose lock it is.
        token: what every write under it carries; each new holder's is greater.
        holder: a random id of this holder.
        lease: seconds for which it stays held without renewal.
        released: whether it was released.
    """

    def __init__(
        self, store: Store, session_id: str, token: int, holder: str, lease: float, max_hold: float, since: float
    ) -> None:
        self.session_id = session_id
        self.token = token
        self.holder = holder
        self.lease = lease
        self.released = False
        self._store = store
        self._loop = asyncio.get_running_loop()
        self._held_until = since + lease
        self._last_renewal = since + max_hold
        self._taken = False
        self._renewal = self._loop.create_task(self._renew(), name=f"sessionstream: lock of {session_id}")
        task = asyncio.current_task()
        assert task is not None
        # Weakly, since the task's own registry of locks holds this one.
        self._owner = weakref.ref(task)
        task.add_done_callback(self._owner_is_done)

    @property
    def lost(self) -> bool:
        """Whether it went to somebody else, or its lease has run out."""
        return not self.released and (self._taken or self._loop.time() >= self._held_until)

    @property
    def owner(self) -> asyncio.Task[Any] | None:
        """The task that acquired it, or None if there is no such task any more."""
        return self._owner()

    def stop(self) -> None:
        """Renew the lease no longer."""
        self._renewal.cancel()
        if (owner := self.owner) is not None:
            owner.remove_done_callback(self._owner_is_done)

    def end(self, *, freed: bool) -> None:
        """Note what came of the release: it was freed, or it had gone to somebody else."""
        self.released = freed
        self._taken = not freed

    def _owner_is_done(self, task: asyncio.Task[Any]) -> None:
        self._renewal.cancel()

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self.lease / 3)
            asked = self._loop.time()
            if asked >= self._last_renewal:
                return
            try:
                renewed = await self._store.server.script(
                    _RENEW, [self._store.keys.head(self.session_id)], [self.holder, round(self.lease * 1000)]
                )
            except SessionStreamError:
                # Nothing is known yet: the next round asks again, and the lease runs on meanwhile.
                continue
            if not renewed:
                self._taken = True
                return
            self._held_until = asked + self.lease

    def __repr__(self) -> str:
        state = "released" if self.released else "lost" if self.lost else "held"
        return f"<Lock of {self.session_id!r}, token {self.token}, {state}>"
