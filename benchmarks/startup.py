"""How long ``import sessionstream`` takes over Python's own start, and the embedded server to the first answer.

The import is a whole process that does nothing else, against one that does nothing at all, in turn; the difference is
taken within each round. ``import sessionstream`` loads its names when they are first used, so what the manager costs is
shown beside it, and what making the first one does, which loads redis-py and pydantic. The embedded server is started
cold in a fresh folder: the clock runs from the first call until the first session is created, so it holds the
supervisor's start, the server's, and the namespace's first append. The server's program may lie in the system's cache
of files.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from benchmarks.claims import Measured, claim_of, show
from benchmarks.rounds import turned
from benchmarks.stage import SETTINGS, Options, options_of, place_of
from sessionstream.wire.embedded.reach import GRACE_VARIABLE
from tests.embedded.stage import Stage
from tests.servers import Server

__all__ = ["main", "measure"]

NAME = "startup"
STARTS = {
    "Python alone": "pass",
    "import sessionstream": "import sessionstream",
    "from sessionstream import SessionManager": "from sessionstream import SessionManager",
}

FIRST_CALL = """
import asyncio, sys, time
from sessionstream import SessionManager

async def first(folder):
    making = time.perf_counter_ns()
    manager = SessionManager(folder=folder)
    began = time.perf_counter_ns()
    await manager.create_session("user", "agent")
    print((began - making) / 1e6, (time.perf_counter_ns() - began) / 1e6)
    await manager.aclose()

asyncio.run(first(sys.argv[1]))
"""


def start_ms(code: str) -> float:
    """Return the milliseconds that a Python process takes to run some code and end."""
    began = time.perf_counter_ns()
    subprocess.run([sys.executable, "-c", code], check=True)
    return (time.perf_counter_ns() - began) / 1e6


def first_call_ms() -> tuple[float, float]:
    """Return the milliseconds for making a manager, and those until its first call is answered by a cold server."""
    with tempfile.TemporaryDirectory(prefix="sst-") as folder:
        # The server stops as soon as the process has gone, and only then the folder can be removed.
        settings = {**_own_environment(), GRACE_VARIABLE: "0"}
        words = [sys.executable, "-c", FIRST_CALL, folder]
        done = subprocess.run(words, check=True, capture_output=True, text=True, env=settings)
        Stage(Path(folder)).end()
        made, answered = map(float, done.stdout.split())
        return made, answered


def _own_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("SESSIONSTREAM_")}


async def measure(options: Options) -> Measured:
    """Measure both."""
    times: dict[str, list[float]] = {name: [] for name in STARTS}
    firsts: list[tuple[float, float]] = []
    for number in range(-1, options.rounds):
        for name in turned(list(STARTS), number):
            took = start_ms(STARTS[name])
            if number >= 0:
                times[name].append(took)
        if 0 <= number < options.few(9, 1):
            firsts.append(first_call_ms())
    alone, imported, _ = times.values()
    over = [one - other for one, other in zip(imported, alone, strict=True)]
    answers = [answered for _, answered in firsts]
    claims = [
        claim_of(over, "import sessionstream", "Python's own start", 60, at_most=True, unit="ms"),
        claim_of(
            [answered for _, answered in firsts],
            "embedded server, cold, to the first answer",
            "–",
            300,
            at_most=True,
            unit="ms",
        ),
    ]
    making = {"making the first manager": [made for made, _ in firsts]}
    calling = {"embedded server, first call": answers}
    shown = {name: _summary(took) for name, took in (times | making | calling).items()}
    with Server(**SETTINGS) as server:
        async with Redis.from_url(server.unix_url) as client:
            place = await place_of(client)
    place.pop("payloads")
    return Measured(NAME, place | {"sessionstream": version("sessionstream")}, shown, claims)


def _summary(took: list[float]) -> dict[str, Any]:
    ordered = sorted(took)
    return {
        "p50_ms": round(statistics.median(ordered), 1),
        "least_ms": round(ordered[0], 1),
        "most_ms": round(ordered[-1], 1),
        "starts": len(ordered),
    }


async def main(arguments: list[str]) -> None:
    """Measure and print."""
    show(await measure(options_of(arguments, NAME, __doc__, rounds=31)))
