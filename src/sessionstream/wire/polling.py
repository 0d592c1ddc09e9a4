"""Waiting for a reply without sleeping: for a moment, and only where that pays.

To let the event loop sleep until a socket is readable costs two switches between processes: 60 to 120 µs on a virtual
machine, where a server on the same host has answered after 30. So a caller that is alone polls the socket first. What
keeps that harmless:

* it happens only where nothing else is ready to run in the loop, and for a quarter of a millisecond at most;
* a task that is answered so again and again is sent through the loop once a millisecond, so that others get their turn;
* where replies take longer (another host, a disk that is waited for), polling ends after two vain tries, and is tried
  again with one call of 64; on a single processor, where it would keep the server from running, it never happens;
* a TLS connection is never polled: its bytes are the transport's to decrypt.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sized
from time import perf_counter

__all__ = ["Polling"]

_LONGEST = 250e-6
_TURN_AFTER = 1e-3
_FULL_CREDIT = 8
_TRIED_AGAIN = 64
_CHUNK = 65_536


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
        if connection is None or transport.get_extra_info("ssl_object") is not None or _processors() < 2:
            return cls(None)
        return cls(connection.fileno())

    def wait(self, loop: asyncio.AbstractEventLoop, receive: Callable[[bytes], None], due: Sized) -> None:
        """Poll until nothing is due any more, or it is enough.

        Args:
            loop: the event loop that the connection belongs to.
            receive: takes the bytes that arrive.
            due: what waits for a reply; ``receive`` makes it shorter.
        """
        began = perf_counter()
        if self._descriptor is None or not self._may_wait(began):
            return
        until = began + _LONGEST
        while due:
            try:
                data = os.read(self._descriptor, _CHUNK)
            except BlockingIOError:
                if perf_counter() > until:
                    self._credit = max(0, self._credit - _FULL_CREDIT // 2)
                    return
                continue
            except OSError:
                # The transport will meet the same, and tell.
                return
            if not data:
                return
            receive(data)
        self._credit = min(self._credit + 1, _FULL_CREDIT)
        if not self.marks:
            self.marks = 1
            self._turn_began = began
            loop.call_soon(self._turned)

    def _may_wait(self, now: float) -> bool:
        if self.marks and now - self._turn_began > _TURN_AFTER:
            return False
        if self._credit > 0:
            return True
        self._skipped += 1
        if self._skipped < _TRIED_AGAIN:
            return False
        self._skipped = 0
        return True

    def _turned(self) -> None:
        self.marks = 0


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
