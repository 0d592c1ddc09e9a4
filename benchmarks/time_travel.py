"""Looking back into a session of 100,000 events: as it was, what changed, a fork; with base snapshots and without.

Each call asks for another moment, drawn at random. Of two sessions one has a checkpoint for every 1,000 events and the
other one for every 10, so that its views are large and its bases lie far apart. Without bases all events up to the
moment are read, which is shown beside. Memory is the most that a process of its own held which did all of it once.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks.claims import Claim, Measured, claim_of, show
from benchmarks.payloads import payloads
from benchmarks.rounds import Contestant, compete
from benchmarks.stage import Options, Stage, make_sessions, options_of, place_of, staged
from sessionstream.bases.reading import base_names, fold_until

__all__ = ["main", "measure"]

NAME = "time_travel"
APART = 100
BATCH = 1_000
MOST_MS, MOST_MB, MOST_SHARE = 50, 100, 12.5

LOOK_BACK = """
import asyncio, resource, sys
from pathlib import Path
from sessionstream import SessionManager

def most_bytes():
    # Linux counts what the process was before this program began among its maximum; its file does not.
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return 1024 * int(status.read_text().partition("VmHWM:")[2].split()[0])

async def main(url, session_id, last):
    async with SessionManager(url=url, namespace="bench") as manager:
        await manager.audit.as_of(session_id, last - 1)
        await manager.audit.diff(session_id, 1, last)
        await manager.audit.fork(session_id, at=last - 1)

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
print(most_bytes())
"""


async def prepare(stage: Stage, session_id: str, events: int, every: int) -> None:
    """Fill a session with messages, changes of its metadata, and a checkpoint for every so many events."""
    manager, count = stage.manager, 1
    while count < events:
        size = min(every, BATCH, events - count) - 2
        await manager.append(session_id, [payload.event for payload in payloads(max(1, size))])
        await manager.update_session_metadata(session_id, {"count": count})
        await manager.save_checkpoint(session_id, {"count": count})
        count += max(1, size) + 2


async def measure(options: Options) -> Measured:
    """Measure; rates are of whole calls."""
    events, calls = options.few(100_000, 2_500), options.few(20, 3)
    async with staged(options) as stage:
        manager, draw = stage.manager, random.Random(1)
        usual, many, bare = await make_sessions(manager, 3)
        for session_id, every in ((usual, 1_000), (many, 10), (bare, 1_000)):
            await prepare(stage, session_id, events, every)
        await manager._bases.aclose()
        await asyncio.gather(*(manager.rebuild(session_id) for session_id in (usual, many)))
        await stage.client.delete(manager.store.keys.bases(bare))
        least, last = events // 10, events - 2 * APART

        def moment() -> int:
            return draw.randrange(least, last)

        def diff(session_id: str) -> Awaitable[Any]:
            first = moment()
            return manager.audit.diff(session_id, first, first + APART)

        async def repeat(call: Callable[[], Awaitable[Any]], times: int) -> list[int]:
            took = []
            for _ in range(times):
                began = time.perf_counter_ns()
                await call()
                took.append(time.perf_counter_ns() - began)
            return took

        ways: dict[str, Callable[[], Awaitable[Any]]] = {
            "as_of": lambda: manager.audit.as_of(usual, moment()),
            "diff, 100 events apart": lambda: diff(usual),
            "fork": lambda: manager.audit.fork(usual, at=moment()),
            "as_of, a checkpoint for every 10 events": lambda: manager.audit.as_of(many, moment()),
        }
        contestants = [
            Contestant(name, lambda call=call: repeat(call, calls), calls)  # type: ignore[misc]
            for name, call in ways.items()
        ]
        without = "as_of without bases"
        contestants.append(Contestant(without, lambda: repeat(lambda: manager.audit.as_of(bare, moment()), 1), 1))
        found = await compete(contestants, options.rounds)
        claims = [
            claim_of(
                [ns / 1e6 for ns in found[name].medians], name, f"{events:,} events", MOST_MS, at_most=True, unit="ms"
            )
            for name in ways
        ]
        claims.append(await _memory(stage, bare, events))
        claims += [await _share(stage, usual, "usual"), await _share(stage, many, "a checkpoint for every 10 events")]
        place = await place_of(stage.client)
    return Measured(NAME, place, found, claims)


async def _memory(stage: Stage, session_id: str, events: int) -> Claim:
    words = (stage.url, session_id, str(events - 10))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", LOOK_BACK, *words), stdout=asyncio.subprocess.PIPE, env=dict(os.environ)
    )
    out, _ = await process.communicate()
    what = "memory of a process that does all of it, without bases"
    return claim_of([int(out) / 1e6], what, f"{events:,} events", MOST_MB, at_most=True, unit="MB")


async def _share(stage: Stage, session_id: str, which: str) -> Claim:
    store = stage.manager.store
    held = sum(name.size for name in await base_names(store, session_id))
    weight = (await fold_until(store, session_id)).weight
    return claim_of(
        [100 * held / weight], f"bytes of the bases, {which}", "bytes of the events", MOST_SHARE, at_most=True, unit="%"
    )


async def main(arguments: list[str]) -> None:
    """Measure and print."""
    show(await measure(options_of(arguments, NAME, __doc__, rounds=9)))
