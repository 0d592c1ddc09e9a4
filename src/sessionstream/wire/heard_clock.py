"""The server's clock, as one connection has last heard of it."""

from __future__ import annotations

import math
from time import monotonic

__all__ = ["HeardClock"]

# How long what it said is relied on, with the time that has passed here: it can be set.
_AGE = 1.0


class HeardClock:
    """What the server's clock said last.

    Attributes:
        ms: that, in milliseconds since 1970: never later than the server's own; 0 before anything was heard.
    """

    __slots__ = ("_asked_at", "ms")

    def __init__(self) -> None:
        self.ms = 0
        self._asked_at = -math.inf

    def heard(self, ms: int, asked_at: float) -> None:
        """Note what it said.

        Args:
            ms: in milliseconds.
            asked_at: by `time.monotonic`, the moment before which it cannot have been so late there.
        """
        self.ms, self._asked_at = ms, asked_at

    def latest_ms(self) -> int | None:
        """Return how late it can be by the server's clock at the most; None if that was not heard of for a second."""
        since = monotonic() - self._asked_at
        return self.ms + int(since * 1000) + 1 if since < _AGE else None
