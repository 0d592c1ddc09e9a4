"""Rounds of full speed on a server of their own, each drained and read at its end."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis

from sessionstream import SessionManager
from tests.keys import assert_no_ownerless_keys
from tests.servers import Server
from tests.soak.gauges import Reading, memory_of, read_gauges
from tests.soak.load import SETTINGS, Load

__all__ = ["Round", "Soaked", "soak"]

NAMESPACE = "soak"


@dataclass
class Round:
    """One round.

    Attributes:
        seconds: how long it took, until it was drained.
        calls: how many commands the server was given for each second of it.
        done: how often each thing was done in it.
        peak: the largest readings of this process's and the server's memory, in bytes, while it ran.
        reading: at its end.
    """

    seconds: float
    calls: float
    done: Counter[str]
    peak: tuple[int, int]
    reading: Reading


@dataclass
class Soaked:
    """What came of it.

    Attributes:
        before: the reading before the manager was made.
        rounds: each round.
        after: the reading when the manager was closed.
        refused: how often something was refused, by the name of the error.
    """

    before: Reading
    rounds: list[Round] = field(default_factory=list)
    after: Reading | None = None
    refused: Counter[str] = field(default_factory=Counter)


async def soak(
    rounds: int,
    seconds: float,
    *,
    tell: Callable[[Round], object] = lambda one: None,
    lives: int = 64,
    filled: bool = False,
    **settings: Any,
) -> Soaked:
    """Run rounds of load.

    Args:
        rounds: how many.
        seconds: of full speed in each; what it takes to drain them comes on top.
        tell: called with each round.
        lives: how many sessions live at a time.
        filled: whether what a process remembers on purpose is filled before the first round.
        settings: of the manager, over those of the load.
    """
    with Server() as server, tempfile.TemporaryDirectory(prefix="soak-") as folder:
        async with Redis.from_url(server.unix_url) as outside:
            soaked = Soaked(await read_gauges(outside))
            manager = SessionManager(url=server.unix_url, namespace=NAMESPACE, **{**SETTINGS, **settings})
            # One connection, so that their number tells of the manager alone.
            pool = BlockingConnectionPool.from_url(server.unix_url, max_connections=1, timeout=None)
            trimmer = SessionManager(
                url=server.unix_url, namespace=NAMESPACE, **{**SETTINGS, **settings, "feed_retention": 0.001}
            )
            async with Redis.from_pool(pool) as client, manager, trimmer:
                load = Load(manager, trimmer, client, Path(folder), lives=lives)
                if filled:
                    await load.fill()
                for _ in range(rounds):
                    soaked.rounds.append(await _round(load, seconds))
                    tell(soaked.rounds[-1])
                soaked.refused = load.refused
            await _until_alone(outside)
            soaked.after = await read_gauges(outside)
    return soaked


async def _round(load: Load, seconds: float) -> Round:
    began, before = time.monotonic(), await _commands(load.client)
    load.done.clear()
    peak = asyncio.create_task(_peak(load.client))
    try:
        await load.run(seconds)
    finally:
        peak.cancel()
    highest = (await asyncio.gather(peak, return_exceptions=True))[0]
    assert isinstance(highest, tuple), highest
    took = time.monotonic() - began
    calls = (await _commands(load.client) - before) / took
    await assert_no_ownerless_keys(load.client, NAMESPACE)
    return Round(took, calls, Counter(load.done), highest, await read_gauges(load.client))


async def _until_alone(client: Redis) -> None:
    """Wait until the server has seen that the manager is closed; what it has not by then is read as left."""
    deadline = time.monotonic() + 5
    while len(await client.client_list()) > 1 and time.monotonic() < deadline:
        await asyncio.sleep(0.01)


async def _commands(client: Redis) -> int:
    return int((await client.info("stats"))["total_commands_processed"])


async def _peak(client: Redis) -> tuple[int, int]:
    """Return the largest readings of memory until it is cancelled."""
    highest = (0, 0)
    try:
        while True:
            mine, theirs = await memory_of(client)
            highest = max(highest[0], mine), max(highest[1], theirs)
            await asyncio.sleep(1)
    except asyncio.CancelledError:
        return highest
