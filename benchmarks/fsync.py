"""Appends of 256 tasks with the durability `fsync` (``appendfsync always``), against the same with ``everysec``.

Two servers, each with a folder of its own on one disk. Before each run everything that is still to be written is
written (``sync``), so that nobody's writes are paid for by the other one; the disk's own fsync is measured beside them,
and a disk that is none, such as a memory file system, shows itself by it.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable
from typing import Any

from benchmarks.claims import Measured, contestant_rows, ratio_of_rates, show
from benchmarks.payloads import Payload, payloads
from benchmarks.rounds import Contestant, by_tasks, compete
from benchmarks.stage import TASKS, Options, Stage, make_sessions, options_of, place_of, staged

__all__ = ["main", "measure"]

NAME = "fsync"


def fsync_us(times: int = 50) -> float:
    """Return the median of microseconds that the fsync of 4 KiB at the end of a file takes, where servers lie."""
    with tempfile.TemporaryFile(buffering=0) as file:
        took = []
        for _ in range(times):
            file.write(b"x" * 4096)
            began = time.perf_counter_ns()
            os.fsync(file.fileno())
            took.append((time.perf_counter_ns() - began) / 1000)
    return round(statistics.median(took), 1)


async def contestant(stage: Stage, name: str, given: list[Payload]) -> Contestant:
    """Return 256 tasks that append to 256 sessions of one server."""
    manager = stage.manager
    ids = await make_sessions(manager, TASKS)

    def append(number: int) -> Awaitable[Any]:
        return manager.append(ids[number % TASKS], given[number].event)

    return Contestant(
        name, lambda: by_tasks(append, len(given), TASKS), len(given), before=lambda: asyncio.to_thread(os.sync)
    )


async def measure(options: Options) -> Measured:
    """Measure."""
    given = payloads(TASKS * options.few(40, 1))
    ours, theirs = "append, appendfsync always", "append, appendfsync everysec"
    async with staged(options, appendfsync="always") as always, staged(options, appendfsync="everysec") as everysec:
        running = [await contestant(always, ours, given), await contestant(everysec, theirs, given)]
        found = await compete(running, options.rounds)
        place = await place_of(always.client)
    disk = fsync_us()
    claim = ratio_of_rates(found, "append, fsync durability, 256 tasks", ours, "the same with everysec", theirs, 0.4)
    return Measured(NAME, place, found, [claim], {"fsync_us": disk})


async def main(arguments: list[str]) -> None:
    """Measure and print."""
    found = await measure(options_of(arguments, NAME, __doc__, rounds=15))
    show(found, contestant_rows(found.summaries), f"one fsync of 4 KiB on this disk: {found.more['fsync_us']:,} µs")
