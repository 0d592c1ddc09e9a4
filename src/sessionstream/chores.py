"""What a store does beside its calls, such as sealing: nobody waits for it, and it ends with the store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from sessionstream.errors import SessionStreamError

__all__ = ["Chores"]

_MOST = 256
_PATIENCE = 5.0
_log = logging.getLogger("sessionstream")


class Chores:
    """Tasks that a store starts by itself. Each is about something, and there is one at a time about the same.

    Attributes:
        failed: how many have failed.
        left_out: how many were not begun, because too many were under way; what they are about comes up again.
    """

    def __init__(self) -> None:
        self._tasks: dict[tuple[asyncio.AbstractEventLoop, object], asyncio.Task[None]] = {}
        self.failed = 0
        self.left_out = 0

    def start(self, about: object, work: Coroutine[Any, Any, object]) -> bool:
        """Begin a chore, unless one about the same is under way, or too many are.

        Args:
            about: what it is about, such as the name of the chore and a session's id.
            work: what to do. An error of the library is logged, and counted.

        Returns:
            False if too many are under way.
        """
        loop = asyncio.get_running_loop()
        mine = (loop, about)
        if mine in self._tasks or len(self._tasks) >= _MOST:
            self._tasks = {key: task for key, task in self._tasks.items() if not key[0].is_closed()}
            self.left_out += mine not in self._tasks
            work.close()
            return mine in self._tasks
        self._tasks[mine] = task = loop.create_task(self._do(about, work), name=f"sessionstream: {about}")
        task.add_done_callback(lambda done: self._tasks.pop(mine, None))
        return True

    async def _do(self, about: object, work: Coroutine[Any, Any, object]) -> None:
        try:
            await work
        except SessionStreamError as error:
            self.note(about, error)

    def note(self, about: object, error: SessionStreamError) -> None:
        """Log and count that something failed."""
        self.failed += 1
        _log.warning("%s: %s", about, error)

    async def aclose(self) -> None:
        """Let what is under way in the running loop come to its end, for some seconds, then cancel it."""
        tasks = [task for (loop, _), task in self._tasks.items() if loop is asyncio.get_running_loop()]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=_PATIENCE)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
