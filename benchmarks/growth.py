"""Whether a session grows slow: an append and two reads, on a session of few events and on one of very many.

    python -m benchmarks growth [--short 10] [--long 100000] [--rounds 200] [--calls 20]

One real server on a unix socket, with the append-only file on; one manager; calls awaited one by one. Each round does
every operation on the one session, then on the other, and rounds alternate which comes first, so that whatever else the
machine does meets both. The short session is made anew for every round, so that it stays short. All lie in one
partition, so that they share its feed and its indexes. A PING, which knows of no session, is the control: it shows what
the way there and back costs, and how far a ratio is from 1 by chance.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import platform
import time
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks.samples import Samples, ratio, table
from sessionstream import MessageAdded, SessionManager
from tests.servers import Server

__all__ = ["main", "measure"]

TEXT = "The flight to Oslo leaves at 14:05 from gate 22; I can hold two seats on it until tomorrow at noon. " * 2
METADATA = {"language": "en-GB", "tier": "premium", "timezone": "Europe/London"}
BATCH = 2_000
WARM_UP = 3

Operation = Callable[[SessionManager, str], Awaitable[Any]]

# What each operation sends by itself; the commands that a script calls are counted in the script's own time.
OPERATIONS: dict[str, tuple[Operation, tuple[str, ...]]] = {
    "PING": (lambda manager, session_id: manager.store.server.call("PING"), ("ping",)),
    "append": (lambda manager, session_id: manager.append(session_id, message()), ("evalsha",)),
    "get_session": (lambda manager, session_id: manager.get_session(session_id), ("hgetall", "time")),
    "get_latest_checkpoint": (
        lambda manager, session_id: manager.get_latest_checkpoint(session_id),
        ("hgetall", "time", "evalsha"),
    ),
}


def message() -> MessageAdded:
    """Return a chat message of about 250 bytes as JSON."""
    return MessageAdded(role="assistant", content=TEXT)


async def make_session(manager: SessionManager, events: int) -> str:
    """Create a session of so many events, a saved checkpoint among them, and return its id."""
    session = await manager.create_session("user", "agent", METADATA)
    left = events - 2
    while left > 0:
        count = min(left, BATCH)
        await manager.append(session.session_id, [message() for _ in range(count)])
        left -= count
    await manager.save_checkpoint(session.session_id, {"turn": events, "history": [TEXT] * 10})
    return session.session_id


async def server_us(manager: SessionManager, commands: tuple[str, ...]) -> int:
    """Return the microseconds that the server has spent on these commands since it started."""
    info = (await manager.store.server.call("INFO", "commandstats")).decode()
    spent = 0
    for line in info.splitlines():
        name, _, facts = line.removeprefix("cmdstat_").partition(":")
        if name in commands:
            spent += int(facts.split("usec=")[1].split(",")[0])
    return spent


async def server_name(manager: SessionManager) -> str:
    """Return the server's name and version."""
    info = (await manager.store.server.call("INFO", "server")).decode()
    facts = dict(line.split(":", 1) for line in info.split("\r\n") if ":" in line)
    return f"{facts.get('server_name', 'redis')} {facts.get('valkey_version', facts['redis_version'])}"


async def one_round(manager: SessionManager, session_id: str, name: str, calls: int) -> tuple[list[float], float]:
    """Do one operation so many times, and return the time of each and the server's average, in microseconds."""
    operation, commands = OPERATIONS[name]
    times = []
    before = await server_us(manager, commands)
    for _ in range(calls):
        start = time.perf_counter_ns()
        await operation(manager, session_id)
        times.append((time.perf_counter_ns() - start) / 1000)
    return times, (await server_us(manager, commands) - before) / calls


async def measure(url: str, *, short: int, long: int, rounds: int, calls: int) -> dict[str, Any]:
    """Measure on the server at ``url``; see the module for what the numbers of events, rounds and calls mean."""
    found = {name: {"short": Samples(), "long": Samples()} for name in OPERATIONS}
    async with SessionManager(url=url, partitions=1, namespace="growth") as manager:
        start = time.perf_counter()
        long_id = await make_session(manager, long)
        filled = time.perf_counter() - start
        for number in range(-WARM_UP, rounds):
            sessions = {"short": await make_session(manager, short), "long": long_id}
            for name, samples in found.items():
                for size in ("short", "long") if number % 2 else ("long", "short"):
                    gc.collect(0)
                    times, server = await one_round(manager, sessions[size], name, calls)
                    if number >= 0:
                        samples[size].add(times, server)
            await manager.delete_session(sessions["short"], purge=True)
        return {
            "benchmark": "growth",
            "server": await server_name(manager),
            "python": platform.python_version(),
            "events": {"short": [short, short + calls], "long": [long, long + (WARM_UP + rounds) * calls]},
            "calls": rounds * calls,
            "fill_per_s": round(long / filled),
            "results": {
                name: {size: one.summary() for size, one in samples.items()}
                | {"ratio": ratio(samples["long"], samples["short"])}
                for name, samples in found.items()
            },
        }


def report(result: dict[str, Any]) -> str:
    """Return the result as a table; its last two columns compare the long session with the short one."""
    rows = []
    for name, sizes in result["results"].items():
        compared = sizes["ratio"]
        spread = f"{compared['p50']:.2f} ({compared['rounds_low']:.2f}–{compared['rounds_high']:.2f})"
        server = "–" if compared["server"] is None else f"{compared['server']:.2f}"
        for size, ratios in (("short", ("", "")), ("long", (spread, server))):
            one, events = sizes[size], "{:,}–{:,}".format(*result["events"][size])
            rows.append(
                [name, events, one["p50_us"], one["p99_us"], f"{one['rate_per_s']:,}", one["server_us"], *ratios]
            )
    head = ["operation", "events", "p50 µs", "p99 µs", "calls/s", "server µs", "p50, long : short", "server"]
    title = "growth: {calls:,} calls of each kind, one by one; {server}, Python {python}".format(**result)
    return f"{title}\n\n{table(head, rows)}\n"


def main(arguments: list[str]) -> None:
    """Start a server, measure, print the table and then the same as one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks growth", description=__doc__.split("\n")[0])
    parser.add_argument("--short", type=int, default=10, help="events of the short session, 2 or more")
    parser.add_argument("--long", type=int, default=100_000, help="events of the long session")
    parser.add_argument("--rounds", type=int, default=200, help="how many rounds")
    parser.add_argument("--calls", type=int, default=20, help="calls of each kind in a round")
    options = parser.parse_args(arguments)
    with Server() as server:
        result = asyncio.run(measure(server.unix_url, **vars(options)))
    print(report(result))
    print(json.dumps(result))


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
