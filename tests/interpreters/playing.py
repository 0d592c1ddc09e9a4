"""Scenarios, played by several writers at once on a real server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

from sessionstream.errors import NotPermittedInPhase, SessionArchived, SessionEnded, SessionNotFound
from sessionstream.events.lifecycle import SessionDeleted, SessionExpired
from sessionstream.events.recorded import at_ms
from sessionstream.log.store import Store
from tests.interpreters.programs import Life, Scenario

__all__ = ["play"]

_TOO_LATE = (NotPermittedInPhase, SessionArchived, SessionEnded, SessionNotFound)


async def play(scenario: Scenario, stores: Sequence[Store]) -> None:
    """Create the sessions one after the other, then let all that happens to them happen side by side."""
    work = []
    for number, life in enumerate(scenario.lives):
        session_id = f"s{number}:é"
        made = await stores[0].append(session_id, [life.created])
        for store, batches in zip(stores, life.batches, strict=False):
            work.append(_write(store, session_id, batches, scenario.at_once))
        if life.end is not None:
            work.append(_write(stores[-1], session_id, [[_end(life, at_ms(made.offset))]], False))
    await asyncio.gather(*work)


async def _write(store: Store, session_id: str, batches: Sequence[Sequence[Any]], at_once: bool) -> None:
    if at_once:
        await asyncio.gather(*(_append(store, session_id, batch) for batch in batches))
    else:
        for batch in batches:
            await _append(store, session_id, batch)


async def _append(store: Store, session_id: str, batch: Sequence[Any]) -> None:
    # Another writer may have archived or ended the session first; then nothing may have changed.
    with contextlib.suppress(*_TOO_LATE):
        await store.append(session_id, batch)


def _end(life: Life, created_ms: int) -> SessionExpired | SessionDeleted:
    kind = SessionExpired if life.end == "expired" else SessionDeleted
    return kind(user_id=life.created.user_id, agent_id=life.created.agent_id, created_ms=created_ms)
