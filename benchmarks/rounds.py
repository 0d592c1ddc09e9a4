"""Contestants measured side by side: each runs once in every round, and ratios are taken within the rounds.

What else the machine does comes and goes, and meets everybody in a round about alike; so a ratio is the median of the
ratios within single rounds, never one of two medians. The order turns by one place from round to round, and runs
backward in every other cycle, so nobody always comes first, or always behind the same neighbour. Garbage is collected
before each run, not during the clock's pauses; the first round opens connections and warms up, and is not counted.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Call", "Contestant", "Found", "by_tasks", "compete", "one_by_one", "percentile", "turned"]

Call = Callable[[int], Awaitable[Any]]


@dataclass(frozen=True)
class Contestant:
    """One way to do something.

    Attributes:
        name: how it is called in tables.
        run: does it once, and returns the nanoseconds of each call as its caller saw them.
        events: how many events one run has in all; rates are of these, since one call may carry many.
        before: awaited before the clock starts.
    """

    name: str
    run: Callable[[], Awaitable[list[int]]]
    events: int
    before: Callable[[], Awaitable[Any]] | None = None


@dataclass
class Found:
    """What was measured of one contestant.

    Attributes:
        times: nanoseconds of each call, of all rounds.
        medians: nanoseconds of the middle call, one for each round.
        rates: events per second, one for each round.
    """

    times: list[int] = field(default_factory=list)
    medians: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Events per second, the median of the rounds."""
        return statistics.median(self.rates)

    def summary(self) -> dict[str, float]:
        """Return p50, p99 and p99.9 in microseconds a call, and the rate in events per second."""
        ordered = sorted(self.times)
        return {
            "p50_us": percentile(ordered, 0.5),
            "p99_us": percentile(ordered, 0.99),
            "p999_us": percentile(ordered, 0.999),
            "rate_per_s": round(self.rate, 1),
            "calls": len(ordered),
        }


def percentile(ordered: Sequence[int], share: float) -> float:
    """Return the microseconds that a share of the calls, from 0 to 1, do not exceed.

    Args:
        ordered: nanoseconds, ascending.
        share: which part of them.
    """
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] / 1000, 1)


async def one_by_one(call: Call, count: int) -> list[int]:
    """Await so many calls, one after the other, and return the nanoseconds of each.

    Args:
        call: given the number of the call, from 0.
        count: how many.
    """
    clock, times = time.perf_counter_ns, list[int]()
    for number in range(count):
        began = clock()
        await call(number)
        times.append(clock() - began)
    return times


async def by_tasks(call: Call, count: int, tasks: int) -> list[int]:
    """Let tasks share so many calls, each awaiting its own one after the other; return the nanoseconds of each call.

    Args:
        call: given the number of the call, from 0; task t makes the calls t, t + tasks, t + 2 tasks …
        count: how many calls in all.
        tasks: how many tasks.
    """
    clock, times = time.perf_counter_ns, list[int]()

    async def run(task: int) -> None:
        for number in range(task, count, tasks):
            began = clock()
            await call(number)
            times.append(clock() - began)

    await asyncio.gather(*map(run, range(tasks)))
    return times


def turned(names: Sequence[str], number: int) -> list[str]:
    """Return the order in which contestants run in a round.

    Args:
        names: who runs.
        number: of the round.
    """
    cycle, place = divmod(number, len(names))
    order = [*names[place:], *names[:place]]
    return order[::-1] if cycle % 2 else order


async def compete(contestants: Sequence[Contestant], rounds: int) -> dict[str, Found]:
    """Let each contestant run once in every round, and return what was found of each.

    Args:
        contestants: who runs.
        rounds: how many count; one more comes before them.
    """
    running = {one.name: one for one in contestants}
    found = {name: Found() for name in running}
    for number in range(-1, rounds):
        for name in turned(list(running), number):
            one = running[name]
            if one.before is not None:
                await one.before()
            gc.collect()
            began = time.perf_counter_ns()
            times = await one.run()
            took = time.perf_counter_ns() - began
            if number >= 0:
                found[name].times += times
                found[name].medians.append(statistics.median(times))
                found[name].rates.append(1e9 * one.events / took)
    return found
