"""Making bases beside the appends: not while a session is busy, but when it has become calm."""

from __future__ import annotations

import asyncio
import contextlib
import weakref

from sessionstream.bases.keeping import keep
from sessionstream.chores import Chores
from sessionstream.errors import SessionNotFound
from sessionstream.log.request import Appended
from sessionstream.log.store import Store

__all__ = ["BasesBeside"]

_CALM = 1.0
"""Seconds without another milestone after which a session is calm."""


class BasesBeside:
    """Begins the chore that makes a session's bases, a second after the session has come to its last milestone.

    To read the events again costs about a fifth of what it cost to append them, and nobody waits for a base.

    Args:
        store: whose sessions.
        chores: where to do it.
    """

    def __init__(self, store: Store, chores: Chores) -> None:
        self._store = weakref.ref(store)
        self._chores = chores
        self._due: dict[tuple[asyncio.AbstractEventLoop, str], tuple[asyncio.TimerHandle, str]] = {}
        store.milestones.append(self._wait)

    def _wait(self, appended: Appended) -> None:
        loop, session_id = asyncio.get_running_loop(), appended.session_id
        if (due := self._due.get((loop, session_id))) is not None:
            due[0].cancel()
        self._due[loop, session_id] = loop.call_later(_CALM, self._begin, loop, session_id), appended.offset

    def _begin(self, loop: asyncio.AbstractEventLoop, session_id: str) -> None:
        timer, offset = self._due.pop((loop, session_id))
        timer.cancel()
        if (store := self._store()) is not None:
            self._chores.start(("base", session_id), _keep(store, session_id, offset))

    async def aclose(self) -> None:
        """Begin what waits in the running loop, at once: the chores come to their end when they are closed."""
        running = asyncio.get_running_loop()
        for loop, session_id in [due for due in self._due if due[0] is running]:
            self._begin(loop, session_id)
        self._due = {due: waiting for due, waiting in self._due.items() if not due[0].is_closed()}


async def _keep(store: Store, session_id: str, offset: str) -> None:
    with contextlib.suppress(SessionNotFound):  # it was removed meanwhile, and needs none
        await keep(store, session_id, offset)
