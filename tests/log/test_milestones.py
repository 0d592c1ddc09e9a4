"""A session tells when it has come to a milestone, so that what is due then is done without anybody asking."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sessionstream import MessageAdded, NoteAdded, SessionManager
from sessionstream.log.parts import MILESTONE


async def test_a_batch_that_comes_to_a_milestone_or_past_it_tells(manager: SessionManager) -> None:
    """Once for each append that does, with what it appended."""
    told: list[int] = []
    manager.store.milestones.append(lambda appended: told.append(appended.version))
    session = await manager.create_session("user_1", "agent_1")
    for count in (MILESTONE - 3, 1, 1, MILESTONE + 5, 1):
        await manager.append(session.session_id, [NoteAdded(text="x")] * count)
    assert told == [MILESTONE, 2 * MILESTONE + 5]


async def test_single_appends_tell_once_a_milestone(open_manager: Callable[..., SessionManager]) -> None:
    """However they fall into calls."""
    manager = open_manager()
    told: list[int] = []
    manager.store.milestones.append(lambda appended: told.append(appended.version))
    session = await manager.create_session("user_1", "agent_1")
    for _ in range(23):
        await asyncio.gather(
            *(manager.append(session.session_id, MessageAdded(role="user", content="x")) for _ in range(100))
        )
    assert told == [MILESTONE, 2 * MILESTONE]
