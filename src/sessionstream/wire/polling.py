"""Looking for a reply without sleeping: for a moment, and only where that pays.

To let the event loop sleep until a socket is readable costs two switches between processes: 60 to 120 µs on a virtual
machine, where a server on the same host has answered after 30. So where a single call is under way and the loop has
nothing else to do, the socket is polled first. What keeps that harmless:

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

__all__ = ["Polling"]

_LONGEST = 250e-6
_TURN_AFTER = 5e-3
_FULL_CREDIT = 16
_VAIN = 1
_TRIED_AGAIN = 16
_CHUNK = 65_536


_give_way = getattr(os, "sched_yield", lambda: None)


class Polling:
    """Polls one socket.

    Args:
        descriptor: of the socket, which does not block; None never polls.

    Attributes:
        marks: how many callbacks of its own stand in the loop's queue, 0 or 1.
    """

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        self._credit = _FULL_CREDIT
        self._skipped = 0
        self._turn_began = 0.0
        self.marks = 0

    @classmethod
    def of(cls, transport: asyncio.BaseTransport) -> Polling:
        """Return what polls for a transport: nothing, where polling would be wrong or of no use."""
        connection = transport.get_extra_info("socket")
        encrypted = transport.get_extra_info("ssl_object") is not None
        # On Windows a socket is no descriptor that could be read.
        if connection is None or encrypted or _processors() < 2 or os.name == "nt":
            return cls(None)
        return cls(connection.fileno())

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

    def at_once(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether polling may begin at once, and not only after the loop's next turn."""
        now = perf_counter()
        if self.marks:
            return now - self._turn_began < _TURN_AFTER
        self.marks, self._turn_began = 1, now
        loop.call_soon(self._turned)
        return True

    def _turned(self) -> None:
        self.marks = 0

    def spared(self) -> None:
        """Note that the loop has something to do, most often the reply: not to let it sleep has paid."""
        self._credit = min(self._credit + 1, _FULL_CREDIT)

    def wait(self, receive: Callable[[bytes], None], due: Sized) -> None:
        """Poll until nothing is due any more, or it is enough.

        Args:
            receive: takes the bytes that arrive.
            due: what waits for a reply; ``receive`` makes it shorter.
        """
        assert self._descriptor is not None
        until = perf_counter() + _LONGEST
        while due:
            try:
                data = os.read(self._descriptor, _CHUNK)
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
            receive(data)
        self.spared()


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
