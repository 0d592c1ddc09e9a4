"""What a runtime does, and all the ways to read, as tests of several topologies call them."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sessionstream import NoteAdded, SessionManager
from sessionstream.recipes import get_session_stats
from sessionstream.transfer import export_events

__all__ = ["read_all", "story"]


async def story(manager: SessionManager) -> str:
    """Do what a runtime does, and return a session that is left."""
    session = await manager.create_session("user_1", "agent_1", {"a": 1}, ttl=1_000)
    sid = session.session_id
    await asyncio.gather(*(manager.append(sid, NoteAdded(text=str(number))) for number in range(5)))
    await manager.append(sid, NoteAdded(text="x"), idempotency_key="k", expected_version=6)
    await manager.add_messages(sid, {"role": "user", "content": "x"})
    await manager.save_checkpoint(sid, {"turn": 1}, checkpoint_id="first")
    return sid


async def read_all(manager: SessionManager, sid: str, tmp_path: Path) -> None:
    """Read in every way that there is."""
    assert await manager.get_session(sid)
    assert await manager.get_session_state(sid)
    assert len([event async for event in manager.history(sid)]) >= 8
    assert [event.version async for event in manager.history(sid, from_version=2, to_version=3)] == [2, 3]
    assert [event.version async for event in manager.history(sid, backward=True, limit=1, types=[NoteAdded])]
    assert await manager.messages(sid)
    assert await manager.get_latest_checkpoint(sid)
    assert await manager.get_checkpoint(sid, "first")
    assert await manager.list_checkpoints(sid, with_data=True)
    assert (await manager.resume(sid)).checkpoint
    assert await manager.get_sessions_by_user("user_1")
    assert await manager.get_all_active_sessions()
    assert (await get_session_stats(manager))["total_sessions"]
    await _look_back(manager, sid, tmp_path)
    async with manager.follow(sid) as events:
        assert (await anext(events)).session_id == sid
    async with manager.follow_all(after="oldest") as everybody:
        assert (await anext(everybody)).session_id
    assert [line async for line in export_events(manager.store, [sid])]
    assert await manager.retention.holds() == []


async def _look_back(manager: SessionManager, sid: str, tmp_path: Path) -> None:
    assert (await manager.audit.as_of(sid, 3)).version == 3
    assert (await manager.audit.diff(sid, 1, 9)).changes
    assert await manager.audit.trace(sid)
    assert (await manager.audit.verify(sid)).ok
    assert [one.ok async for one in manager.audit.verify_all()]
    assert await manager.audit.evidence(sid, tmp_path / f"{id(manager)}.jsonl")
