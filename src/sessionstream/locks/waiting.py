"""How those who wait for a lock are woken: by a sharded channel, on one connection for all waiters of a loop.

On a Redis Cluster it is one connection for each node that has such a channel; where a slot moves, its waiters follow.

The waiters of one session stand in a queue, and only its first asks the server: a release wakes one task of this
process, not all of them. SSUBSCRIBE (https://valkey.io/commands/ssubscribe/) is answered by a push; a PING sent behind
it tells when it has been carried out, and takes the error if it was refused.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import hiredis

from sessionstream.errors import SessionStreamError
from sessionstream.wire.cluster.redirections import Address
from sessionstream.wire.lane import Lane, LaneClosed
from sessionstream.wire.refusal import code_of
from sessionstream.wire.seats import close_with_loop
from sessionstream.wire.server import Server, backoff

__all__ = ["Door", "Waiting"]


class Door:
    """Before one session's lock: who stands here comes in one after the other.

    Args:
        channel: on which releases are published.

    Attributes:
        channel: its name.
        turn: held by the task that asks the server; the others wait for it in their order.
        standing: how many tasks there are.
        heard: whether releases are heard of now.
    """

    def __init__(self, channel: bytes) -> None:
        self.channel = channel
        self.turn = asyncio.Lock()
        self.standing = 0
        self.heard = False
        self._bell = asyncio.Event()

    def ring(self) -> None:
        """Let the first in the queue ask again."""
        self._bell.set()

    def expect(self) -> None:
        """Wake for what happens from now on; said before asking, so that no release falls in between."""
        self._bell.clear()

    async def wait(self, until: float) -> None:
        """Return when the bell rings, or at the loop's time ``until``."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await self._bell.wait()


class Waiting:
    """The waiters of one event loop; a connection is open only while there are any.

    Args:
        server: where the locks are.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._doors: dict[bytes, Door] = {}
        self._ears: dict[Address | None, _Ear] = {}

    @contextmanager
    def door(self, channel: str) -> Iterator[Door]:
        """Give the door at which tasks wait for what is published on a channel."""
        name = channel.encode()
        door = self._doors.get(name)
        if door is None:
            door = self._doors[name] = Door(name)
        door.standing += 1
        try:
            yield door
        finally:
            door.standing -= 1
            if not door.standing:
                del self._doors[name]
                for ear in self._ears.values():
                    ear.leave(name)
                self._dismiss()

    def listen(self, door: Door) -> None:
        """Ring the door's bell at every release, as soon and as long as this user may hear and the server is there.

        The bell rings once more when hearing begins: what was released before then was not heard.
        """
        self._dismiss()
        if not any(door.channel in ear.doors for ear in self._ears.values()):
            node = self._server.node_of(door.channel)
            self._ears.setdefault(node, _Ear(self._server, node, self.listen)).doors[door.channel] = door
        for ear in self._ears.values():
            if door.channel in ear.doors:
                ear.listen()

    def _dismiss(self) -> None:
        """Let go of ears that nobody needs: they know of this object, and would keep it."""
        self._ears = {node: ear for node, ear in self._ears.items() if ear.doors}


class _Ear:
    """A connection on which releases are heard: of all locks of one server, or of one node of a Cluster.

    Args:
        server: where the locks are.
        node: which node; None for a single server.
        hand_over: called with a door whose channel has moved to another node.
    """

    def __init__(self, server: Server, node: Address | None, hand_over: Callable[[Door], None]) -> None:
        self.doors: dict[bytes, Door] = {}
        self._server = server
        self._node = node
        self._hand_over = hand_over
        self._subscribed: set[bytes] = set()
        self._lane: Lane | None = None
        self._news = asyncio.Event()
        self._attendant: asyncio.Task[None] | None = None

    def listen(self) -> None:
        """Subscribe to the channels of new doors."""
        self._news.set()
        if self._attendant is None or self._attendant.done():
            self._attendant = asyncio.create_task(self._attend(), name="sessionstream: waiting for locks")

    def leave(self, name: bytes) -> None:
        """Forget a door at which nobody stands any more."""
        if self.doors.pop(name, None) is None:
            return
        if not self.doors:
            if self._attendant is not None:
                self._attendant.cancel()
                self._attendant = None
        elif self._lane is not None and name in self._subscribed:
            self._subscribed.discard(name)
            with contextlib.suppress(LaneClosed):
                self._lane.tell(("SUNSUBSCRIBE", name))

    async def _attend(self) -> None:
        """Keep a connection, and make it again when it breaks; cancelled when nobody waits."""
        attempt = 0
        while self._still_here():
            try:
                lane = await self._server.push_lane(next(iter(self.doors)))
            except SessionStreamError:
                attempt += 1
            else:
                attempt = 0 if await self._served(lane) else attempt + 1
            await asyncio.sleep(backoff(attempt))

    def _still_here(self) -> bool:
        """Hand over what has moved to another node, and return whether anything is left."""
        for name, door in list(self.doors.items()):
            if self._server.node_of(name) != self._node:
                del self.doors[name]
                self._hand_over(door)
        return bool(self.doors)

    async def _served(self, lane: Lane) -> bool:
        """Return whether anything was heard on the connection before it broke."""
        closing = close_with_loop(lane)
        await anext(closing)
        lane.on_push = self._pushed
        lane.on_close = self._news.set
        self._lane = lane
        self._subscribed.clear()
        try:
            await self._subscribe_all(lane)
        except LaneClosed:
            pass
        except hiredis.ReplyError as refused:
            if code_of(refused) == "NOPERM":
                # Who may not hear asks again when the lease would have run out, which every refusal tells.
                await self._until_broken(lane)
            self._server.redirected(refused, lane)
        finally:
            if self._lane is lane:
                self._lane = None
            self._deafen()
            await closing.aclose()
        return bool(self._subscribed)

    async def _subscribe_all(self, lane: Lane) -> None:
        while not lane.closed:
            self._news.clear()
            for name, door in list(self.doors.items()):
                if not door.heard:
                    self._subscribed.add(name)
                    lane.tell(("SSUBSCRIBE", name))
                    await lane.call(("PING",))
                    door.heard = True
                    door.ring()
            await self._news.wait()

    async def _until_broken(self, lane: Lane) -> None:
        while not lane.closed:
            self._news.clear()
            await self._news.wait()

    def _deafen(self) -> None:
        for door in self.doors.values():
            door.heard = False

    def _pushed(self, push: list[Any]) -> None:
        door = self.doors.get(push[1]) if len(push) > 1 else None
        if door is None:
            return
        if push[0] == b"smessage":
            door.ring()
        elif push[0] == b"sunsubscribe":
            # Nobody here has asked for that: the node gives the slot away.
            door.heard = False
            self._news.set()
