"""Holds, archives and trims on a Cluster: what belongs to a session lies in its slot, whichever node has that (G35)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sessionstream import HistoryTrimmed, SessionHeld
from tests.cluster.conftest import Open


async def test_sessions_on_every_node_are_held_archived_trimmed_and_replayed(
    open_manager: Open, tmp_path: Path
) -> None:
    """Each step is one script on one node; all holds are listed, whichever node they lie on."""
    manager = open_manager()
    made = await asyncio.gather(*(manager.create_session("user", "agent") for _ in range(12)))
    ids = [session.session_id for session in made]
    for session_id in ids:
        await manager.add_messages(session_id, [{"role": "user", "content": str(n)} for n in range(20)])
    holds = await asyncio.gather(*(manager.retention.hold(one, "audit") for one in ids))
    assert {hold.session_id for hold in await manager.retention.holds()} == set(ids)
    for session_id, hold_id in zip(ids, holds, strict=True):
        with pytest.raises(SessionHeld):
            await manager.retention.trim(session_id, tmp_path)
        await manager.retention.release(session_id, hold_id)
    done = await asyncio.gather(*(manager.retention.trim(one, tmp_path, keep_events=3) for one in ids))
    assert {one.trimmed for one in done} == {20}
    for session_id in ids:
        with pytest.raises(HistoryTrimmed):
            await manager.messages(session_id)
        replayed = [event.version async for event in manager.retention.replay(session_id, tmp_path)]
        assert replayed == list(range(1, 25))
        assert (await manager.audit.as_of(session_id, version=20)).session.user_id == "user"
    await manager.rebuild()
    assert len(await manager.get_sessions_by_user("user")) == 12
