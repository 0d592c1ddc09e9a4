"""Events at their recorded pace: each is shown when as much time has passed as there was between them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

__all__ = ["Pace"]

Sleep = Callable[[float], Awaitable[None]]


class Pace:
    """Waits between events as long as they lie apart, and tells where that is shortened.

    Args:
        speed: how many times as fast as it was.
        longest: seconds that are waited at the most.
        shortened: called with the seconds of a longer gap, as it was, before it is waited for.
        sleep: waits so many seconds.
        clock: gives seconds, by which what was waited too long is made good.
    """

    def __init__(
        self,
        speed: float,
        longest: float,
        shortened: Callable[[float], None],
        *,
        sleep: Sleep = asyncio.sleep,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._speed = speed
        self._longest = longest
        self._shortened = shortened
        self._sleep = sleep
        self._clock = clock or asyncio.get_running_loop().time
        self._before: int | None = None
        self._due = 0.0

    async def keep(self, ms: int) -> None:
        """Return when the event of this moment is due.

        Args:
            ms: milliseconds since 1970.
        """
        before, self._before = self._before, ms
        if before is None:
            self._due = self._clock()
            return
        gap = (ms - before) / 1000
        wait = gap / self._speed
        if wait > self._longest:
            self._shortened(gap)
            wait = self._longest
        self._due += wait
        left = self._due - self._clock()
        if left > 0:
            await self._sleep(left)
        elif left < -1:
            # Whoever was kept waiting for a second sees the rest at its pace, not in a rush.
            self._due = self._clock()
