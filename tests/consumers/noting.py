"""A projection of notes; run as a process it is built until it kills itself."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Iterator

from sessionstream import NoteAdded, Projection, SessionManager
from sessionstream.events.lifecycle import SessionCreated
from sessionstream.projection import (
    AT,
    OFFSET,
    VERSION,
    Add,
    Increment,
    Operation,
    Put,
    counters,
    index,
    ranking,
    view,
)

__all__ = ["BUSY", "LATEST", "TEXTS", "TOTALS", "notes"]

DEADLY = 250
TOTALS, LATEST, BUSY, TEXTS = counters("totals"), view("latest"), index("busy"), ranking("texts")


def notes(version: int = 1, worth: int = 1) -> Projection:
    """Return a projection of notes that counts each for as much as it is told."""
    projection = Projection("notes", version)

    @projection.on(NoteAdded)
    def _(session_id: str, event: NoteAdded) -> Iterator[Operation]:
        yield Increment(TOTALS, "notes", worth)
        yield Put(LATEST, {"text": event.text, "offset": OFFSET, "worth": str(worth)})
        yield Add(BUSY, VERSION)
        yield Add(TEXTS, AT, event.text)

    @projection.on(SessionCreated)
    def _(session_id: str, event: SessionCreated) -> Iterator[Operation]:
        yield Increment(TOTALS, "sessions", 1)

    return projection


async def main(url: str, namespace: str) -> None:
    """Build the projection, and die of one of its events."""
    deadly, calls = notes(), itertools.count()
    count = deadly.handlers[NoteAdded]

    def kill(session_id: str, event: NoteAdded) -> Iterator[Operation]:
        if next(calls) == DEADLY:
            os.kill(os.getpid(), signal.SIGKILL)
        return iter(count(session_id, event))

    deadly.handlers[NoteAdded] = kill
    async with (
        SessionManager(url=url, namespace=namespace, partitions=1) as manager,
        manager.consumers.project(deadly, lease=0.3) as projector,
    ):
        await projector.run()
