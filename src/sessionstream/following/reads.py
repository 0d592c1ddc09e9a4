"""Reads that many followers make at the same moment, sent once, and made again for as long as the server is away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from sessionstream.errors import SessionStreamError, Unavailable
from sessionstream.feed.hub import Bell
from sessionstream.wire.patience import waiting_is_vain
from sessionstream.wire.server import Server

__all__ = ["Commands", "Reads", "patiently"]

Commands = tuple[tuple[str | int, ...], ...]
Read = TypeVar("Read")

_PAUSE = 0.5
_log = logging.getLogger("sessionstream")


class Reads:
    """The reads of one turn of the event loop: what several ask for in it is asked of the server once.

    One that is on its way already is no answer to who was woken since: it may have been executed before the change.

    Args:
        server: where to read.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._asked: dict[Commands, asyncio.Future[list[Any] | None]] = {}

    async def calls(self, commands: Commands) -> list[Any]:
        """Return what `Server.calls` gives; the replies are shared, so they are not to be changed."""
        while (asked := self._asked.get(commands)) is not None:
            # None: the task that was to read was cancelled.
            if (replies := await asyncio.shield(asked)) is not None:
                return replies
        asked = self._asked[commands] = asyncio.get_running_loop().create_future()
        try:
            await asyncio.sleep(0)
            del self._asked[commands]
            replies = await self._server.calls(commands)
            asked.set_result(replies)
            return replies
        except SessionStreamError as error:
            asked.set_exception(error)
            # Mostly nobody else has asked.
            asked.exception()
            raise
        finally:
            if not asked.done():
                if self._asked.get(commands) is asked:
                    del self._asked[commands]
                asked.set_result(None)


async def patiently(read: Callable[[], Awaitable[Read]], bell: Bell) -> Read:
    """Return what a read gives, made again and again for as long as the server is away.

    Args:
        read: it.
        bell: of the follower; once that is closed, nothing is read again.
    """
    said = False
    while True:
        try:
            return await read()
        except Unavailable as failure:
            if bell.closed or waiting_is_vain(failure):
                raise
            if not said:
                _log.warning("followers wait for the server: %s", failure)
                said = True
            await asyncio.sleep(_PAUSE)
