"""Batches of 100 events, one append after the other, against hand-written pipelines of 100 XADDs of redis-py.

A batch goes to one session and is appended whole or not at all; its pipeline goes to one stream, without a transaction.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from benchmarks.claims import Measured, ratio_of_rates, show
from benchmarks.payloads import payloads
from benchmarks.rounds import Contestant, compete, one_by_one
from benchmarks.stage import Options, make_sessions, options_of, place_of, staged

__all__ = ["main", "measure"]

NAME = "append_batches"
BATCH = 100
SESSIONS = 16


async def measure(options: Options) -> Measured:
    """Measure; one call has 100 events, and rates are of events."""
    given = payloads(BATCH * options.few(40, 3))
    batches = [given[start : start + BATCH] for start in range(0, len(given), BATCH)]
    events = [[payload.event for payload in batch] for batch in batches]
    async with staged(options) as stage:
        manager, client = stage.manager, stage.client
        ids = await make_sessions(manager, SESSIONS)

        async def pipeline(number: int) -> None:
            pipe, stream = client.pipeline(transaction=False), f"bare:{number % SESSIONS}"
            for payload in batches[number]:
                pipe.xadd(stream, payload.fields)
            await pipe.execute()

        def append(number: int) -> Awaitable[Any]:
            return manager.append(ids[number % SESSIONS], events[number])

        ours, theirs = "append, batches of 100", "redis-py pipelines of 100 xadd"
        found = await compete(
            [
                Contestant(ours, lambda: one_by_one(append, len(batches)), len(given)),
                Contestant(theirs, lambda: one_by_one(pipeline, len(batches)), len(given)),
            ],
            options.rounds,
        )
        place = await place_of(client)
    claim = ratio_of_rates(found, "append of a 100-event batch, events/s", ours, theirs, theirs, 2)
    return Measured(NAME, place, found, [claim])


async def main(arguments: list[str]) -> None:
    """Measure and print."""
    show(await measure(options_of(arguments, NAME, __doc__, rounds=30)))
