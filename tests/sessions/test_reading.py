"""One session is read: there, or None (G11)."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from sessionstream import SessionManager
from tests.sessions.conftest import Dump
from tests.sessions.waiting import expired_session


async def test_a_session_is_read_by_its_id(manager: SessionManager) -> None:
    """And it exists."""
    session = await manager.create_session("user_1", "agent_1", {"a": 1})
    assert await manager.get_session(session.session_id) == session
    assert await manager.session_exists(session.session_id) is True


@pytest.mark.parametrize("swept", [False, True])
async def test_an_expired_session_is_none_before_and_after_it_is_swept(
    manager: SessionManager, client: Redis, swept: bool
) -> None:
    """Its time is over when the server's clock says so, not when somebody cleans up."""
    session = await expired_session(manager, client)
    assert await manager.cleanup_expired_sessions() == 1 if swept else True
    assert await manager.get_session(session.session_id) is None
    assert await manager.session_exists(session.session_id) is False
    assert await manager.get_sessions_by_user("user_1") == []


async def test_a_deleted_session_is_none(manager: SessionManager) -> None:
    """Though its history is kept."""
    session = await manager.create_session("user_1", "agent_1")
    await manager.delete_session(session.session_id)
    assert await manager.get_session(session.session_id) is None
    assert await manager.session_exists(session.session_id) is False


async def test_an_unknown_session_is_none(manager: SessionManager) -> None:
    """In a store that holds others, and in one that nobody has written to yet."""
    assert await manager.get_session("sess_unknown") is None
    await manager.create_session("user_1", "agent_1")
    assert await manager.get_session("sess_unknown") is None
    assert await manager.session_exists("sess_unknown") is False


@pytest.mark.parametrize("state", ["idle", "archived"])
async def test_idle_and_archived_sessions_are_there(manager: SessionManager, state: str) -> None:
    """Only what has ended is None."""
    session = await manager.create_session("user_1", "agent_1")
    await manager.set_session_state(session.session_id, state)
    found = await manager.get_session(session.session_id)
    assert found is not None
    assert found.state.value == state


async def test_reading_writes_nothing(manager: SessionManager, dump: Dump) -> None:
    """Not even for a session that is unknown, or in a store that is empty."""
    await manager.get_session("sess_unknown")
    assert await dump() == {}
    session = await manager.create_session("user_1", "agent_1")
    before = await dump()
    await manager.get_session(session.session_id)
    await manager.session_exists(session.session_id)
    await manager.get_session("sess_unknown")
    assert await dump() == before
