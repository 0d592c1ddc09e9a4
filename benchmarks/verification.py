"""Verifying a session of 100,000 events, and what seals cost: time, memory, bytes, and the appends beside them.

The session has a checkpoint every 10,000 events, says with each tenth event who did it, and is sealed to its end. What
is verified is all of it: history, seals, views, bodies, feed. Memory is the peak of what Python's allocator has given
out during one more verification, which is not timed. The appends are of 64 tasks, to a session each, up to its first
milestone, until all that is due is sealed; in turn with a key and without.
"""

from __future__ import annotations

import asyncio
import time
import tracemalloc
from typing import Any

from benchmarks.claims import Measured, claim_of, show
from benchmarks.payloads import payloads
from benchmarks.stage import Options, Stage, make_sessions, options_of, place_of, staged
from sessionstream import SessionManager, acting

__all__ = ["main", "measure"]

NAME = "verification"
KEY = "0123456789abcdef0123456789abcdef"
BATCH = 1_000
TASKS = 64


async def fill(manager: SessionManager, session_id: str, events: int) -> None:
    """Append events, a tenth of which say who, with ten checkpoints, and seal all of it."""
    given = [payload.event for payload in payloads(events)]
    for start in range(0, events, BATCH):
        batch = given[start : start + BATCH]
        tenth = len(batch) // 10
        with acting(actor="agent:1", correlation_id="request:1"):
            await manager.append(session_id, batch[:tenth])
        await manager.append(session_id, batch[tenth:])
        if start % (events // 10) == 0:
            await manager.save_checkpoint(session_id, {"turn": start})
    await manager.audit.seal(session_id)


async def append_rate(stage: Stage, events: int, **settings: Any) -> float:
    """Return the appends per second of many tasks, until what is due is sealed."""
    given = [payload.event for payload in payloads(events)]
    async with SessionManager(url=stage.url, namespace="bench", **settings) as manager:
        ids = await make_sessions(manager, TASKS)

        async def write(session_id: str) -> None:
            for event in given:
                await manager.append(session_id, event)

        began = time.perf_counter()
        await asyncio.gather(*map(write, ids))
        await manager.aclose()
        return TASKS * events / (time.perf_counter() - began)


async def measure(options: Options) -> Measured:
    """Measure."""
    events, appends = options.few(100_000, 3_000), options.few(1_023, 30)
    async with staged(options) as stage, SessionManager(url=stage.url, namespace="bench", seal_key=KEY) as manager:
        [session_id] = await make_sessions(manager, 1)
        before = time.perf_counter()
        await fill(manager, session_id, events)
        filling = time.perf_counter() - before
        seconds = []
        for number in range(-1, options.rounds):
            before = time.perf_counter()
            found = await manager.audit.verify(session_id)
            if number >= 0:
                seconds.append(time.perf_counter() - before)
            if not found.ok or found.sealed_to != found.version:
                raise AssertionError(f"what was not altered does not verify: {found}")
        tracemalloc.start()
        await manager.audit.verify(session_id)
        peak = tracemalloc.get_traced_memory()[1] / 1024**2
        tracemalloc.stop()
        key = manager.store.keys.seals(session_id)
        size = await stage.client.memory_usage(key, samples=0) / found.version
        rates = []
        for number in range(-1, options.few(5, 1)):
            pair = [await append_rate(stage, appends, seal_key=key) for key in (None, KEY)]
            rates += [pair] if number >= 0 else []
        place = await place_of(stage.client)
    shown = {
        "filling and sealing": {"seconds": round(filling, 2), "events": found.version},
        "append, 64 tasks": {"rate_per_s": round(max(rate for rate, _ in rates))},
        "append, 64 tasks, sealed by itself": {"rate_per_s": round(max(rate for _, rate in rates))},
    }
    session = "a session of 100,000 events"
    claims = [
        claim_of(seconds, "verify", session, 5, at_most=True, unit="s"),
        claim_of([peak], "verify, memory at most", session, 100, at_most=True, unit="MiB"),
        claim_of([size], "seals, bytes in Redis per event", session, 16, at_most=True, unit="bytes"),
        claim_of([sealed / bare for bare, sealed in rates], "append, sealed by itself", "without a key", 0.5),
    ]
    return Measured(NAME, place, shown, claims)


async def main(arguments: list[str]) -> None:
    """Measure and print."""
    show(await measure(options_of(arguments, NAME, __doc__, rounds=5)))
