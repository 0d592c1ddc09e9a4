"""A worker process: writers, and perhaps a follower and a member of the group, until it is told to stop, or killed.

python -m tests.fault.runner.worker ORDERS, where the orders are those of `Orders`, as JSON. A line on its standard input
lets the writers stop; when that is closed it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.fault.runner.connections import manager_on
from tests.fault.runner.journal import Journal
from tests.fault.runner.watching import follow, take_part
from tests.fault.runner.writing import Writer

__all__ = ["Orders"]


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


async def _work(orders: Orders) -> None:
    journal = Journal(Path(orders.journal), orders.name)
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    async with manager_on(orders.place, **orders.settings) as manager:
        dice = random.Random(orders.seed)
        sessions, stop = list(orders.sessions), asyncio.Event()
        writers = [Writer(manager, journal, sessions, random.Random(dice.random())) for _ in range(orders.writers)]
        writing = [asyncio.create_task(writer.work(stop)) for writer in writers]
        watching = [asyncio.create_task(follow(manager, journal, orders.cursor))] if orders.follows else []
        watching += [asyncio.create_task(take_part(manager, journal))] if orders.takes_part else []
        ended = asyncio.create_task(_orderly(commands, stop, writing, journal))
        done, _ = await asyncio.wait([ended, *watching], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if task is not ended:
                journal.note("foreign", id="", error=repr(task.exception())[:300])
        await ended
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
    journal.close()


async def _orderly(
    commands: asyncio.StreamReader, stop: asyncio.Event, writing: list[asyncio.Task[None]], journal: Journal
) -> None:
    await commands.readline()
    stop.set()
    for result in await asyncio.gather(*writing, return_exceptions=True):
        if isinstance(result, BaseException):
            journal.note("foreign", id="", error=repr(result)[:300])
    journal.note("stopped")
    await commands.read()


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_work(Orders(**json.loads(sys.argv[1]))))
