"""Sessions are deleted: one, a user's, an agent's; as often as one likes (G12)."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from sessionstream import MessageAdded, SessionEnded, SessionManager, SessionNotFound
from tests.sessions.conftest import Dump, MakeManager
from tests.sessions.waiting import expired_session


async def test_a_session_is_deleted_once(manager: SessionManager, dump: Dump) -> None:
    """The first call ends it; another finds nothing to do, and writes nothing."""
    session = await manager.create_session("user_1", "agent_1")
    assert await manager.delete_session(session.session_id) is True
    before = await dump()
    assert await manager.delete_session(session.session_id) is False
    assert await dump() == before
    types = [event.type async for event in manager.history(session.session_id)]
    assert types == ["session.created", "session.deleted"]


async def test_what_is_not_there_is_not_deleted(manager: SessionManager, client: Redis, dump: Dump) -> None:
    """An unknown session and an expired one: False, never an error."""
    assert await manager.delete_session("sess_unknown") is False
    assert await manager.delete_session("sess_unknown", purge=True) is False
    session = await expired_session(manager, client)
    before = await dump()
    assert await manager.delete_session(session.session_id) is False
    assert await dump() == before


async def test_one_of_many_deletes_the_session(make_manager: MakeManager) -> None:
    """Of ten calls at once, from two processes, one ended it."""
    managers = [make_manager(), make_manager()]
    await managers[0].create_session("user_1", "agent_1", session_id="sess_1")
    done = await asyncio.gather(*(managers[n % 2].delete_session("sess_1") for n in range(10)))
    assert sorted(done) == [False] * 9 + [True]


async def test_a_deleted_session_refuses_late_writes(manager: SessionManager) -> None:
    """All of them, each with an error that is a `ValueError` and says why; its history stays."""
    session = await manager.create_session("user_1", "agent_1", session_id="sess_1")
    await manager.append("sess_1", MessageAdded(role="user", content="Hi"))
    await manager.delete_session("sess_1")
    writes = [
        manager.append("sess_1", MessageAdded(role="user", content="late")),
        manager.add_messages("sess_1", {"role": "user", "content": "late"}),
        manager.save_checkpoint("sess_1", {}),
        manager.update_session_metadata("sess_1", {"late": True}),
        manager.set_session_state("sess_1", "active"),
        manager.update_session("sess_1", session),
    ]
    for write in writes:
        with pytest.raises(SessionEnded, match="deleted") as caught:
            await write
        assert isinstance(caught.value, ValueError)
        assert caught.value.reason == "deleted"
    assert await manager.refresh_session("sess_1") is False
    types = [event.type async for event in manager.history("sess_1")]
    assert types == ["session.created", "message.added", "session.deleted"]


async def test_an_unknown_session_refuses_writes(manager: SessionManager, dump: Dump) -> None:
    """`SessionNotFound`, and nothing is written."""
    for write in (
        manager.append("sess_1", MessageAdded(role="user", content="Hi")),
        manager.save_checkpoint("sess_1", {}),
        manager.set_session_state("sess_1", "idle"),
    ):
        with pytest.raises(SessionNotFound, match="sess_1") as caught:
            await write
        assert caught.value.session_id == "sess_1"
        assert not isinstance(caught.value, SessionEnded)
    assert not [key for key in await dump() if b"sess_1" in key]


async def test_all_sessions_of_a_user_are_deleted(manager: SessionManager, client: Redis) -> None:
    """However many; those that are over, and other users', are not counted."""
    await asyncio.gather(*(manager.create_session("user_1", f"agent_{n}") for n in range(150)))
    await expired_session(manager, client)
    deleted = await manager.create_session("user_1", "agent_1")
    await manager.delete_session(deleted.session_id)
    other = await manager.create_session("user_2", "agent_1")
    assert await manager.delete_user_sessions("user_1") == 150
    assert await manager.delete_user_sessions("user_1") == 0
    assert await manager.delete_user_sessions("nobody") == 0
    assert await manager.get_sessions_by_user("user_1") == []
    assert await manager.session_exists(other.session_id)


async def test_all_sessions_of_an_agent_are_deleted(manager: SessionManager, client: Redis) -> None:
    """In whichever partition they lie; those that are over, and other agents', are not counted."""
    await asyncio.gather(*(manager.create_session(f"user_{n}", "agent_1") for n in range(150)))
    await expired_session(manager, client)
    other = await manager.create_session("user_1", "agent_2")
    assert await manager.delete_agent_sessions("agent_1") == 150
    assert await manager.delete_agent_sessions("agent_1") == 0
    assert await manager.delete_agent_sessions("nobody") == 0
    assert await manager.session_exists(other.session_id)


async def test_two_that_delete_a_users_sessions_count_each_once(make_manager: MakeManager) -> None:
    """Their counts sum up to the number of sessions."""
    managers = [make_manager(), make_manager()]
    await asyncio.gather(*(managers[0].create_session("user_1", "agent_1") for _ in range(40)))
    assert sum(await asyncio.gather(*(one.delete_user_sessions("user_1") for one in managers))) == 40


@pytest.mark.parametrize("state", ["idle", "archived"])
@pytest.mark.parametrize(
    ("method", "argument"),
    [("delete_session", "sess_1"), ("delete_user_sessions", "user_1"), ("delete_agent_sessions", "agent_1")],
)
async def test_a_session_in_any_state_is_deleted(
    manager: SessionManager, state: str, method: str, argument: str
) -> None:
    """By each of the three ways."""
    await manager.create_session("user_1", "agent_1", session_id="sess_1")
    await manager.set_session_state("sess_1", state)
    assert await getattr(manager, method)(argument) == 1
    assert not await manager.session_exists("sess_1")
