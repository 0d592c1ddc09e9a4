"""`validate_session_access` and `get_session_stats`."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from sessionstream import AccessDenied, SessionManager, SessionNotFound
from sessionstream.recipes import get_session_stats, validate_session_access
from tests.sessions.waiting import expired_session


async def test_the_owner_gets_the_session(manager: SessionManager) -> None:
    """As `get_session` gives it."""
    await manager.create_session("user_1", "agent_1", {"a": 1}, session_id="sess_1")
    assert await validate_session_access(manager, "sess_1", "user_1") == await manager.get_session("sess_1")


async def test_another_user_is_denied(manager: SessionManager) -> None:
    """With the error of this library that is a PermissionError."""
    await manager.create_session("user_1", "agent_1", session_id="sess_1")
    with pytest.raises(PermissionError) as denied:
        await validate_session_access(manager, "sess_1", "user_2")
    assert isinstance(denied.value, AccessDenied)
    assert (denied.value.session_id, denied.value.user_id) == ("sess_1", "user_2")


async def test_an_unknown_session_is_not_found(manager: SessionManager) -> None:
    """With the error of this library that is a ValueError."""
    with pytest.raises(ValueError, match="sess_1") as missing:
        await validate_session_access(manager, "sess_1", "user_1")
    assert isinstance(missing.value, SessionNotFound)


async def test_an_expired_session_is_not_found(manager: SessionManager, client: Redis) -> None:
    """Not even by its owner, swept or not."""
    session = await expired_session(manager, client)
    with pytest.raises(SessionNotFound):
        await validate_session_access(manager, session.session_id, "user_1")


async def test_the_statistics_of_an_empty_store_are_zero(manager: SessionManager) -> None:
    """All four keys are there."""
    assert await get_session_stats(manager) == {
        "total_sessions": 0,
        "active_sessions": 0,
        "expired_sessions": 0,
        "avg_session_duration": 0.0,
    }


async def test_the_statistics_are_what_the_manager_counts(manager: SessionManager, client: Redis) -> None:
    """One active, one idle, one deleted and two expired sessions are five, one active and two expired."""
    for session_id in ("sess_1", "sess_2", "sess_3"):
        await manager.create_session("user_1", "agent_1", session_id=session_id)
    await manager.set_session_state("sess_2", "idle")
    await manager.delete_session("sess_3")
    await expired_session(manager, client)
    await expired_session(manager, client)
    stats = await get_session_stats(manager)
    assert (stats["total_sessions"], stats["active_sessions"], stats["expired_sessions"]) == (5, 1, 2)
    assert stats["avg_session_duration"] == await manager.get_avg_session_duration()
