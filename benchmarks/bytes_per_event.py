"""The bytes that an event takes in Redis, everything included, against the bytes of its payload.

400 sessions of 50 events whose JSON has 300 bytes, beside the creation of each session; every event is appended by
itself, which costs most, since the feed has a pointer for each append. What is counted is how much more memory the
server's allocator has given out than before the namespace existed (``used_memory``), when nobody but the measuring
client is connected, and without the statistics of commands that a server keeps whatever is stored (a histogram of the
latencies of each command that it has ever been given, some 20 KB each). What those take, and each kind of key (``MEMORY
USAGE``), is shown beside it. On every server that is installed: the embedded Valkey and redis-server.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections import Counter
from typing import Any

import msgspec
from redis.asyncio import Redis

from benchmarks.claims import Claim, Measured, show, table
from benchmarks.payloads import of_size
from benchmarks.stage import SETTINGS, Options, options_of, place_of
from sessionstream import SessionManager
from tests.servers import Server

__all__ = ["main", "measure", "settled_memory"]

NAME = "bytes_per_event"
EVENTS, SIZE = 50, 300
WANTED = 1.6
CHOICE = "SESSIONSTREAM_TEST_SERVER"
DEADLINE = 10.0


async def fill(url: str, sessions: int) -> None:
    """Make the sessions and append their events, one by one in each session, all sessions side by side."""
    event = of_size(SIZE)
    assert len(msgspec.json.encode(event)) == SIZE

    async def one(manager: SessionManager, number: int) -> None:
        session = await manager.create_session(f"user{number // 4}", "agent")
        for _ in range(EVENTS):
            await manager.append(session.session_id, event)

    async with SessionManager(url=url, namespace="bytes") as manager:
        await asyncio.gather(*(one(manager, number) for number in range(sessions)))


async def settled_memory(client: Redis, *, statistics: bool = False) -> int:
    """Return the server's ``used_memory`` when nobody but this client is connected and nothing waits to be written.

    Args:
        client: of the server.
        statistics: whether what it has noted of its commands so far counts; otherwise that is forgotten first.
    """
    deadline = time.monotonic() + DEADLINE
    while (await client.info("clients"))["connected_clients"] > 1:
        if time.monotonic() > deadline:
            raise AssertionError("another client stays connected")
        await asyncio.sleep(0.01)
    if not statistics:
        await client.config_resetstat()
    found = await client.info("memory")
    # The buffer of the append-only file is no part of what is kept.
    return int(found["used_memory"]) - int(found.get("mem_aof_buffer", 0))


async def bytes_by_kind(client: Redis) -> dict[str, int]:
    """Return what the keys of each kind take, as ``MEMORY USAGE`` counts every element of them."""
    found: Counter[str] = Counter()
    async for key in client.scan_iter(count=1_000):
        kind = key.decode().split("}:", 1)[1].split(":")
        name = kind[0] if kind[0] in {"head", "events", "user", "feed", "log", "registry"} else ":".join(kind[:3])
        found[name] += int(await client.memory_usage(key, samples=0) or 0)
    return dict(found.most_common())


async def measure_one(sessions: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return where it took place, and the bytes for an event, on the server that the environment chooses."""
    with Server(**SETTINGS) as server:
        async with Redis.from_url(server.unix_url, max_connections=1) as client:
            place = await place_of(client)
            before = await settled_memory(client)
            await fill(server.unix_url, sessions)
            noted = await settled_memory(client, statistics=True)
            after = await settled_memory(client)
            kinds = await bytes_by_kind(client)
    events = sessions * EVENTS
    return place, {
        "bytes_per_event": round((after - before) / events, 1),
        "statistics": round((noted - after) / events, 1),
        "payload_bytes": SIZE,
        "by_kind": {kind: round(size / events, 1) for kind, size in kinds.items()},
    }


async def measure(options: Options) -> Measured:
    """Measure on each server that is installed."""
    sessions = options.few(400, 40)
    chosen = os.environ.get(CHOICE)
    found, claims, place = dict[str, dict[str, Any]](), list[Claim](), dict[str, Any]()
    try:
        for kind in ("valkey", "redis"):
            os.environ[CHOICE] = kind
            if kind == "redis" and not shutil.which("redis-server"):
                claims.append(_claim("redis-server", None))
                continue
            here, one = await measure_one(sessions)
            place = place or here
            found[here["server"]] = one
            claims.append(_claim(here["server"], one["bytes_per_event"] / SIZE))
    finally:
        os.environ.pop(CHOICE)
        os.environ.update({} if chosen is None else {CHOICE: chosen})
    return Measured(NAME, place, found, claims, {"sessions": sessions, "events_of_each": EVENTS})


def _claim(server: str, found: float | None) -> Claim:
    ratio = None if found is None else round(found, 3)
    why = "" if found is not None else "redis-server is not installed"
    return Claim(f"bytes in Redis per event, {server}", "payload bytes", ratio, WANTED, True, why=why)


async def main(arguments: list[str]) -> None:
    """Measure and print; there are no rounds, since memory is counted and not timed."""
    found = await measure(options_of(arguments, NAME, __doc__, rounds=1))
    rows = [
        [server, kind, f"{size:,}"]
        for server, one in found.summaries.items()
        for kind, size in {
            "all": one["bytes_per_event"],
            "(statistics of commands)": one["statistics"],
            **one["by_kind"],
        }.items()
    ]
    show(found, table(["server", "kind of key", "bytes per event"], rows, left=(0, 1)))
