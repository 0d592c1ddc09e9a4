"""eventsourcing: one event of an aggregate, saved by an application on a SQLite file, with the settings it comes with.

The library does not know asyncio: awaited one by one it is called as it is, and tasks call it in threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event

from benchmarks.payloads import Payload

__all__ = ["opened"]


class Conversation(Aggregate):
    """A session as the library's aggregate; it keeps no messages, so that it does not grow."""

    @event("MessageAdded")
    def add(self, message: dict[str, Any]) -> None:
        """Take one more message."""
        self.last = message


@asynccontextmanager
async def opened(folder: Path, url: str, sessions: int) -> AsyncIterator[Callable[[int, Payload], Awaitable[object]]]:
    """Open aggregates of one application, and give the function that adds a message to one of them and saves it."""
    settings = {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(folder / "eventsourcing.db")}
    application: Application[Any] = Application(env=settings)
    running = [Conversation() for _ in range(sessions)]
    application.save(*running)

    def save(number: int, payload: Payload) -> object:
        running[number].add(message=payload.message)
        return application.save(running[number])

    async def append(number: int, payload: Payload) -> object:
        return save(number, payload) if sessions == 1 else await asyncio.to_thread(save, number, payload)

    yield append
    application.close()
