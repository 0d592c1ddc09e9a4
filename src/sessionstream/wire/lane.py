"""One connection to one server, on which every call of one loop turn leaves in one write.

redis-py takes 120 to 190 µs of Python for each awaited command, and a pool of connections for commands that run side by
side. A lane is an asyncio protocol on hiredis that owns the transport of a connection which redis-py has opened and
authenticated: calls are queued, written together at the end of the loop's turn, and their replies are matched in order.
A cancelled caller's reply is read and dropped, so it can never be taken for somebody else's.

A call that is alone in its turn has nothing to be written with, so it leaves at once; and before the loop sleeps, its
reply is polled for: a server beside this process answers in 30 µs, and to be put to sleep and woken takes 60 to 120
more (see `sessionstream.wire.polling`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import hiredis

from sessionstream.wire.heard_clock import HeardClock
from sessionstream.wire.packing import Word, pack
from sessionstream.wire.polling import Polling, pollable
from sessionstream.wire.takers import Collected, Taker, give
from sessionstream.wire.waking import Given, give_all

__all__ = ["MOST_IN_FLIGHT", "Lane", "LaneClosed", "milliseconds"]

MOST_IN_FLIGHT = 4 * 1024 * 1024
"""Bytes of calls without a reply beyond which callers wait."""

Made = TypeVar("Made")
_Future, _Push = asyncio.Future, hiredis.PushNotification


class LaneClosed(Exception):
    """The connection is gone.

    Attributes:
        sent: False if the call can not have reached the server.
        wanted: it was closed from this side, with the manager or with the event loop.
    """

    def __init__(self, message: str, *, sent: bool, wanted: bool = False) -> None:
        super().__init__(message)
        self.sent = sent
        self.wanted = wanted


class Lane(asyncio.Protocol):
    """A pipelined connection; `call` returns a future at once, `close` fails what is pending.

    Args:
        writer: the stream writer of an established connection, whose transport this lane takes over.
        reply_timeout: seconds without a sign of life, while a reply is due, after which the connection counts as
            broken; bytes of a reply that arrive are one, and bytes of a large request that leave.

    Attributes:
        reply_timeout: as given.
        durability: what the server keeps what it acknowledges by, as `Appended.durability` says it.
        replicas: how many followed it when that was last asked; None if it does not tell.
        given: futures and what they are to be given, when all that has come is handed on: a taker may add to it.
        clock: what the server's clock said last.
        role: ``master`` or ``slave``, as it said when the connection was made; None if it does not tell.
    """

    def __init__(self, writer: asyncio.StreamWriter, *, reply_timeout: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._writer = writer
        self._transport = writer.transport
        self._before = cast(asyncio.Protocol, self._transport.get_protocol())
        self._reader = hiredis.Reader(notEnoughData=_NOT_YET)
        self._pending: deque[Taker] = deque()
        self._sizes: deque[int] = deque()
        self._in_flight = 0
        self._room: asyncio.Future[None] | None = None
        self.given: list[Given] = []
        self._unsent: list[bytes] = []
        self._unsent_calls = 0
        self._blocked = False
        self.reply_timeout = reply_timeout
        self._signs_of_life = 0
        self._written = 0
        self._watchdog: asyncio.TimerHandle | None = None
        self._closed: str | None = None
        self._wanted = False
        self._retired = False
        self._lost: asyncio.Future[None] = self._loop.create_future()
        self.client_id = 0
        self.server_run = ""
        self.durability: str | None = None
        self.replicas: int | None = None
        self.role: str | None = None
        self.node: tuple[str, int] | None = None
        self.on_push: Callable[[list[Any]], None] | None = None
        self.on_close: Callable[[], None] | None = None
        self.clock = HeardClock()
        descriptor = pollable(self._transport)
        self._polling = Polling(descriptor, self._loop, self.data_received, self.abandon, self._pending)
        self._transport.set_protocol(self)

    @property
    def closed(self) -> bool:
        """Whether the connection is gone, or going, or to be used no more."""
        return self._retired or self._closed is not None or bool(self._transport.is_closing())

    @property
    def written(self) -> int:
        """How many bytes of calls have left."""
        return self._written

    @property
    def alone(self) -> bool:
        """Whether no reply is due and nothing else runs in this turn of the loop: waiting for more is in vain."""
        return self._polling.alone

    @property
    def in_flight(self) -> int:
        """How many bytes of calls wait for a reply, sent or not."""
        return self._in_flight

    @property
    def has_room(self) -> bool:
        """Whether so few bytes are in flight that more may be sent."""
        return self._in_flight < MOST_IN_FLIGHT

    async def room(self) -> None:
        """Wait until more may be sent, or the connection is gone."""
        while not self.has_room and self._closed is None:
            if self._room is None:
                self._room = self._loop.create_future()
            await asyncio.shield(self._room)

    def call(self, words: Sequence[Word]) -> asyncio.Future[Any]:
        """Queue one command; the future gives its reply, or raises `hiredis.ReplyError` or `LaneClosed`."""
        [future] = self.calls((words,))
        return future

    def calls(self, commands: Sequence[Sequence[Word]], *, awaited: bool = False) -> list[asyncio.Future[Any]]:
        """Queue several commands, which leave together; see `call`.

        Args:
            commands: the words of each.
            awaited: whether the caller does nothing else before it awaits them: then there is no more to come.
        """
        alone = awaited and self.alone
        futures = []
        # All of them before the first is queued: what cannot be packed raises here.
        for packed in [pack(words) for words in commands]:
            future: asyncio.Future[Any] = self._loop.create_future()
            self.send(packed, future)
            futures.append(future)
        if alone:
            self.flush_alone()
        elif len(self._unsent) == len(commands) and not self._blocked:
            self._loop.call_soon(self.flush)
        return futures

    def together(self, packed: bytes, replies: int, make: Callable[..., Made]) -> asyncio.Future[Made]:
        """Queue packed commands that the caller awaits at once; the future gives what is made of their replies.

        That is made as soon as they are there: what a thousand callers wait for is not kept in pieces meanwhile.

        Args:
            packed: several times what `pack` gives.
            replies: how many commands that is.
            make: is given them; an error among them, or one that it raises, is raised instead.
        """
        if self._closed is not None:
            raise LaneClosed(self._closed, sent=False, wanted=self._wanted)
        alone, first, size = not self._pending and self.alone, not self._unsent, len(packed)
        future: asyncio.Future[Made] = _Future(loop=self._loop)
        # As `send_pieces`, for all replies at once.
        self._unsent.append(packed)
        self._pending.extend((Collected(future, replies, make, self.given),) * replies)
        self._sizes.extend((size, *(0,) * (replies - 1)))
        self._in_flight += size
        self._unsent_calls += replies
        if self._watchdog is None:
            self._watch_on()
        if alone:
            self.flush_alone()
        elif first and not self._blocked:
            self._loop.call_soon(self.flush)
        return future

    def send(self, packed: bytes, taker: Taker) -> None:
        """Queue one packed command; see `send_pieces`."""
        self.send_pieces((packed,), len(packed), taker)

    def send_pieces(self, pieces: Sequence[bytes], size: int, taker: Taker) -> None:
        """Queue one packed command in pieces, which leaves with the next `flush`, and is copied then.

        Args:
            pieces: of what `pack` gives.
            size: how many bytes they are, about.
            taker: a future, or a function that is called with the reply or with the error.

        Raises:
            LaneClosed: the connection is gone; nothing was sent.
        """
        if self._closed is not None:
            raise LaneClosed(self._closed, sent=False, wanted=self._wanted)
        self._unsent += pieces
        self._pending.append(taker)
        self._sizes.append(size)
        self._in_flight += size
        self._unsent_calls += 1
        if self._watchdog is None:
            self._watch_on()

    def flush_alone(self) -> None:
        """Write what is queued, which is all that this turn has, and look for the replies before the loop sleeps."""
        if self._write():
            self._polling.look()

    def tell(self, words: Sequence[Word]) -> None:
        """Send one command that the server answers by a push, or not at all; raises `LaneClosed`."""
        if self._closed is not None:
            raise LaneClosed(self._closed, sent=False, wanted=self._wanted)
        self._unsent.append(pack(words))
        self._write()

    def flush(self) -> None:
        """Write all that is queued, in one go, and look for a reply before the loop sleeps."""
        # The replies of other nodes would have to wait meanwhile.
        if self._write() and self.node is None:
            self._polling.look_soon()

    def _write(self) -> bool:
        """Write all that is queued, unless the server reads too slowly; whether all of it has left."""
        if not self._unsent or self._blocked or self._closed is not None:
            return False
        data = b"".join(self._unsent)
        self._unsent.clear()
        self._unsent_calls = 0
        self._written += len(data)
        self._transport.write(data)
        return not self._blocked

    def _watch_on(self) -> None:
        self._watchdog = self._loop.call_later(
            self.reply_timeout, self._watch, self._signs_of_life, self._taken_by_the_system()
        )

    def _watch(self, signs_of_life: int, taken: int) -> None:
        self._watchdog = None
        if not self._pending:
            return
        # Small requests always find room in the system's buffers, also where nobody reads them any more.
        leaving = self._blocked and self._taken_by_the_system() > taken
        if signs_of_life == self._signs_of_life and not leaving:
            self.abandon(f"no reply for {self.reply_timeout:g} s")
        else:
            self._watch_on()

    def _taken_by_the_system(self) -> int:
        return self._written - self._transport.get_write_buffer_size()

    def data_received(self, data: bytes) -> None:
        """Hand each reply to the call that it answers."""
        self._signs_of_life += 1
        self._reader.feed(data)
        next_reply, pending, sizes, taker = self._reader.gets, self._pending, self._sizes, None
        try:
            while (reply := next_reply()) is not _NOT_YET:
                if type(reply) is _Push:
                    if self.on_push is not None:
                        # What came before it is known before it is.
                        self._hand_on()
                        self.on_push(reply)
                # A refused `tell` leaves one reply too many behind the call that takes its error.
                elif pending:
                    if size := sizes.popleft():
                        self._in_flight -= size
                        if self._room is not None and self._in_flight <= MOST_IN_FLIGHT // 2:
                            self._make_room()
                    taker = pending.popleft()
                    # As `give` begins, which is one call more.
                    if isinstance(taker, _Future):
                        give(taker, reply, self.given)
                    else:
                        taker(reply)
                    taker = None
        except hiredis.ProtocolError as error:
            self.abandon(f"what came is no reply of a server: {error}")
        except BaseException as error:
            # A handler of a signal may raise at any point. Who was being given a reply learns that it is in doubt.
            if taker is not None:
                pending.appendleft(taker)
            self.abandon(f"interrupted while a reply was handed on: {error!r}")
            raise
        if self.given:
            self._hand_on()
        if self._retired and not self._pending:
            self._leave()

    def _hand_on(self) -> None:
        given = self.given.copy()
        self.given.clear()
        give_all(self._loop, given, idle=not self._pending)

    def _make_room(self) -> None:
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)

    def pause_writing(self) -> None:
        """Hold further writes back: the server reads more slowly than they come."""
        self._blocked = True

    def resume_writing(self) -> None:
        """Write again, all that was held back at once."""
        self._signs_of_life += 1
        self._blocked = False
        self.flush()

    def eof_received(self) -> bool:
        """Close when the server has closed its side."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail every call that still waits for its reply."""
        self._fail(f"connection lost: {exc}" if exc else "connection closed")
        self._before.connection_lost(exc)
        if not self._lost.done():
            self._lost.set_result(None)

    def abandon(self, message: str) -> None:
        """Count the connection as broken: what waits for a reply will have none."""
        self._fail(message)
        self._transport.abort()

    def retire(self) -> None:
        """Let no more calls come, and close when those that wait have their replies."""
        self._retired = True
        if not self._pending:
            self._leave()

    def _leave(self) -> None:
        self._fail("the connection is used no more")
        self._transport.close()

    def close(self) -> None:
        """Close the connection; calls that wait for a reply fail with `LaneClosed`."""
        self._fail("connection closed from this side", wanted=True)
        self._transport.close()

    async def wait_closed(self) -> None:
        """Wait until the transport has let go of its socket."""
        await asyncio.shield(self._lost)

    def _fail(self, message: str, *, wanted: bool = False) -> None:
        if self._closed is not None:
            return
        self._closed, self._wanted = message, wanted
        if self._watchdog is not None:
            self._watchdog.cancel()
        sent = len(self._pending) - self._unsent_calls
        self._polling.end()
        # In place: what hands replies on may be in the middle of it.
        pending = list(self._pending)
        self._pending.clear()
        self._sizes.clear()
        self._in_flight = 0
        self._make_room()
        for number, taker in enumerate(pending):
            give(taker, LaneClosed(message, sent=number < sent, wanted=wanted), self.given)
        self._hand_on()
        if self.on_close is not None:
            self.on_close()


def milliseconds(time: Sequence[bytes]) -> int:
    """Return the milliseconds since 1970 of what TIME answers (https://valkey.io/commands/time/)."""
    return int(time[0]) * 1000 + int(time[1]) // 1000


class _NotYet:
    """What the reader gives when the next reply is not complete."""


_NOT_YET = _NotYet()
