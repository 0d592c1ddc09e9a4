"""What one connection has read of sessions, kept until the server says that it changed.

The server remembers which keys a connection has read and tells it, on that very connection, when one of them changes
(https://valkey.io/topics/client-side-caching/). Replies and such messages come in the order in which the server did the
reads and the writes, so a message that comes behind a read's reply is newer than what was read, and one that comes in
front of it is older.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import hiredis

from sessionstream.errors import SessionStreamError
from sessionstream.lifecycle.reading import Head, ended_or_lapsed, is_live
from sessionstream.log.gates import head_of
from sessionstream.wire.lane import Lane, LaneClosed, milliseconds
from sessionstream.wire.seats import close_with_loop
from sessionstream.wire.server import Server

__all__ = ["Tracking"]

_AGAIN = 0.1
_REFUSED = 30.0


class Tracking:
    """A tracking connection, and what it knows, for each event loop that asks; made when it is first needed.

    Args:
        server: where to connect.
        size: how many heads to keep for each event loop, those used last.
        silence: seconds without a word from the server after which a hit asks whether the connection still stands.
    """

    def __init__(self, server: Server, size: int, *, silence: float) -> None:
        self._server = server
        self._size = size
        self._silence = silence
        self._seats: dict[asyncio.AbstractEventLoop, _Seat] = {}

    async def heads(self) -> TrackedHeads | None:
        """Return what the running loop's connection knows; None while there is none, when nothing may be kept."""
        loop = asyncio.get_running_loop()
        if loop not in self._seats:
            self._seats = {known: seat for known, seat in self._seats.items() if not known.is_closed()}
        seat = self._seats.setdefault(loop, _Seat())
        if seat.heads is None or seat.heads.lost:
            async with seat.connecting:
                if seat.heads is None or seat.heads.lost:
                    await self._connect(seat)
        return seat.heads

    def forget(self, key: bytes | None) -> None:
        """Forget what the running loop's connection knows of a head, or with None all of it."""
        seat = self._seats.get(asyncio.get_running_loop())
        if seat is not None and seat.heads is not None:
            seat.heads.forget(key)

    async def aclose(self) -> None:
        """Close the running loop's connection; a later call opens another."""
        seat = self._seats.pop(asyncio.get_running_loop(), None)
        if seat is not None:
            await seat.leave()

    async def _connect(self, seat: _Seat) -> None:
        await seat.leave()
        loop = asyncio.get_running_loop()
        if loop.time() < seat.not_before:
            return
        try:
            lane = await self._server.push_lane()
            if self._server.clustered:
                # One connection hears of one node's keys, and a node that lost its role may not hear of changes.
                lane.close()
                seat.not_before = float("inf")
                return
            heads = TrackedHeads(lane, self._size, self._silence)
            try:
                await lane.call(("CLIENT", "TRACKING", "ON", "OPTIN"))
            except BaseException:
                lane.close()
                raise
        except hiredis.ReplyError:
            seat.not_before = loop.time() + _REFUSED
        except (SessionStreamError, LaneClosed):
            seat.not_before = loop.time() + _AGAIN
        else:
            await seat.take(lane, heads)


_TRACKED = ("CLIENT", "CACHING", "YES")


class _Seat:
    """What one event loop has: its connection's heads, and the generator that closes the connection with the loop."""

    def __init__(self) -> None:
        self.heads: TrackedHeads | None = None
        self.connecting = asyncio.Lock()
        self.not_before = 0.0
        self._closing: AsyncGenerator[None, None] | None = None

    async def take(self, lane: Lane, heads: TrackedHeads) -> None:
        """Keep the connection until the loop ends or this object is dropped, whichever comes first."""
        self.heads = heads
        self._closing = close_with_loop(lane)
        await anext(self._closing)

    async def leave(self) -> None:
        """Close the connection, and forget what it knew."""
        self.heads = None
        closing, self._closing = self._closing, None
        if closing is not None:
            await closing.aclose()


class _Entry:
    """A head that is kept, or that is being read: then the reply that will hold it."""

    __slots__ = ("head", "reply")

    def __init__(self, reply: asyncio.Future[Any]) -> None:
        self.reply = reply
        self.head: Head | None = None


