"""How many guarded, folded, feed-fed appends there are to one bare XADD of the usual client.

    python -m benchmarks appends [--rounds 7]

One real server on a unix socket, with the append-only file on. In every round each contestant runs once, in turn, so
that whatever else the machine does meets all of them; a row's ratio is the median of the ratios within single rounds.
The usual client is redis-py's asyncio one with hiredis, XADD of the same id, type and JSON. ``wanted`` is the aim, met
or not.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import statistics
import time
from collections.abc import Awaitable, Callable

from redis.asyncio import Redis

from benchmarks.growth import message, server_name
from sessionstream import SessionManager
from sessionstream.events.codec import encode_event
from tests.servers import Server

__all__ = ["main", "measure"]

TASKS = 256
PIPELINE = 128
BATCH = 100

# For each row: ours, theirs, and how many times their rate ours should be.
ROWS: dict[str, tuple[str, str, float]] = {
    "one by one : xadd": ("append, one by one", "xadd, one by one", 1.2),
    "256 tasks : xadd of 256 tasks": ("append, 256 tasks", "xadd, 256 tasks", 6.0),
    "256 tasks : pipelines of 128 xadd": ("append, 256 tasks", "pipelines of 128 xadd", 1.5),
    "batches of 100 : pipelines of 100 xadd": ("append, batches of 100", "pipelines of 100 xadd", 2.0),
}

Contestant = Callable[[int], Awaitable[None]]


def contestants(manager: SessionManager, client: Redis, ids: list[str]) -> dict[str, tuple[Contestant, int]]:
    """Return who competes, each with how many events a round has; ``PING`` shows what the way there and back costs."""
    event = message()
    fields = {"id": "x" * 22, "type": "message.added", "data": encode_event(event, 1 << 20).data}

    async def pings(count: int) -> None:
        for _ in range(count):
            await manager.store.server.call("PING")

    async def appends(count: int) -> None:
        for _ in range(count):
            await manager.append(ids[0], event)

    async def append_tasks(count: int) -> None:
        async def run(session_id: str) -> None:
            for _ in range(count // TASKS):
                await manager.append(session_id, event)

        await asyncio.gather(*map(run, ids))

    async def append_batches(count: int) -> None:
        for number in range(count // BATCH):
            await manager.append(ids[number % TASKS], [event] * BATCH)

    async def xadds(count: int) -> None:
        for _ in range(count):
            await client.xadd("bare:0", fields)

    async def xadd_tasks(count: int) -> None:
        async def run(number: int) -> None:
            for _ in range(count // TASKS):
                await client.xadd(f"bare:{number}", fields)

        await asyncio.gather(*map(run, range(TASKS)))

    def pipelines(size: int) -> Contestant:
        async def run(count: int) -> None:
            for _ in range(count // size):
                pipeline = client.pipeline(transaction=False)
                for number in range(size):
                    pipeline.xadd(f"bare:{number}", fields)
                await pipeline.execute()

        return run

    return {
        "PING": (pings, 2_000),
        "append, one by one": (appends, 2_000),
        "xadd, one by one": (xadds, 2_000),
        "append, 256 tasks": (append_tasks, 100 * TASKS),
        "xadd, 256 tasks": (xadd_tasks, 20 * TASKS),
        "pipelines of 128 xadd": (pipelines(PIPELINE), 100 * PIPELINE),
        "append, batches of 100": (append_batches, 200 * BATCH),
        "pipelines of 100 xadd": (pipelines(BATCH), 100 * BATCH),
    }


async def measure(url: str, rounds: int) -> tuple[dict[str, list[float]], str]:
    """Return each contestant's rates in events a second, one for each round, and the server's name."""
    client = Redis.from_url(url, max_connections=TASKS)
    rates: dict[str, list[float]] = {}
    async with SessionManager(url=url, namespace="appends") as manager:
        made = await asyncio.gather(*(manager.create_session("user", "agent") for _ in range(TASKS)))
        running = contestants(manager, client, [session.session_id for session in made])
        for _ in range(rounds + 1):
            for name, (run, count) in running.items():
                gc.collect()
                began = time.perf_counter()
                await run(count)
                rates.setdefault(name, []).append(count / (time.perf_counter() - began))
        name = await server_name(manager)
    await client.aclose()
    # The first round opens connections and warms up.
    return {name: all_rates[1:] for name, all_rates in rates.items()}, name


def main(arguments: list[str]) -> None:
    """Measure, and print a table and the same as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks appends", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args(arguments)
    with Server() as server:
        rates, name = asyncio.run(measure(server.unix_url, options.rounds))
    print(f"appends: {options.rounds} rounds in turn; {name}\n")
    for contestant, found in rates.items():
        print(f"{contestant:<26}{statistics.median(found):>10,.0f} events/s")
    print(f"\n{'ratio':<42}{'found':>7}{'wanted':>8}")
    results = {}
    for row, (ours, theirs, wanted) in ROWS.items():
        found = statistics.median(one / other for one, other in zip(rates[ours], rates[theirs], strict=True))
        results[row] = {"found": round(found, 2), "wanted": wanted, "missed": found < wanted}
        print(f"{row:<42}{found:>7.2f}{wanted:>8.1f}{'' if found >= wanted else '  missed'}")
    medians = {contestant: round(statistics.median(found)) for contestant, found in rates.items()}
    print("\n" + json.dumps({"benchmark": "appends", "server": name, "rates": medians, "ratios": results}))
