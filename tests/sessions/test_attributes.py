"""What a session is to its caller: attributes, aware times, and values that may be changed."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime, timedelta

from redis.asyncio import Redis

from sessionstream import MessageAdded, Session, SessionManager, SessionState
from tests.sessions.waiting import now_ms, until_past


async def test_a_session_has_its_attributes(manager: SessionManager, client: Redis) -> None:
    """The ids as given, the times from the server's clock, and one event."""
    before = await now_ms(client)
    session = await manager.create_session("user_1", "agent_1", {"tier": "premium"}, session_id="sess_1", ttl=90)
    after = await now_ms(client)
    assert (session.session_id, session.user_id, session.agent_id) == ("sess_1", "user_1", "agent_1")
    assert session.metadata == {"tier": "premium"}
    assert before <= round(session.created_at.timestamp() * 1000) <= after
    assert session.expires_at == session.created_at + timedelta(seconds=90)
    assert (session.state, session.version) == (SessionState.ACTIVE, 1)
    assert session.last_event_at == session.created_at


async def test_all_times_are_aware_and_in_utc(manager: SessionManager) -> None:
    """They compare with ``datetime.now(UTC)``, wherever the caller is."""
    session = await manager.create_session("user_1", "agent_1", ttl=60)
    for moment in (session.created_at, session.expires_at, session.last_event_at):
        assert moment is not None
        assert moment.tzinfo is UTC
        assert abs(moment - datetime.now(UTC)) < timedelta(minutes=5)


async def test_a_session_without_a_time_to_live_has_no_expiry(manager: SessionManager) -> None:
    """None, not a date far away."""
    session = await manager.create_session("user_1", "agent_1")
    assert session.expires_at is None


async def test_metadata_is_never_none(manager: SessionManager) -> None:
    """Without any it is an empty dict, at once and when it is read."""
    for session in (
        await manager.create_session("user_1", "agent_1", session_id="sess_1"),
        await manager.get_session("sess_1"),
        (await manager.get_sessions_by_user("user_1"))[0],
    ):
        assert session is not None
        assert session.metadata == {}


async def test_what_create_returns_is_what_is_read(manager: SessionManager) -> None:
    """Down to the last attribute."""
    session = await manager.create_session("user_1", "agent_1", {"a": [1, {"b": None}]}, ttl=60)
    assert await manager.get_session(session.session_id) == session


async def test_version_and_last_event_follow_the_history(manager: SessionManager, client: Redis) -> None:
    """Each event makes the version one more, and its time the time of the last event."""
    created = await manager.create_session("user_1", "agent_1", session_id="sess_1")
    await until_past(client, created.last_event_at)
    await manager.append("sess_1", [MessageAdded(role="user", content=str(n)) for n in range(3)])
    session = await manager.get_session("sess_1")
    assert session is not None
    events = [event async for event in manager.history("sess_1")]
    assert session.version == len(events) == 4
    assert session.last_event_at == events[-1].at
    assert session.created_at == events[0].at == created.created_at
    assert session.last_event_at is not None
    assert session.last_event_at > session.created_at


async def test_a_session_may_be_changed_and_only_update_session_tells(manager: SessionManager) -> None:
    """Its metadata and state are the caller's own; another read is not touched by them."""
    session = await manager.create_session("user_1", "agent_1", {"list": [1]}, session_id="sess_1")
    session.metadata["list"].append(2)
    session.state = SessionState.IDLE
    other = await manager.get_session("sess_1")
    assert other is not None
    assert (other.metadata, other.state) == ({"list": [1]}, SessionState.ACTIVE)


async def test_the_callers_metadata_stays_the_callers(manager: SessionManager) -> None:
    """What was given to create is not what the session holds."""
    given = {"list": [1]}
    session = await manager.create_session("user_1", "agent_1", given)
    given["list"].append(2)
    assert session.metadata == {"list": [1]}


async def test_a_session_can_be_copied_and_pickled(manager: SessionManager) -> None:
    """A copy is equal, and goes its own way; `update_session` takes it as it takes the session."""
    session = await manager.create_session("user_1", "agent_1", {"list": [1]}, session_id="sess_1")
    for copied in (copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))):
        twin = copied(session)
        assert twin == session
        assert type(twin) is Session
        twin.metadata["list"].append(twin.version)
        session = await manager.update_session("sess_1", twin)
        assert session.metadata == twin.metadata


async def test_the_printed_session_tells_its_values_once(manager: SessionManager) -> None:
    """What it was when it was read is not part of what is shown."""
    session = await manager.create_session("user_1", "agent_1", {"marker": 1})
    assert repr(session).count("marker") == 1
