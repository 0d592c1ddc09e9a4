"""How soon a follower is given an event, and what followers cost: memory, connections, and commands while they wait.

Delivery: 1,000 followers in this process, each of a session of its own, and another process that appends 5,000 events a
second to their sessions in turn. What is measured is from when the event is given to the store there until the
follower's loop has it here, by the one clock of the machine; beside it, after how long the append was acknowledged
there, which is part of it. Cost: 10,000 followers of sessions of their own that have caught up and wait, each with the
task that iterates. Their memory is how much more of the machine's this process holds with them than before; the
server's is its ``used_memory``. Then, for five seconds in which nothing is appended, every command that the server ran
is counted, but for those that count them.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import statistics
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks.claims import Claim, Measured, contestant_rows, show, table
from benchmarks.pacing import SESSION, age_ns
from benchmarks.rounds import Found
from benchmarks.stage import Options, Stage, options_of, place_of, staged
from sessionstream import SessionManager

__all__ = ["main", "measure"]

NAME = "following"
DELIVERED, ACKNOWLEDGED = "an event, given to its follower", "its append, acknowledged to the writer"
OWN = {"cmdstat_info", "cmdstat_config|resetstat"}


class Followers:
    """Followers of sessions of their own, each with the task that iterates.

    Attributes:
        ages: nanoseconds for which each event had existed when its follower had it.
    """

    def __init__(self, manager: SessionManager, sessions: int) -> None:
        self._manager = manager
        self._sessions = sessions
        self._wanted = 0
        self._enough = asyncio.Event()
        self.ages: list[int] = []

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Let them follow during the block, which begins when all have caught up."""
        followers = [self._manager.follow(SESSION.format(one), after="now") for one in range(self._sessions)]
        tasks = [asyncio.create_task(self._follow(one)) for one in followers]
        for one in followers:
            await one.caught_up
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, follower: Any) -> None:
        async with follower as events:
            async for event in events:
                self.ages.append(age_ns(event.data))
                if len(self.ages) == self._wanted:
                    self._enough.set()

    async def have(self, count: int) -> None:
        """Return when so many events were given in all."""
        self._wanted = count
        self._enough.clear()
        if len(self.ages) < count:
            async with asyncio.timeout(120):
                await self._enough.wait()


async def create_sessions(manager: SessionManager, count: int) -> None:
    """Create the sessions that are followed, where they are not there yet."""
    for start in range(0, count, 500):
        some = (SESSION.format(one) for one in range(start, min(count, start + 500)))
        await asyncio.gather(*(manager.create_session("user", "agent", session_id=one) for one in some))


async def deliver(stage: Stage, followers: int, rate: float, events: int, rounds: int) -> dict[str, Found]:
    """Measure how long events take to their followers; the first round warms up and is not counted."""
    found = {DELIVERED: Found(), ACKNOWLEDGED: Found()}
    for number in range(rounds + 1):
        given = Followers(stage.manager, followers)
        async with given.following():
            told = await write(stage.url, followers, rate, events)
            await given.have(events)
        if number:
            for name, times in ((DELIVERED, given.ages), (ACKNOWLEDGED, told["took_ns"])):
                found[name].times += times
                found[name].medians.append(statistics.median(times))
                found[name].rates.append(told["rate"])
    return found


async def write(url: str, sessions: int, rate: float, events: int) -> dict[str, Any]:
    """Let another process append, and return what it says of itself."""
    words = ("-m", "benchmarks.pacing", url, str(sessions), str(rate), str(events))
    pipe, here = asyncio.subprocess.PIPE, Path(__file__).parents[1]
    writer = await asyncio.create_subprocess_exec(sys.executable, *words, stdin=pipe, stdout=pipe, cwd=here)
    gc.collect()
    out, _ = await writer.communicate(b"\n")
    told: dict[str, Any] = json.loads(out)
    return told


async def wait_idly(stage: Stage, followers: int, seconds: float) -> dict[str, Any]:
    """Measure what followers cost that have caught up and wait."""
    client = stage.client
    gc.collect()
    resident, held = resident_bytes(), (await client.info("memory"))["used_memory"]
    others = len(await client.client_list())
    async with Followers(stage.manager, followers).following():
        await until_quiet(stage)
        gc.collect()
        found = {
            "followers": followers,
            "bytes_each_here": round((resident_bytes() - resident) / followers),
            "bytes_each_at_the_server": round(((await client.info("memory"))["used_memory"] - held) / followers),
            "connections": len(await client.client_list()) - others,
        }
        await client.config_resetstat()
        await asyncio.sleep(seconds)
        stats = await client.info("commandstats")
    return {**found, "commands": sum(stat["calls"] for name, stat in stats.items() if name not in OWN)}


async def until_quiet(stage: Stage) -> None:
    """Return when the followers have asked all that they had to ask."""
    async with asyncio.timeout(60):
        while True:
            await stage.client.config_resetstat()
            await asyncio.sleep(0.2)
            if set(await stage.client.info("commandstats")) <= OWN:
                return


def resident_bytes() -> int:
    """Return how much of the machine's memory this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def measure(options: Options) -> Measured:
    """Measure both, each on a server of its own."""
    followers, rate, many = options.few(1_000, 50), options.few(5_000, 500), options.few(10_000, 200)
    async with staged(options) as stage:
        place = await place_of(stage.client)
        await create_sessions(stage.manager, followers)
        found = await deliver(stage, followers, rate, rate * options.few(4, 1), options.rounds)
    async with staged(options) as stage:
        await create_sessions(stage.manager, many)
        idle = await wait_idly(stage, many, options.few(5, 1))
    whose = f"{many:,} followers of sessions of their own"
    claims = [
        Claim(f"connections, {whose}", "the manager's own, without any", idle["connections"], 1, True, ""),
        Claim(f"commands in {options.few(5, 1)} s, {whose}", "none", idle["commands"], 0, True, ""),
    ]
    more = {"followers": followers, "events_per_s": rate, "idle": idle}
    return Measured(NAME, place, found, claims, more)


async def main(arguments: list[str]) -> None:
    """Measure and print."""
    found = await measure(options_of(arguments, NAME, __doc__, rounds=5))
    idle = found.more["idle"]
    rows = [[name.replace("_", " "), f"{value:,}"] for name, value in idle.items()]
    show(found, contestant_rows(found.summaries), table(["while they wait", ""], rows))
