"""Appends of one partition that travel in one call, how many these may be, and what is known of their first copy."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from sessionstream.log.request import Append
from sessionstream.wire.lane import Lane

__all__ = ["Group", "fit_one_call"]

# What keeps the server busy for less than 2 ms: an append takes it 5 to 10 µs, a further event of one 3 to 6.
_MOST_APPENDS = 64
_MOST_EVENTS = 256
_MOST_BYTES = 256 * 1024
# Bytes of a call around an event of the usual form: its key, its session, its id, and their lengths.
_AROUND = 240


def fit_one_call(appends: int, events: int, size: int) -> bool:
    """Whether so many appends, with so many events and bytes together, may travel in one call; one alone always may."""
    return appends == 1 or (appends <= _MOST_APPENDS and events <= _MOST_EVENTS and size <= _MOST_BYTES)


class Group:
    """Appends of one partition that travel in one call.

    Args:
        partition: the partition.
        appends: at least one, in their order, all of which wait for as many replicas.

    Attributes:
        sessions: whose they are, each once.
        size: bytes of their events, and of what they keep beside them.
        usual_types: of which types those of the usual form are; None stands for any others.
        heard_ms: the server's clock when the first copy left; None before.
        in_doubt: whether a copy was sent that may still be executed.
        unusual: whether the script for one append alone is not to be asked.
        replicas: how many are to have it; 0 waits for none.
        reached: how many are known to have it, of a group that waits for any.
        waiting: gives how many have it by then, of such a group that was sent.
    """

    reached: int
    waiting: asyncio.Future[int]

    __slots__ = (
        "appends",
        "heard_ms",
        "in_doubt",
        "partition",
        "reached",
        "replicas",
        "sent_at",
        "sessions",
        "size",
        "unusual",
        "usual_types",
        "waiting",
    )

    def __init__(self, partition: int, appends: list[Append]) -> None:
        self.partition = partition
        self.appends = appends
        self.sessions = dict.fromkeys([request.session_id for request in appends])
        self.usual_types = {request.usual for request in appends}
        self.size = sum([request.size for request in appends])
        self.heard_ms: int | None = None
        self.sent_at = 0.0
        self.in_doubt = self.unusual = False
        self.replicas = appends[0].replicas

    @property
    def until(self) -> float:
        """The loop's time at which the last of them is given up."""
        return max([request.until for request in self.appends])

    @property
    def fits(self) -> bool:
        """Whether they are few enough for one call."""
        appends = self.appends
        # One of the usual form has one event.
        events = sum([request.count for request in appends]) if None in self.usual_types else len(appends)
        return fit_one_call(len(appends), events, self.size)

    def size_of(self, pieces: Sequence[bytes]) -> int:
        """Return how many bytes its call has, about, which is given in pieces."""
        # Of the usual form there are seven pieces an append, all but one of which are short; to add them takes 1,000
        # instructions.
        return sum(map(len, pieces)) if None in self.usual_types else self.size + _AROUND * len(self.appends)

    def sent(self, lane: Lane, now: float) -> None:
        """Note when the first copy left: it cannot have arrived before, by the clock of any node that it went to."""
        if self.heard_ms is None:
            self.heard_ms, self.sent_at = lane.clock.ms, now
        elif lane.clock.ms < self.heard_ms:
            self.heard_ms = lane.clock.ms

    def repeated(self, now: float) -> None:
        """Tell the script to look for the first copy."""
        for request in self.appends:
            request.since = f"{self.heard_ms or 0} {int((now - self.sent_at) * 1000)}"
            request.leave_usual_form()
        self.usual_types = {None}
