"""Blocks 17 and 18: sessions created side by side, and one changed under its lock."""

from __future__ import annotations

import asyncio

import pytest

from sessionstream import Session
from tests.seed.stage import Stage


async def test_block_17_creates_five_sessions_at_once(stage: Stage) -> None:
    """Five sessions with five ids, each with its own history."""
    await stage.run(17)
    sessions = await stage["handle_concurrent_requests"]("user_123", "chatbot")
    assert stage.printed() == ["Created 5 concurrent sessions"]
    ids = {session.session_id for session in sessions}
    assert len(ids) == 5
    assert {session.session_id for session in await stage.manager.get_sessions_by_user("user_123")} == ids
    for session_id in ids:
        assert await stage.types(session_id) == ["session.created"]


async def _count_up(session: Session) -> Session:
    session.metadata["count"] += 1
    await asyncio.sleep(0)
    return session


async def test_block_18_changes_a_session_under_its_lock(stage: Stage) -> None:
    """What the function made of the session is appended, and nobody holds the lock any more."""
    await stage.session(metadata={"count": 0})
    await stage.run(18)
    assert await stage["safe_session_update"]("sess_abc123", _count_up) is None
    assert (await stage.history())[1:] == [("session.metadata_updated", {"set": {"count": 1}})]
    async with stage.manager.lock("sess_abc123", timeout=0.5):
        pass


async def test_block_18_loses_no_update_of_many_at_once(stage: Stage) -> None:
    """Ten of them wait for each other, so none overwrites what another did, and none meets a conflict."""
    await stage.session(metadata={"count": 0})
    await stage.run(18)
    await asyncio.gather(*(stage["safe_session_update"]("sess_abc123", _count_up) for _ in range(10)))
    counts = [data["set"]["count"] for _, data in (await stage.history())[1:]]
    assert counts == list(range(1, 11))


async def test_block_18_lets_the_functions_own_error_through(stage: Stage) -> None:
    """The lock is released all the same, and nothing was appended."""

    async def fail(session: Session) -> Session:
        raise ZeroDivisionError("the function's own")

    await stage.session()
    await stage.run(18)
    with pytest.raises(ZeroDivisionError, match="the function's own"):
        await stage["safe_session_update"]("sess_abc123", fail)
    assert await stage.types() == ["session.created"]
    async with stage.manager.lock("sess_abc123", timeout=0.5):
        pass
