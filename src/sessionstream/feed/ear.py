"""A connection on which a server, or one node of a Cluster, tells that keys have changed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import hiredis

from sessionstream.errors import SessionStreamError
from sessionstream.wire.cluster.redirections import Address
from sessionstream.wire.cluster.slots import slot_of
from sessionstream.wire.lane import Lane, LaneClosed
from sessionstream.wire.patience import waiting_is_vain
from sessionstream.wire.refusal import PASSING, code_of
from sessionstream.wire.seats import close_with_loop
from sessionstream.wire.server import Server, backoff

if TYPE_CHECKING:
    from sessionstream.feed.hub import Bell

__all__ = ["Ear", "Line"]

_SILENCE = 15.0
"""Seconds without a word after which a connection is asked whether it still stands."""
_WITHOUT = 0.5
"""Seconds after which all look by themselves, where the server may not tell."""
_log = logging.getLogger("sessionstream")


class Line:
    """A key for which somebody waits.

    Attributes:
        key: it.
        bells: what rings when it changes.
        ear: where changes of it are heard of.
        armed: whether the server was asked to tell of the next one.
        asked: its answer to that, while it is due.
    """

    __slots__ = ("armed", "asked", "bells", "ear", "key")

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.bells: dict[Bell, None] = {}
        self.ear: Ear | None = None
        self.armed = False
        self.asked: asyncio.Future[Any] | None = None

    def ring(self) -> None:
        """Wake who waits: the key may have changed."""
        self.armed = False
        for bell in self.bells:
            bell.ring(self.key)


class Ear:
    """A connection to one node, for as long as anybody waits for keys that it has.

    Args:
        server: where the keys are.
        node: which node; None for a single server.
        place: is given a line whose key may be at another node.

    Attributes:
        lines: those of its keys.
        lane: the connection, while it hears.
        attendant: keeps the connection; it is cancelled when there are no lines any more.
    """

    def __init__(self, server: Server, node: Address | None, place: Callable[[Line], Ear]) -> None:
        self.node = node
        self.lines: dict[bytes, Line] = {}
        self.lane: Lane | None = None
        self._server = server
        self._place = place
        self._news = asyncio.Event()
        self._heard = self._deaf = False
        self.attendant: asyncio.Task[None] | None = None

    def take(self, line: Line) -> None:
        """Hear of a line's key from now on."""
        self.lines[line.key] = line
        line.ear, line.armed, line.asked = self, False, None
        if self.attendant is None:
            self.attendant = asyncio.create_task(self._attend(), name="sessionstream: hearing of changes")
        elif self.lane is not None:
            line.ring()

    def drop(self, line: Line) -> None:
        """Hear of a line's key no more; without any left the connection ends."""
        if self.lines.pop(line.key, None) is not None:
            line.ear = None
        if not self.lines and self.attendant is not None:
            self.attendant.cancel()

    async def aclose(self) -> None:
        """End the connection."""
        if self.attendant is not None:
            # Where it is ending already, a second cancellation would let it go before its socket is closed.
            if not self.attendant.cancelling():
                self.attendant.cancel()
            await asyncio.gather(self.attendant, return_exceptions=True)

    async def _attend(self) -> None:
        """Keep a connection, and make it again when it breaks; cancelled when nobody waits."""
        attempt = 0
        while self._still_here():
            key = next(iter(self.lines))
            try:
                lane = await self._server.push_lane(key)
            except SessionStreamError as failure:
                attempt += 1
                if waiting_is_vain(failure):
                    self._say_deaf(failure)
                    self._ring_all()
                    await asyncio.sleep(_WITHOUT)
                else:
                    await self._ask_where(key)
            else:
                attempt = 0 if await self._served(lane) else attempt + 1
            await asyncio.sleep(backoff(attempt))

    def _say_deaf(self, refused: Exception) -> None:
        if not self._deaf:
            _log.warning("the server does not tell of changes (%s): whoever follows looks twice a second", refused)
            self._deaf = True

    async def _ask_where(self, key: bytes) -> None:
        """Let the Cluster be asked for a key's node: where all only wait, nobody else does."""
        if self._server.clustered:
            with contextlib.suppress(SessionStreamError):
                await self._server.call("EXISTS", key)

    def _still_here(self) -> bool:
        """Hand over what has moved to another node, and return whether anything is left."""
        for line in list(self.lines.values()):
            if self._server.node_of(line.key) != self.node:
                self._place(line)
        return bool(self.lines)

    async def _served(self, lane: Lane) -> bool:
        """Hear on a connection until it breaks, or this ear's keys have moved; whether anything was heard."""
        closing = close_with_loop(lane)
        await anext(closing)
        lane.on_push = self._pushed
        lane.on_close = self._news.set
        self._heard = False
        try:
            await lane.call(("CLIENT", "TRACKING", "ON"))
            self.lane = lane
            self._ring_all()
            await self._listen(lane)
        except LaneClosed:
            pass
        except hiredis.ReplyError as refused:
            if code_of(refused) in PASSING:
                return False
            self._say_deaf(refused)
            await self._look_by_ourselves(lane)
        finally:
            if self.lane is lane:
                self.lane = None
            for line in self.lines.values():
                line.armed = False
            await closing.aclose()
        return self._heard

    async def _listen(self, lane: Lane) -> None:
        while not lane.closed and self._still_here():
            self._news.clear()
            try:
                async with asyncio.timeout(_SILENCE):
                    await self._news.wait()
            except TimeoutError:
                await self._ask(lane)

    async def _ask(self, lane: Lane) -> None:
        """Let a connection that died without a word be found out, and a slot that was given away without a change."""
        one_of_each = {slot_of(key): key for key in self.lines}.values() if self.node is not None else ()
        replies = [lane.call(("EXISTS", key)) for key in one_of_each] or [lane.call(("PING",))]
        for reply in replies:
            try:
                await reply
            except hiredis.ReplyError as refused:
                self._server.redirected(refused, lane)
        self._heard = True

    async def _look_by_ourselves(self, lane: Lane) -> None:
        while not lane.closed and self._still_here():
            self._ring_all()
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_WITHOUT):
                    await self._news.wait()

    def _ring_all(self) -> None:
        for line in list(self.lines.values()):
            line.ring()

    def _pushed(self, push: list[Any]) -> None:
        self._heard = True
        if push[0] != b"invalidate":
            return
        if push[1] is None:  # all keys are gone at once
            self._ring_all()
            return
        for key in push[1]:
            line = self.lines.get(key)
            if line is not None:
                line.ring()
