"""Managers of one namespace, and a world of sessions in every stage of their lives."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from sessionstream import MessageAdded, NoteAdded, Projection, SessionManager
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

MakeManager = Callable[..., SessionManager]


def noting(version: int = 1) -> Projection:
    """A user's projection that keeps something of each kind, of notes."""
    projection = Projection("noting", version)

    @projection.on(NoteAdded)
    def noted(session_id: str, event: NoteAdded) -> Iterable[Operation]:
        yield Put(view("notes"), {event.text: OFFSET, "version": version})
        yield Increment(view("notes"), "count", 1)
        yield Add(ranking("order"), VERSION, event.text)
        yield Add(index("latest"), AT)
        yield Increment(counters("all"), "notes", 1)

    return projection


@pytest.fixture
def make_manager(open_manager: MakeManager) -> MakeManager:
    """Make a manager of the test's namespace: ``make_manager(noting(), ttl=60)``."""

    def make(*projections: Projection, **settings: Any) -> SessionManager:
        return open_manager(projections=projections, **{"partitions": 3} | settings)

    return make


@pytest.fixture
def manager(make_manager: MakeManager) -> SessionManager:
    """A manager with a projection of the user's own."""
    return make_manager(noting())


@pytest.fixture
async def world(manager: SessionManager) -> list[str]:
    """The ids of sessions in every stage of life, so that no kind of view is empty."""
    ids = [f"é{number}" for number in range(12)]
    for number, session_id in enumerate(ids):
        ttl = None if number % 3 else 3_600
        await manager.create_session("user", f"agent_{number % 2}", {"n": number}, session_id=session_id, ttl=ttl)
        await manager.append(session_id, [MessageAdded(role="user", content="Hi"), NoteAdded(text=f"note {number}")])
        await manager.save_checkpoint(session_id, {"n": number}, checkpoint_id="kept")
    await manager.set_session_state(ids[3], "idle")
    await manager.set_session_state(ids[4], "archived")
    await manager.set_session_state(ids[5], "expired")
    await manager.delete_session(ids[6])
    await manager.delete_session(ids[7], purge=True)
    await manager.delete_checkpoint(ids[8], "kept")
    return ids
