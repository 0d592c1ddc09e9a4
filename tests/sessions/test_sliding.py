"""``extend_on="append"``: what happens in a session keeps it alive (G11)."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from redis.asyncio import Redis

from sessionstream import MessageAdded, Session, SessionEnded, SessionManager, ToolCalled, UsageRecorded
from tests.sessions.conftest import MakeManager
from tests.sessions.waiting import expired_session, until_past


@pytest.fixture
def manager(make_manager: MakeManager) -> SessionManager:
    """Its sessions live for a minute after what happened last."""
    return make_manager(ttl=60, extend_on="append")


async def _created(manager: SessionManager, client: Redis, ttl: float | None = 60) -> Session:
    session = await manager.create_session("user_1", "agent_1", session_id="sess_1", ttl=ttl)
    await until_past(client, session.created_at)
    return session


async def _read(manager: SessionManager) -> Session:
    session = await manager.get_session("sess_1")
    assert session is not None
    return session


@pytest.mark.parametrize(
    "event", [MessageAdded(role="user", content="Hi"), ToolCalled(name="search"), UsageRecorded(input_tokens=1)]
)
async def test_a_runtime_event_lets_the_time_to_live_begin_anew(
    manager: SessionManager, client: Redis, event: object
) -> None:
    """At the moment of the event, with no event of its own."""
    before = await _created(manager, client)
    await manager.append("sess_1", event)
    session = await _read(manager)
    assert session.version == 2
    assert session.last_event_at is not None
    assert session.last_event_at > before.created_at
    assert session.expires_at == session.last_event_at + timedelta(seconds=60)


async def test_housekeeping_keeps_no_session_alive(manager: SessionManager, client: Redis) -> None:
    """Metadata and checkpoints are not what happens in a session."""
    before = await _created(manager, client)
    await manager.update_session_metadata("sess_1", {"a": 1})
    await manager.delete_checkpoint("sess_1", await manager.save_checkpoint("sess_1", {}))
    assert (await _read(manager)).expires_at == before.expires_at


async def test_a_session_slides_as_it_was_made_to(
    manager: SessionManager, make_manager: MakeManager, client: Redis
) -> None:
    """Whichever process appends: the way is the session's own."""
    await _created(manager, client)
    fixed = await make_manager(ttl=60).create_session("user_1", "agent_1", session_id="fixed")
    await until_past(client, fixed.created_at)
    for one in (manager, make_manager(ttl=3600)):
        await one.append("sess_1", MessageAdded(role="user", content="Hi"))
        await one.append("fixed", MessageAdded(role="user", content="Hi"))
    session, same = await _read(manager), await manager.get_session("fixed")
    assert session.last_event_at is not None
    assert session.expires_at == session.last_event_at + timedelta(seconds=60)
    assert same is not None
    assert same.expires_at == fixed.expires_at


async def test_a_session_without_a_time_to_live_gets_none(manager: SessionManager, client: Redis) -> None:
    """There is nothing that could slide."""
    await _created(manager, client, ttl=None)
    await manager.append("sess_1", MessageAdded(role="user", content="Hi"))
    assert (await _read(manager)).expires_at is None


async def test_a_session_whose_time_is_over_is_not_kept_alive(manager: SessionManager, client: Redis) -> None:
    """The late event is refused."""
    session = await expired_session(manager, client)
    with pytest.raises(SessionEnded, match="expired"):
        await manager.append(session.session_id, MessageAdded(role="user", content="late"))
    assert await manager.cleanup_expired_sessions() == 1


@pytest.mark.parametrize("state", ["active", "idle"])
async def test_a_session_that_slid_is_neither_swept_nor_counted(
    manager: SessionManager, client: Redis, state: str
) -> None:
    """Its first expiry is forgotten wherever it was noted."""
    session = await _created(manager, client, ttl=2)
    await manager.set_session_state("sess_1", state)
    await until_past(client, session.created_at + timedelta(seconds=1))
    await manager.append("sess_1", MessageAdded(role="user", content="Hi"))
    await until_past(client, session.expires_at)
    assert await manager.cleanup_expired_sessions() == 0
    assert await manager.get_expired_session_count() == 0
    assert await manager.get_active_session_count() == (1 if state == "active" else 0)
    assert (await _read(manager)).state.value == state


async def test_expected_versions_hold_for_appends_of_one_turn(manager: SessionManager) -> None:
    """Each builds on the one called before it, also where the time to live slides."""
    await manager.create_session("user_1", "agent_1", session_id="sess_1")
    appends = (
        manager.append("sess_1", MessageAdded(role="user", content="Hi"), expected_version=version)
        for version in (1, 2, 3)
    )
    assert [appended.version for appended in await asyncio.gather(*appends)] == [2, 3, 4]
