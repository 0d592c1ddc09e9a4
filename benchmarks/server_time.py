"""The server's time of an append, alone and in a call of 16, against that of one XADD of the same payload.

What the server itself counts (``INFO commandstats``): the microseconds of EVALSHA, in which everything that the script
calls is contained, and of XADD. A command that is awaited alone finds caches cold, so like is compared with like: an
append awaited alone with an XADD awaited alone, and a call of 16 appends with 16 XADDs sent in one write. That a call
does hold 16 is checked: the namespace has one partition, and the server counts the calls.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks.claims import Claim, Measured, claim_of, show
from benchmarks.payloads import Payload, payloads
from benchmarks.rounds import turned
from benchmarks.stage import Options, Stage, command_stats, make_sessions, options_of, place_of, staged

__all__ = ["main", "measure"]

NAME = "server_time"
GROUP = 16
# A session that has more gets a base snapshot, beside the appends and by a script, which would be counted.
MOST_EVENTS = 900

# For each contestant: the command whose time is its own, and how many calls of it there are for one event.
COMMANDS = {
    "append, alone": ("evalsha", 1.0),
    "xadd, alone": ("xadd", 1.0),
    "append, in calls of 16": ("evalsha", 1 / GROUP),
    "xadd, 16 in one write": ("xadd", 1.0),
}


def contestants(stage: Stage, ids: list[str], given: list[Payload]) -> dict[str, Callable[[], Awaitable[Any]]]:
    """Return what is run; each appends all payloads once."""
    manager, client = stage.manager, stage.client

    async def appends() -> None:
        for number, payload in enumerate(given):
            await manager.append(ids[number % GROUP], payload.event)

    async def xadds() -> None:
        for number, payload in enumerate(given):
            await client.xadd(f"bare:{number % GROUP}", payload.fields)

    async def groups() -> None:
        for start in range(0, len(given), GROUP):
            together = zip(ids, given[start : start + GROUP], strict=True)
            await asyncio.gather(*(manager.append(session_id, payload.event) for session_id, payload in together))

    async def writes() -> None:
        for start in range(0, len(given), GROUP):
            pipe = client.pipeline(transaction=False)
            for number, payload in enumerate(given[start : start + GROUP]):
                pipe.xadd(f"bare:{number}", payload.fields)
            await pipe.execute()

    return dict(zip(COMMANDS, (appends, xadds, groups, writes), strict=True))


async def server_us(stage: Stage, name: str, run: Callable[[], Awaitable[Any]], events: int) -> float:
    """Return the server's microseconds for one event.

    Raises:
        AssertionError: the server did not get as many calls as it should.
    """
    command, calls_per_event = COMMANDS[name]
    calls, before = await command_stats(stage.client, command)
    await run()
    after, spent = await command_stats(stage.client, command)
    if after - calls != round(events * calls_per_event):
        raise AssertionError(f"{name}: {after - calls} calls of {command} for {events} events")
    return (spent - before) / events


async def measure(options: Options) -> Measured:
    """Measure; the order turns from round to round."""
    given = payloads(GROUP * options.few(30, 3))
    async with staged(options, partitions=1) as stage:
        ids = await make_sessions(stage.manager, GROUP)
        running = contestants(stage, ids, given)
        found: dict[str, list[float]] = {name: [] for name in running}
        rounds_of_a_session = MOST_EVENTS // (2 * len(given) // GROUP)
        for number in range(-1, options.rounds):
            if number % rounds_of_a_session == 0:
                ids[:] = await make_sessions(stage.manager, GROUP)
            for name in turned(list(running), number):
                took = await server_us(stage, name, running[name], len(given))
                if number >= 0:
                    found[name].append(took)
        place = await place_of(stage.client)
    claims = [
        _claim(found, "server time of one append, alone", "append, alone", "xadd, alone", 8),
        _claim(
            found, "server time of one append, in a call of 16", "append, in calls of 16", "xadd, 16 in one write", 4
        ),
    ]
    shown = {name: {"server_us_per_event": round(statistics.median(took), 2)} for name, took in found.items()}
    return Measured(NAME, place, shown, claims)


def _claim(found: dict[str, list[float]], what: str, ours: str, theirs: str, wanted: float) -> Claim:
    ratios = (one / other for one, other in zip(found[ours], found[theirs], strict=True))
    return claim_of(ratios, what, theirs, wanted, at_most=True)


async def main(arguments: list[str]) -> None:
    """Measure and print."""
    show(await measure(options_of(arguments, NAME, __doc__, rounds=30)))
