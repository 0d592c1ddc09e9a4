"""Looking for a reply without sleeping: for a moment, and only where that pays.

To let the event loop sleep until a socket is readable costs two switches between processes: 60 to 120 µs on a virtual
machine, where a server on the same host has answered after 30. So where the loop has nothing else to do, the socket is
polled first: at once for the reply to a single call, and for the next of many as soon as who is woken has run. Appends
by two tasks take two thirds of the time so, by four three quarters, by 64 nine tenths. What keeps that harmless:

* it happens only where nothing else is ready to run in the loop, and ends after a quarter of a millisecond;
* a task whose calls are answered so again and again never gives way by itself: after five milliseconds of that the loop
  goes through a turn before it polls, so timers, other connections and other tasks have theirs;
* where most replies take longer (another host, a disk that is waited for), polling ceases, and is tried again with one
  call of 16; on a single processor, where it would keep the server from running, it never happens;
* a TLS connection is never polled: its bytes are the transport's to decrypt.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sized
from time import perf_counter

__all__ = ["Polling", "pollable"]

_LONGEST = 250e-6
_TURN_AFTER = 5e-3
_FULL_CREDIT = 16
_VAIN = 1
_TRIED_AGAIN = 16
_CHUNK = 65_536


_give_way = getattr(os, "sched_yield", lambda: None)


def pollable(transport: asyncio.BaseTransport) -> int | None:
    """Return the descriptor of a transport's socket, which does not block; None where polling is wrong or of no use."""
    connection = transport.get_extra_info("socket")
    encrypted = transport.get_extra_info("ssl_object") is not None
    # On Windows a socket is no descriptor that could be read.
    if connection is None or encrypted or _processors() < 2 or os.name == "nt":
        return None
    return int(connection.fileno())


class Polling:
    """Polls one socket.

    Args:
        descriptor: what `pollable` gives; None never polls.
        loop: the event loop that waits for it otherwise.
        receive: takes the bytes that arrive.
        abandon: called, with the reason, where they were not taken whole: the connection can be used no more.
        due: what waits for a reply; ``receive`` makes it shorter.
    """

    def __init__(
        self,
        descriptor: int | None,
        loop: asyncio.AbstractEventLoop,
        receive: Callable[[bytes], None],
        abandon: Callable[[str], None],
        due: Sized,
    ) -> None:
        self._descriptor = descriptor
        self._loop = loop
        self._receive = receive
        self._abandon = abandon
        self._due = due
        # What asyncio's own loops still have to run in this turn; another loop may not tell, and is not asked.
        self._ready: Sized | None = getattr(loop, "_ready", None)
        self._credit = _FULL_CREDIT
        self._skipped = 0
        self._turn_began = 0.0
        # Whether callbacks of its own stand in the loop's queue.
        self._in_turn = self._looks = False

    @property
    def alone(self) -> bool:
        """Whether nothing is due, and nothing else runs in this turn of the loop."""
        return not self._due and self._ready is not None and len(self._ready) == self._in_turn + self._looks

    def pays(self) -> bool:
        """Whether the next call should be polled for."""
        if self._descriptor is None:
            return False
        if self._credit > 0:
            return True
        self._skipped += 1
        if self._skipped < _TRIED_AGAIN:
            return False
        self._skipped = 0
        return True

    def look(self) -> None:
        """Poll for all that is due, which somebody who does nothing else has just asked for."""
        if not self.pays():
            return
        now = perf_counter()
        if not self._in_turn:
            self._in_turn, self._turn_began = True, now
            self._loop.call_soon(self._turned)
        if now - self._turn_began < _TURN_AFTER:
            self.wait()
        else:
            self._loop.call_soon(self._look_later)

    def _turned(self) -> None:
        self._in_turn = False

    def _look_later(self) -> None:
        if self._ready:
            self._spared()
        else:
            self.wait()

    def look_soon(self) -> None:
        """Poll for the next of what is due, as soon as nothing else is to be run."""
        if not self._looks and self._ready is not None and self.pays():
            self._looks = True
            self._loop.call_soon(self._look_now)

    def _look_now(self) -> None:
        self._looks = False
        # What else is to run says nothing of how soon replies come.
        if not self._ready:
            self.wait(once=True)

    def end(self) -> None:
        """Poll no more, and forget who did: the number may be another socket's then, and circles keep connections."""
        self._descriptor, self._receive, self._abandon, self._due = None, _nothing, _nothing, ()

    def _spared(self) -> None:
        """Note that the loop has something to do, most often the reply: not to let it sleep has paid."""
        self._credit = min(self._credit + 1, _FULL_CREDIT)

    def wait(self, *, once: bool = False) -> None:
        """Poll until nothing is due any more, or it is enough.

        Args:
            once: until anything has come.
        """
        if self._descriptor is None:
            return
        try:
            self._poll(self._descriptor, once)
        except BaseException as error:
            # A handler of a signal may raise at any point: what was read by then is lost, or was handed on in part.
            self._abandon(f"interrupted while a reply was read: {error!r}")
            raise

    def _poll(self, descriptor: int, once: bool) -> None:
        until = perf_counter() + _LONGEST
        while self._due:
            try:
                data = os.read(descriptor, _CHUNK)
            except BlockingIOError:
                if perf_counter() > until:
                    self._credit = max(0, self._credit - _VAIN)
                    return
                # The system may have put the server to run on this very processor, as soon as it is free.
                _give_way()
                continue
            except OSError:
                # The transport will meet the same, and tell.
                return
            if not data:
                return
            self._receive(data)
            if once:
                break
        self._spared()


def _nothing(what: bytes | str) -> None:
    pass


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
