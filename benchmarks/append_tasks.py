"""Appends by 256 tasks, each on a session of its own, against redis-py's asyncio client: by tasks, and in pipelines.

The tasks of redis-py share a pool that has a connection for each of them, which was the fastest of several pools. Its
pipelines are written by hand: 128 XADDs of 128 streams, no transaction, one pipeline after the other.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from benchmarks.claims import Measured, ratio_of_rates, show
from benchmarks.payloads import Payload, payloads
from benchmarks.rounds import Contestant, by_tasks, compete, one_by_one
from benchmarks.stage import TASKS, Options, Stage, make_sessions, options_of, place_of, staged

__all__ = ["main", "measure"]

NAME = "append_tasks"
PIPELINE = 128


def contestants(stage: Stage, ids: list[str], given: list[Payload]) -> list[Contestant]:
    """Return who competes: all take the same payloads, spread over as many sessions or streams."""
    manager, client = stage.manager, stage.client

    async def pipeline(number: int) -> None:
        pipe = client.pipeline(transaction=False)
        for place in range(number * PIPELINE, (number + 1) * PIPELINE):
            pipe.xadd(f"bare:{place % TASKS}", given[place].fields)
        await pipe.execute()

    def append(number: int) -> Awaitable[Any]:
        return manager.append(ids[number % TASKS], given[number].event)

    def xadd(number: int) -> Awaitable[Any]:
        return client.xadd(f"bare:{number % TASKS}", given[number].fields)

    count = len(given)
    return [
        Contestant("append, 256 tasks", lambda: by_tasks(append, count, TASKS), count),
        Contestant("redis-py xadd, 256 tasks", lambda: by_tasks(xadd, count, TASKS), count),
        Contestant("redis-py pipelines of 128 xadd", lambda: one_by_one(pipeline, count // PIPELINE), count),
    ]


async def measure(options: Options) -> Measured:
    """Measure; one call of a pipeline is its ``execute``, with 128 events."""
    given = payloads(TASKS * options.few(40, 1))
    async with staged(options) as stage:
        ids = await make_sessions(stage.manager, TASKS)
        found = await compete(contestants(stage, ids, given), options.rounds)
        place = await place_of(stage.client)
    ours, by_task, piped = found
    claims = [
        ratio_of_rates(
            found, "append, 256 tasks on 256 sessions", ours, "redis-py asyncio xadd, 256 tasks, pooled", by_task, 6
        ),
        ratio_of_rates(found, "append, 256 tasks", ours, "redis-py pipelines of 128 xadd", piped, 1.5),
    ]
    return Measured(NAME, place, found, claims)


async def main(arguments: list[str]) -> None:
    """Measure and print."""
    show(await measure(options_of(arguments, NAME, __doc__, rounds=13)))
