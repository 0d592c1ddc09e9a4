"""A worker process: writers, and perhaps a follower and a member of the group, until it is told to stop, or killed.

SIGUSR1 lets the writers stop when what they are at is done, SIGTERM ends the process in good order.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import signal
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.fault.runner.connections import manager_on
from tests.fault.runner.journal import Journal
from tests.fault.runner.watching import follow, take_part
from tests.fault.runner.writing import Writer

__all__ = ["Orders", "main"]


@dataclass
class Orders:
    """What a worker is to do.

    Attributes:
        name: its own.
        journal: the file in which it notes what it does.
        place: how it reaches the store; see `manager_on`.
        settings: of its manager.
        sessions: on which it works.
        seed: of its dice.
        writers: how many tasks write.
        follows: whether it follows all sessions.
        cursor: from where it does.
        takes_part: whether it is a member of the group.
    """

    name: str
    journal: str
    place: dict[str, Any]
    settings: dict[str, Any]
    sessions: list[str]
    seed: int
    writers: int = 4
    follows: bool = False
    cursor: str | None = None
    takes_part: bool = False

    def words(self) -> str:
        """Return them as JSON."""
        return json.dumps(asdict(self))


async def main(words: str) -> None:
    """Do what the orders say, which are given as JSON, until the process is told to end."""
    logging.disable(logging.CRITICAL)
    orders = Orders(**json.loads(words))
    journal = Journal(Path(orders.journal), orders.name)
    stop, end = asyncio.Event(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, stop.set)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end.set)
    async with manager_on(orders.place, **orders.settings) as manager:
        dice, sessions = random.Random(orders.seed), list(orders.sessions)
        writers = [Writer(manager, journal, sessions, random.Random(dice.random())) for _ in range(orders.writers)]
        tasks = [asyncio.create_task(_write(writers, stop, journal))]
        if orders.follows:
            tasks.append(asyncio.create_task(follow(manager, journal, orders.cursor)))
        if orders.takes_part:
            tasks.append(asyncio.create_task(take_part(manager, journal)))
        await end.wait()
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                journal.note("foreign", id="", error=repr(result)[:300])
    journal.close()


async def _write(writers: Sequence[Writer], stop: asyncio.Event, journal: Journal) -> None:
    await asyncio.gather(*(writer.work(stop) for writer in writers))
    journal.note("stopped")
