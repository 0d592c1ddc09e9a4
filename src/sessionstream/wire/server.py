"""The server behind a store: one lane per event loop, and calls that are repeated until a deadline.

A call that was sent and not answered may have been executed, or may still arrive. So before it is sent again, the
connection that carried the first copy is ended from the new one (``CLIENT KILL ID``,
https://valkey.io/commands/client-kill/): a late first copy can then never follow its repeat.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any

import hiredis

from sessionstream.errors import (
    AuthenticationFailed,
    EmbeddedUnavailable,
    OutcomeUnknown,
    SessionStreamError,
    Unavailable,
    UnsafeEviction,
)
from sessionstream.wire.lane import Lane, LaneClosed
from sessionstream.wire.packing import Word
from sessionstream.wire.refusal import PASSING, code_of, from_reply
from sessionstream.wire.scripts import Script

__all__ = ["Server", "after_sending", "backoff"]

Dial = Callable[..., Awaitable[Lane]]

# What waiting does not mend.
_DEFINITE = (AuthenticationFailed, EmbeddedUnavailable, UnsafeEviction)


def backoff(attempt: int) -> float:
    """Return the seconds to wait before a further try: 5 ms, doubled each time, at most 250 ms."""
    return min(0.005 * float(2**attempt), 0.25)


def after_sending(failure: SessionStreamError, what: Word, unknown: bool) -> SessionStreamError:
    """Return the error for a call that failed at last: `OutcomeUnknown`, if a copy of it may have been executed."""
    if not unknown or isinstance(failure, OutcomeUnknown):
        return failure
    return OutcomeUnknown(f"{what!s}: sent, and then: {failure}")


class Server:
    """One server; every method may be called from any event loop.

    Args:
        dial: opens a lane, with the keyword ``protocol``.
        deadline: seconds over all tries of one call.
        release: called when the server is closed, and needed no longer.
    """

    def __init__(self, dial: Dial, *, deadline: float = 15.0, release: Callable[[], None] | None = None) -> None:
        self._dial = dial
        self._release = release
        self.deadline = deadline
        self._seats: dict[asyncio.AbstractEventLoop, _Seat] = {}

    def open_lane(self) -> Lane | None:
        """Return the running loop's lane if it is open, without waiting."""
        seat = self._seats.get(asyncio.get_running_loop())
        return seat.lane if seat is not None and seat.lane is not None and not seat.lane.closed else None

    async def lane(self, until: float) -> Lane:
        """Return an open lane for the running loop, connecting until the loop's time ``until``.

        Raises:
            Unavailable: no connection came about; nothing was sent.
        """
        if (lane := self.open_lane()) is not None:
            return lane
        loop = asyncio.get_running_loop()
        self._forget_closed_loops()
        seat = self._seats.setdefault(loop, _Seat())
        try:
            async with asyncio.timeout_at(until), seat.connecting:
                return await self._connect(seat, until)
        except TimeoutError:
            raise seat.failure or Unavailable(f"the server did not answer within {self.deadline:g} s") from None

    async def _connect(self, seat: _Seat, until: float) -> Lane:
        loop = asyncio.get_running_loop()
        attempt = 0
        while seat.lane is None or seat.lane.closed:
            try:
                await seat.take(await self._dial())
            except _DEFINITE:
                raise
            except Unavailable as failure:
                seat.failure = failure
                if loop.time() + backoff(attempt) >= until:
                    raise
                await asyncio.sleep(backoff(attempt))
                attempt += 1
        seat.failure = None
        return seat.lane

    def _forget_closed_loops(self) -> None:
        # In place: other threads' loops take their seats in the same dict.
        for loop in [loop for loop in self._seats if loop.is_closed()]:
            self._seats.pop(loop, None)

    async def push_lane(self) -> Lane:
        """Return a new lane of RESP3, which the caller closes, for messages that the server sends unasked."""
        return await self._dial(protocol=3)

    async def call(self, *words: Word, repeatable: bool = True) -> Any:
        """Send one command and return its reply.

        Args:
            words: the command and its arguments.
            repeatable: whether executing it twice in a row does no harm. Every write of the store is.

        Raises:
            SessionStreamError: what the server's refusal means, or `Unavailable`, or `OutcomeUnknown`.
        """
        if (lane := self.open_lane()) is not None and lane.has_room:
            try:
                return await lane.calls((words,), awaited=True)[0]
            except LaneClosed as lost:
                if lost.wanted or (lost.sent and not repeatable):
                    raise after_sending(Unavailable(str(lost)), words[0], lost.sent and not repeatable) from None
            except hiredis.ReplyError as error:
                if code_of(error) not in PASSING:
                    raise from_reply(error) from None
        return await self._until_deadline(lambda lane: lane.call(words), words[0], repeatable=repeatable)

    async def calls(self, commands: Sequence[Sequence[Word]]) -> list[Any]:
        """Send several reads in one write and return their replies in order; a refused one raises."""
        if (lane := self.open_lane()) is not None and lane.has_room:
            try:
                return [await future for future in lane.calls(commands, awaited=True)]
            except LaneClosed as lost:
                if lost.wanted:
                    raise Unavailable(str(lost)) from None
            except hiredis.ReplyError as error:
                if code_of(error) not in PASSING:
                    raise from_reply(error) from None
        return list(await self._until_deadline(lambda lane: asyncio.gather(*lane.calls(commands)), "read"))

    async def script(self, script: Script, keys: Sequence[Word], args: Sequence[Word]) -> Any:
        """Run a script, which must do no harm when executed twice in a row, and return its reply."""
        words = ("EVALSHA", script.sha, len(keys), *keys, *args)

        async def run(lane: Lane) -> Any:
            try:
                return await lane.calls((words,), awaited=True)[0]
            except hiredis.ReplyError as error:
                if code_of(error) != "NOSCRIPT":
                    raise
            loading = lane.call(("SCRIPT", "LOAD", script.text))
            running = lane.call(words)
            await asyncio.gather(loading, running)
            return running.result()

        return await self._until_deadline(run, script.name, fenced=True)

    async def _until_deadline(
        self,
        send: Callable[[Lane], Awaitable[Any]],
        what: Word,
        *,
        repeatable: bool = True,
        fenced: bool = False,
    ) -> Any:
        until = _now() + self.deadline
        doubtful: list[Lane] = []
        unknown = False
        for attempt in range(1_000_000):
            try:
                lane = await self.lane(until)
                async with asyncio.timeout_at(until):
                    await lane.room()
                    await self.fence(lane, doubtful)
                    return await send(lane)
            except LaneClosed as lost:
                if lost.sent and not repeatable:
                    raise OutcomeUnknown(f"{what!s}: sent, then the {lost}") from None
                if lost.sent and fenced:
                    doubtful.append(lane)
                    unknown = True
                if lost.wanted:
                    raise after_sending(Unavailable(str(lost)), what, unknown) from None
            except hiredis.ReplyError as error:
                if code_of(error) not in PASSING or _now() + backoff(attempt) >= until:
                    raise after_sending(from_reply(error), what, unknown) from None
            except TimeoutError:
                missing = Unavailable(f"no answer within {self.deadline:g} s")
                raise after_sending(missing, what, fenced or not repeatable) from None
            except SessionStreamError as failure:
                raise after_sending(failure, what, unknown) from None
            await asyncio.sleep(backoff(attempt))
        raise AssertionError("unreachable")

    async def fence(self, lane: Lane, doubtful: list[Lane]) -> None:
        """End the connections whose calls are in doubt, so that nothing they carried is executed from now on.

        Args:
            lane: the connection to say it on.
            doubtful: the others; emptied.

        Raises:
            hiredis.ReplyError: this user may not end connections, so repeating would not be safe.
        """
        for lost in list(doubtful):
            if not lost.server_run or not lane.server_run:
                raise hiredis.ReplyError("NOPERM INFO, which tells a server from its successor, is not allowed")
            # A server that was started anew has executed nothing of the old one's, and gives out the same ids again.
            if lost.server_run == lane.server_run:
                await lane.call(("CLIENT", "KILL", "ID", lost.client_id))
            doubtful.remove(lost)

    async def aclose(self) -> None:
        """Close the running loop's lane; a later call opens another."""
        seat = self._seats.pop(asyncio.get_running_loop(), None)
        if seat is not None and seat.lane is not None:
            seat.lane.close()
            await seat.lane.wait_closed()
        self._forget_closed_loops()
        if self._release is not None and not self._seats:
            self._release()


class _Seat:
    """What one event loop has of a server: its lane, and the generator that closes it with the loop."""

    def __init__(self) -> None:
        self.lane: Lane | None = None
        self.failure: Unavailable | None = None
        self.connecting = asyncio.Lock()
        self._closing: AsyncGenerator[None, None] | None = None

    async def take(self, lane: Lane) -> None:
        """Keep the lane until the loop ends or this object is dropped, whichever comes first."""
        self.lane = lane
        self._closing = close_with_loop(lane)
        await anext(self._closing)


async def close_with_loop(lane: Lane) -> AsyncGenerator[None, None]:
    """Close the lane when the event loop shuts down, or when this generator is collected.

    asyncio itself finishes the generators that a loop has started, in both cases
    (https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.shutdown_asyncgens), so a manager that is
    never closed leaves no connection and no warning behind.
    """
    try:
        yield
    finally:
        lane.close()
        await lane.wait_closed()


def _now() -> float:
    return asyncio.get_running_loop().time()
