"""Who is woken when a key changes: one connection to each node for all of an event loop, and nothing asked meanwhile.

A server remembers which keys a connection has asked for, and tells it once, unasked, when one of them changes
(``CLIENT TRACKING``, https://valkey.io/commands/client-tracking/, in its default mode). So 10,000 keys are waited for
by one idle connection, and what else is written in the namespace, by however many, costs this process nothing. A
blocking XREAD of all keys, or a prefix of the feeds (``BCAST``), would bring every append of the namespace to every
process that follows but one session.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import hiredis

from sessionstream.errors import Unavailable
from sessionstream.feed.ear import Ear, Line
from sessionstream.wire.cluster.redirections import Address
from sessionstream.wire.cluster.slots import key_of
from sessionstream.wire.lane import Lane, LaneClosed
from sessionstream.wire.packing import Word, pack
from sessionstream.wire.refusal import code_of, from_reply
from sessionstream.wire.server import Server

__all__ = ["Bell", "Commands", "Hub"]

Commands = tuple[tuple[Word, ...], ...]

_AGAIN = 0.1


def _listed(*replies: Any) -> list[Any]:
    return list(replies)


class Bell:
    """Rings when one of its keys may have changed: what `Hub.watching` gives.

    Call `wait`, then read the keys that it returns, on any connection, up to their end; then `wait` again. It returns
    at once the first time. No change is missed: before it returns, the server has been asked to tell of the next one.
    It can ring for nothing, and rings for all keys when the connection was made anew.

    Attributes:
        closed: whether the block was left, or the manager closed.
    """

    __slots__ = ("_hub", "_keys", "_rung", "_waiter", "closed")

    def __init__(self, hub: _LoopHub, keys: Sequence[bytes]) -> None:
        self._hub = hub
        self._keys = keys
        self._rung = set(keys)
        self.closed = False
        self._waiter: asyncio.Future[None] | None = None

    async def wait(self) -> set[str]:
        """Return the keys that may have changed since they were last returned; one task at a time waits.

        Raises:
            AuthenticationFailed: this user may not read one of them.
            Unavailable: the block was left, or the manager closed.
        """
        found = await self.rung()
        try:
            await self._hub.arm(found)
        except BaseException:
            self._rung |= found
            raise
        return {key.decode() for key in found}

    async def rung(self) -> set[bytes]:
        """Return what `wait` does, without asking the server for anything: `read` does that.

        Raises:
            Unavailable: the block was left, or the manager closed.
        """
        while not self._rung and not self.closed:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if self.closed:
            raise Unavailable("connection closed from this side")
        found, self._rung = self._rung, set()
        return found

    async def read(self, commands: Commands) -> list[Any]:
        """Read this bell's keys of one partition on the connection that tells of their changes, which is `wait` too.

        What several ask for in one turn of the event loop is asked once: do not change the replies.

        Args:
            commands: each of which reads a key.

        Raises:
            SessionStreamError: as `Server.calls`.
        """
        return await self._hub.read(commands)

    def ring(self, key: bytes) -> None:
        """Say that a key may have changed."""
        self._rung.add(key)
        self._wake()

    def close(self) -> None:
        """Ring no more, and let who waits go."""
        self.closed = True
        self._hub.leave(self._keys, self)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Hub:
    """What wakes all who wait for keys of one store; every method may be called from any event loop.

    Where the server does not allow this user ``CLIENT TRACKING``, bells ring by themselves, twice a second.

    Args:
        server: where the keys are.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._loops: dict[asyncio.AbstractEventLoop, _LoopHub] = {}

    def watch(self, keys: Iterable[str]) -> Bell:
        """Return a bell that rings at changes of some keys until it is closed.

        Args:
            keys: which ones, of any nodes.
        """
        loop = asyncio.get_running_loop()
        if loop not in self._loops:
            for closed in [known for known in list(self._loops) if known.is_closed()]:
                self._loops.pop(closed, None)
            self._loops[loop] = _LoopHub(self._server)
        return self._loops[loop].enter([key.encode() for key in keys])

    @contextmanager
    def watching(self, keys: Iterable[str]) -> Iterator[Bell]:
        """Give a bell that rings at changes of some keys; the connection ends with the last such block.

        ``with hub.watching(map(store.keys.feed, partitions)) as bell: changed = await bell.wait()``

        Args:
            keys: which ones, of any nodes.
        """
        bell = self.watch(keys)
        try:
            yield bell
        finally:
            bell.close()

    async def aclose(self) -> None:
        """Close the running loop's connections; bells ring no more."""
        room = self._loops.pop(asyncio.get_running_loop(), None)
        if room is not None:
            await room.aclose()


