"""What may not grow: memory of both sides, keys, connections, tasks, file descriptors; and whether it has."""

from __future__ import annotations

import asyncio
import gc
import os
import statistics
import sys
from collections.abc import Sequence
from typing import NamedTuple

from redis.asyncio import Redis

from sessionstream.log.keys import Route

__all__ = ["Reading", "growth", "memory_of", "problems", "read_gauges"]

MEMORY = ("client_bytes", "server_bytes")
"""What may move a little: allocators keep what they were given."""

_MOST_GROWTH = 0.03
_MOST_BYTES = 3 * 1024 * 1024
_WARM = 3


class Reading(NamedTuple):
    """What was read once everything that was done was gone again.

    Attributes:
        client_bytes: resident memory of this process.
        server_bytes: memory that the server's allocator has given out, but for the buffers of its append-only file.
        objects: objects that the garbage collector knows, but for the routes of up to 10,000 sessions, which are
            remembered until so many are, and then forgotten all at once.
        keys: of the server.
        connections: of the server.
        tasks: of the event loop.
        descriptors: file descriptors of this process.
    """

    client_bytes: int
    server_bytes: int
    objects: int
    keys: int
    connections: int
    tasks: int
    descriptors: int


async def read_gauges(client: Redis) -> Reading:
    """Return what there is now, when what is garbage is collected."""
    gc.collect()
    client_bytes, server_bytes = await memory_of(client)
    return Reading(
        client_bytes=client_bytes,
        server_bytes=server_bytes,
        objects=sum(not isinstance(one, Route) for one in gc.get_objects()),
        keys=await client.dbsize(),
        connections=len(await client.client_list()),
        tasks=len(asyncio.all_tasks()),
        descriptors=len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0,
    )


async def memory_of(client: Redis) -> tuple[int, int]:
    """Return the bytes of this process and of the server, as `Reading` has them."""
    memory = await client.info("memory")
    return _resident(), int(memory["used_memory"]) - int(memory.get("mem_aof_buffer", 0))


def _resident() -> int:
    if sys.platform != "linux":
        return 0
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def growth(values: Sequence[float]) -> float:
    """Return how much values grow from the first to the last, by the line that fits them best."""
    if len(values) < 2:
        return 0.0
    return statistics.linear_regression(range(len(values)), values).slope * (len(values) - 1)


def problems(readings: Sequence[Reading]) -> list[str]:
    """Return what has grown, of readings at the ends of rounds; the first ones fill what is remembered on purpose.

    Memory and objects may grow by 3 %, and memory by 3 MiB; all else may be no more than it was.
    """
    warm = readings[min(_WARM, len(readings) // 2) :]
    found = []
    for name in Reading._fields:
        values = [getattr(reading, name) for reading in warm]
        grown = growth(values)
        if name in MEMORY or name == "objects":
            most = max(_MOST_GROWTH * values[0], _MOST_BYTES if name in MEMORY else 0)
            if grown > most:
                found.append(f"{name} grew by {grown:,.0f} from {values[0]:,}: at most {most:,.0f} are allowed")
        elif max(values) > values[0]:
            found.append(f"{name} grew from {values[0]:,} to {max(values):,}")
    return found