class TrackedHeads:
    """The heads of live sessions that were read on one connection and have not changed since.

    Args:
        lane: the connection; it must not hold anything that closes it, or dropping that would never do so.
        size: how many to keep.
        silence: see `Tracking`.
    """

    def __init__(self, lane: Lane, size: int, silence: float) -> None:
        self._lane = lane
        self._size = size
        self._silence = silence
        self._loop = asyncio.get_running_loop()
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._clock = (0, 0.0)
        self._heard_at = self._loop.time()
        lane.on_push = self._pushed

    @property
    def lost(self) -> bool:
        """Whether the connection is gone, so that nothing it knew can be relied on."""
        return self._lane.closed

    async def find(self, key: bytes) -> Head | None:
        """Return a head that is known to be unchanged and not to have expired, without asking the server."""
        if key not in self._entries:
            return None
        # What has reached this machine is read from the socket first: one turn of the loop to look, one to be after it.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        entry = self._entries.get(key)
        if entry is None or entry.head is None or self.lost:
            return None
        if ended_or_lapsed(entry.head, self._latest_ms()):
            self.forget(key)
            return None
        self._entries.move_to_end(key)
        self._ask_after_silence()
        return entry.head

    async def read(
        self, session_id: str, key: bytes, events: str, commands: Sequence[Sequence[str]]
    ) -> tuple[Head, int] | None:
        """Read a head and keep it if its session is live.

        Args:
            session_id: the session.
            key: of its head.
            events: the key of its stream.
            commands: see `Keys.head_commands`.

        Returns:
            The head and the server's milliseconds; None if the connection failed or refused.
        """
        sent_at = self._loop.time()
        try:
            # First what every event changes: whatever comes in between the looks is told behind that reply.
            replies = self._lane.calls([_TRACKED, ("EXISTS", events), commands[0], _TRACKED, commands[1], ("TIME",)])
        except LaneClosed:
            return None
        entry = self._keep(key, replies[1])
        kept = False
        try:
            _, _, gate, _, words, time = await asyncio.gather(*replies)
            fields, now = head_of(gate, words), milliseconds(time)
            self._clock, self._heard_at = (now, sent_at), self._loop.time()
            if fields is None:
                return None
            if is_live(fields, now):
                entry.head, kept = fields, True
            return fields, now
        except (LaneClosed, hiredis.ReplyError):
            return None
        finally:
            if not kept and self._entries.get(key) is entry:
                del self._entries[key]

    def forget(self, key: bytes | None) -> None:
        """Forget a head, also one that is being read; with None all of them."""
        if key is None:
            self._entries.clear()
        else:
            self._entries.pop(key, None)

    def _keep(self, key: bytes, reply: asyncio.Future[Any]) -> _Entry:
        entry = self._entries[key] = _Entry(reply)
        self._entries.move_to_end(key)
        if len(self._entries) > self._size:
            self._entries.popitem(last=False)
        return entry

    def _pushed(self, push: list[Any]) -> None:
        self._heard_at = self._loop.time()
        if push[0] != b"invalidate":
            return
        for changed in list(self._entries) if push[1] is None else push[1]:
            # A namespace has no braces, so the first one is the hash tag's.
            place, _, rest = changed.partition(b"}:")
            key = place + b"}:head:" + rest.removeprefix(b"events:") if rest.startswith(b"events:") else changed
            entry = self._entries.get(key)
            # A read whose reply has yet to come was done after the change, and tracks the key anew.
            if entry is not None and entry.reply.done():
                del self._entries[key]

    def _latest_ms(self) -> int:
        """The server's clock at the latest that it can show: the last time was told after it was asked for."""
        told, asked_at = self._clock
        return told + int((self._loop.time() - asked_at) * 1000) + 1

    def _ask_after_silence(self) -> None:
        """Let a connection that died without a word be found out, by a command for which no hit waits."""
        if self._loop.time() - self._heard_at > self._silence:
            self._heard_at = self._loop.time()
            self._lane.call(("PING",)).add_done_callback(_heed)


def _heed(reply: asyncio.Future[Any]) -> None:
    if not reply.cancelled():
        reply.exception()
