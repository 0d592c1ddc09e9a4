"""`refresh_session`: the session's own time to live begins anew, and nothing comes back to life (G12)."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from redis.asyncio import Redis

from sessionstream import Session, SessionManager
from tests.sessions.conftest import Dump, MakeManager
from tests.sessions.waiting import expired_session, until_past


async def _read(manager: SessionManager, session_id: str) -> Session:
    session = await manager.get_session(session_id)
    assert session is not None
    return session


async def test_the_time_to_live_begins_anew(manager: SessionManager, client: Redis) -> None:
    """From the moment of the refresh, by the server's clock."""
    created = await manager.create_session("user_1", "agent_1", session_id="sess_1", ttl=60)
    await until_past(client, created.created_at)
    assert await manager.refresh_session("sess_1") is True
    session = await _read(manager, "sess_1")
    assert session.last_event_at is not None
    assert session.last_event_at > created.created_at
    assert session.expires_at == session.last_event_at + timedelta(seconds=60)


async def test_the_time_to_live_is_the_sessions_own(make_manager: MakeManager) -> None:
    """Not the manager's that refreshes it, nor one that an update left over."""
    await make_manager(ttl=60).create_session("user_1", "agent_1", session_id="sess_1", ttl=7)
    other = make_manager(ttl=3600)
    session = await _read(other, "sess_1")
    assert session.expires_at is not None
    session.expires_at += timedelta(hours=5)
    await other.update_session("sess_1", session)
    await other.refresh_session("sess_1")
    session = await _read(other, "sess_1")
    assert session.last_event_at is not None
    assert session.expires_at == session.last_event_at + timedelta(seconds=7)


async def test_a_session_without_a_time_to_live_needs_no_refresh(manager: SessionManager, dump: Dump) -> None:
    """It is there, and nothing is appended."""
    await manager.create_session("user_1", "agent_1", session_id="sess_1")
    before = await dump()
    assert await manager.refresh_session("sess_1") is True
    assert await dump() == before


@pytest.mark.parametrize("end", ["unknown", "deleted", "lapsed", "swept", "set expired"])
async def test_nothing_is_revived(manager: SessionManager, client: Redis, dump: Dump, end: str) -> None:
    """What is over stays over, and the refresh says so."""
    if end in ("lapsed", "swept"):
        await expired_session(manager, client, session_id="sess_1")
        assert await manager.cleanup_expired_sessions() == 1 if end == "swept" else True
    elif end != "unknown":
        await manager.create_session("user_1", "agent_1", session_id="sess_1", ttl=60)
        await (manager.delete_session("sess_1") if end == "deleted" else manager.set_session_state("sess_1", "expired"))
    before = await dump()
    assert await manager.refresh_session("sess_1") is False
    assert await dump() == before
    assert await manager.get_session("sess_1") is None


async def test_a_refreshed_session_is_not_swept(manager: SessionManager, client: Redis) -> None:
    """Its old expiry is forgotten by the sweeper and by the counts."""
    session = await manager.create_session("user_1", "agent_1", ttl=2)
    idle = await manager.create_session("user_1", "agent_1", ttl=2)
    await manager.set_session_state(idle.session_id, "idle")
    for one in (session, idle):
        longer = await _read(manager, one.session_id)
        assert longer.expires_at is not None
        longer.expires_at += timedelta(hours=1)
        await manager.update_session(one.session_id, longer)
    await until_past(client, session.expires_at)
    assert await manager.cleanup_expired_sessions() == 0
    assert await manager.get_expired_session_count() == 0
    assert await manager.get_active_session_count() == 1


async def test_refresh_and_sweep_agree_on_the_end(make_manager: MakeManager, client: Redis) -> None:
    """When both come at the last moment, a session is either refreshed and alive, or swept and over."""
    manager, sweeper = make_manager(), make_manager()
    ids = [f"sess_{n}" for n in range(40)]
    sessions = await asyncio.gather(
        *(manager.create_session("user_1", "agent_1", session_id=one, ttl=0.05 + n / 1000) for n, one in enumerate(ids))
    )
    await until_past(client, sessions[20].expires_at)
    *refreshed, swept = await asyncio.gather(
        *(manager.refresh_session(one) for one in ids), sweeper.cleanup_expired_sessions()
    )
    assert refreshed[0] is False
    for session_id, fresh in zip(ids, refreshed, strict=True):
        types = [event.type async for event in manager.history(session_id)]
        assert ("session.refreshed" in types) is fresh
        assert not (fresh and "session.expired" in types and types[-1] != "session.expired")
    assert swept <= len(ids)
