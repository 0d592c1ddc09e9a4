"""Appends of one partition that travel in one call, and what is known of their first copy."""

from __future__ import annotations

from sessionstream.log.request import Append
from sessionstream.wire.lane import Lane

__all__ = ["Group"]


class Group:
    """Appends of one partition that travel in one call."""

    __slots__ = ("appends", "heard_ms", "in_doubt", "partition", "sent_at", "until")

    def __init__(self, partition: int, appends: list[Append]) -> None:
        self.partition = partition
        self.appends = appends
        self.until = max([request.until for request in appends])
        self.heard_ms: int | None = None
        self.sent_at = 0.0
        self.in_doubt = False

    def sent(self, lane: Lane, now: float) -> None:
        """Note when the first copy left: it cannot have arrived before, by the clock of any node that it went to."""
        if self.heard_ms is None:
            self.heard_ms, self.sent_at = lane.heard_ms, now
        elif lane.heard_ms < self.heard_ms:
            self.heard_ms = lane.heard_ms

    def repeated(self, now: float) -> None:
        """Tell the script to look for the first copy."""
        for request in self.appends:
            request.since = f"{self.heard_ms or 0} {int((now - self.sent_at) * 1000)}"
            request.usual = False
