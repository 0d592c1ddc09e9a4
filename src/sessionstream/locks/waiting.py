"""How those who wait for a lock are woken: by a sharded channel, on one connection for all waiters of a loop.

SSUBSCRIBE (https://valkey.io/commands/ssubscribe/) is answered by a push. A PING sent behind it tells when it has been
carried out, and takes the error if it was refused.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import hiredis

from sessionstream.errors import SessionStreamError
from sessionstream.wire.lane import Lane, LaneClosed
from sessionstream.wire.server import Server, close_with_loop

__all__ = ["Waiting"]


class Waiting:
    """The waiters of one event loop; the connection is open only while there are any.

    Args:
        server: where the locks are.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._bells: dict[bytes, list[asyncio.Event]] = {}
        self._subscribed: set[bytes] = set()
        self._lane: Lane | None = None
        self._closing: Any = None
        self._connecting = asyncio.Lock()

    @asynccontextmanager
    async def bell(self, channel: str) -> AsyncIterator[asyncio.Event]:
        """Yield an event that is set whenever something is published on the channel, or the connection breaks."""
        name = channel.encode()
        bell = asyncio.Event()
        self._bells.setdefault(name, []).append(bell)
        try:
            await self.listen(name)
            yield bell
        finally:
            self._bells[name].remove(bell)
            if not self._bells[name]:
                del self._bells[name]
                await self._leave(name)

    async def listen(self, name: bytes) -> None:
        """Make sure that the channel is subscribed to, where this user may and the server can be reached."""
        try:
            async with self._connecting:
                if self._lane is None or self._lane.closed:
                    await self._connect()
                elif name not in self._subscribed:
                    await self._subscribe(name)
        except (SessionStreamError, LaneClosed, hiredis.ReplyError):
            # Who cannot be woken waits for the end of the lease instead, which every refusal tells.
            return

    async def _connect(self) -> None:
        lane = await self._server.push_lane()
        lane.on_push = self._pushed
        lane.on_close = self._ring_all
        self._closing = close_with_loop(lane)
        await anext(self._closing)
        self._lane = lane
        self._subscribed.clear()
        for name in list(self._bells):
            await self._subscribe(name)

    async def _subscribe(self, name: bytes) -> None:
        assert self._lane is not None
        self._lane.tell(("SSUBSCRIBE", name))
        await self._lane.call(("PING",))
        self._subscribed.add(name)

    async def _leave(self, name: bytes) -> None:
        lane = self._lane
        self._subscribed.discard(name)
        if lane is None or lane.closed:
            return
        if self._bells:
            with contextlib.suppress(LaneClosed):
                lane.tell(("SUNSUBSCRIBE", name))
            return
        self._lane = None
        closing, self._closing = self._closing, None
        if closing is not None:
            await closing.aclose()

    def _pushed(self, push: list[Any]) -> None:
        if push[0] == b"smessage":
            for bell in self._bells.get(push[1], ()):
                bell.set()

    def _ring_all(self) -> None:
        for bells in self._bells.values():
            for bell in bells:
                bell.set()
