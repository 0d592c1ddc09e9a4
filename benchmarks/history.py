"""The history of a session of 10,000 events, against redis-py's XRANGE of the same entries, undecoded.

redis-py reads the stream in one call, and in pages of 1,000 as the store does; the store is compared with whichever is
faster. Once every event of the history is typed, once only offset and version are asked for.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from benchmarks.claims import Measured, ratio_of_rates, show
from benchmarks.payloads import payloads
from benchmarks.rounds import Contestant, compete
from benchmarks.stage import Options, Stage, make_sessions, options_of, place_of, staged

__all__ = ["fill", "main", "measure"]

NAME = "history"
PAGE = 1_000
BATCH = 1_000


async def fill(stage: Stage, session_id: str, count: int) -> None:
    """Append so many messages to a session."""
    given = [payload.event for payload in payloads(count)]
    for start in range(0, count, BATCH):
        await stage.manager.append(session_id, given[start : start + BATCH])


def contestants(stage: Stage, session_id: str, events: int) -> list[Contestant]:
    """Return who competes; each reads all events, and one call is a whole history."""
    key = stage.manager.store.keys.events(session_id)
    xrange: Any = stage.client.xrange

    async def typed() -> int:
        seen = 0
        async for event in stage.manager.history(session_id):
            seen += event.data is not None
        return seen

    async def looked_at() -> int:
        seen = 0
        async for event in stage.manager.history(session_id):
            seen += bool(event.offset and event.version)
        return seen

    async def whole() -> int:
        return len(await xrange(key))

    async def paged() -> int:
        first, seen = "-", 0
        while page := await xrange(key, min=first, count=PAGE):
            seen += len(page)
            first = "(" + page[-1][0].decode()
        return seen

    async def read(reader: Callable[[], Awaitable[int]]) -> list[int]:
        began = time.perf_counter_ns()
        seen = await reader()
        took = time.perf_counter_ns() - began
        if seen != events:
            raise AssertionError(f"{seen} of {events} events were read")
        return [took]

    readers = {
        "history, every event typed": typed,
        "history, offset and version": looked_at,
        "redis-py xrange, whole": whole,
        "redis-py xrange, pages of 1,000": paged,
    }
    return [Contestant(name, partial(read, reader), events) for name, reader in readers.items()]


async def measure(options: Options) -> Measured:
    """Measure; one call is a whole history, and rates are of events."""
    count = options.few(10_000, 700)
    async with staged(options) as stage:
        [session_id] = await make_sessions(stage.manager, 1)
        await fill(stage, session_id, count - 1)
        found = await compete(contestants(stage, session_id, count), options.rounds)
        place = await place_of(stage.client)
    typed, lazy, *others = found
    theirs = max(others, key=lambda name: found[name].rate)
    claims = [
        ratio_of_rates(found, "history, 10,000 events, every event typed", typed, theirs, theirs, 0.5),
        ratio_of_rates(found, "history, 10,000 events, decoded on first use", lazy, theirs, theirs, 0.8),
    ]
    return Measured(NAME, place, found, claims)


async def main(arguments: list[str]) -> None:
    """Measure and print."""
    show(await measure(options_of(arguments, NAME, __doc__, rounds=21)))