class _LoopHub:
    """The lines of one event loop, and the ears that hear of them: one for each node that has any.

    Args:
        server: where the keys are.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._lines: dict[bytes, Line] = {}
        self._shared: dict[Commands, asyncio.Future[list[Any]]] = {}
        self._ears: dict[Address | None, Ear] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def enter(self, names: Sequence[bytes]) -> Bell:
        """Return a bell that rings for keys."""
        bell = Bell(self, names)
        for name in names:
            line = self._lines.get(name)
            if line is None:
                line = self._lines[name] = Line(name)
                self._place(line)
            line.bells[bell] = None
        return bell

    def leave(self, names: Sequence[bytes], bell: Bell) -> None:
        """Let a bell ring no more for keys; a key for which none is left is forgotten."""
        for name in names:
            line = self._lines.get(name)
            if line is None:
                continue
            line.bells.pop(bell, None)
            if not line.bells:
                del self._lines[name]
                if line.ear is not None:
                    line.ear.drop(line)
        self._dismiss()

    def _dismiss(self) -> None:
        """Let go of ears that nobody needs: they know of this object, and would keep it; their end is waited for."""
        for node in [node for node, ear in self._ears.items() if not ear.lines]:
            if (attendant := self._ears.pop(node).attendant) is not None and not attendant.done():
                self._ending.add(attendant)
                attendant.add_done_callback(self._ending.discard)

    def _place(self, line: Line) -> Ear:
        """Give a line to the ear at the node that has its key now."""
        node = self._server.node_of(line.key)
        ear = line.ear
        if ear is None or ear.node != node:
            if ear is not None:
                ear.drop(line)
            ear = self._ears.get(node)
            if ear is None:
                ear = self._ears[node] = Ear(self._server, node, self._place)
            ear.take(line)
            self._dismiss()
        return ear

    async def read(self, commands: Commands) -> list[Any]:
        """Read on the connection that tells of changes; on any other, where there is none: then its coming rings."""
        while (shared := self._shared.get(commands)) is not None:
            # It stays the others' when one who waits for it is cancelled; when who asked is, somebody else asks.
            await asyncio.wait((shared,))
            if not shared.cancelled():
                return await self._server.calls(commands) if shared.exception() else shared.result()
        lines = [line for words in commands if (line := self._lines.get(str(key_of(words)).encode())) is not None]
        ears = {self._place(line) for line in lines}
        lane = ears.pop().lane if len(ears) == 1 else None
        if lane is None or lane.closed:
            return await self._server.calls(commands)
        # Who was woken by what was heard so far joins before the next turn, or not at all: a change that the server
        # tells of behind the reply, which may be heard at once, is behind what was read.
        asyncio.get_running_loop().call_soon(self._shared.pop, commands, None)
        for line in lines:
            line.armed = True
        asked = self._shared[commands] = lane.together(b"".join(map(pack, commands)), len(commands), _listed)
        for line in lines:
            self._await_answer(line, lane, asked)
        try:
            return await asked
        except (LaneClosed, hiredis.ReplyError):
            return await self._server.calls(commands)

    async def arm(self, names: Collection[bytes]) -> None:
        """Ask the server to tell of the next change of each key; where there is no connection, its coming will ring."""
        asked: set[asyncio.Future[Any]] = set()
        for name in names:
            line = self._lines.get(name)
            if line is None:
                continue
            if not line.armed:
                self._arm(line)
            # Who finds that somebody else has asked already waits for the same answer.
            if line.asked is not None:
                asked.add(line.asked)
        if not asked:
            return
        # This leaves an answer to the others when the one who asked is cancelled.
        await asyncio.wait(asked)
        if any(reply.cancelled() for reply in asked):
            await self.arm(names)
            return
        for reply in asked:
            refused = reply.exception()
            if isinstance(refused, hiredis.ReplyError) and code_of(refused) == "NOPERM":
                raise from_reply(refused)

    def _arm(self, line: Line) -> None:
        lane = self._place(line).lane
        if lane is None or lane.closed:
            return
        # A change that the server tells of behind the answer makes this False again.
        line.armed = True
        self._await_answer(line, lane, lane.call(("EXISTS", line.key)))

    def _await_answer(self, line: Line, lane: Lane, reply: asyncio.Future[Any]) -> None:
        line.asked = reply

        def heed(reply: asyncio.Future[Any]) -> None:
            if line.asked is reply:
                line.asked = None
            refused = None if reply.cancelled() else reply.exception()
            if refused is not None or reply.cancelled():
                line.armed = False
            if isinstance(refused, hiredis.ReplyError):
                self._server.redirected(refused, lane)
                # The key is on its way to another node, or there already.
                asyncio.get_running_loop().call_later(_AGAIN, line.ring)

        reply.add_done_callback(heed)

    async def aclose(self) -> None:
        """Close every connection."""
        ears, self._ears, lines, self._lines = self._ears, {}, self._lines, {}
        for bell in [bell for line in lines.values() for bell in line.bells]:
            bell.close()
        for ear in ears.values():
            await ear.aclose()
        # Over TLS a connection takes a while to end.
        await asyncio.gather(*self._ending, return_exceptions=True)
