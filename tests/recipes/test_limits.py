"""`enforce_session_limit`: at most so many remain, the oldest go, and never a locked one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sessionstream import SessionManager
from sessionstream.errors import InvalidArgument, InvalidType
from sessionstream.recipes import enforce_session_limit
from tests.recipes.conftest import MakeActor, MakeManager


@pytest.fixture
async def six(manager: SessionManager) -> None:
    """Six sessions of one user, sess_1 the oldest, and one of another."""
    for number in range(1, 7):
        await manager.create_session("user_1", "agent_1", session_id=f"sess_{number}")
    await manager.create_session("user_2", "agent_1", session_id="other")


async def _left(manager: SessionManager) -> list[str]:
    return [session.session_id for session in reversed(await manager.get_sessions_by_user("user_1"))]


@pytest.mark.usefixtures("six")
async def test_the_oldest_are_deleted_until_so_many_remain(manager: SessionManager) -> None:
    """Their ids are returned, oldest first; a second call finds nothing to do, and other users keep theirs."""
    assert await enforce_session_limit(manager, "user_1", 4) == ["sess_1", "sess_2"]
    assert await _left(manager) == ["sess_3", "sess_4", "sess_5", "sess_6"]
    assert await enforce_session_limit(manager, "user_1", 4) == []
    assert await manager.session_exists("other")


@pytest.mark.usefixtures("six")
async def test_five_may_remain_unless_the_caller_says_otherwise(manager: SessionManager) -> None:
    """As in the first document."""
    assert await enforce_session_limit(manager, "user_1") == ["sess_1"]
    assert await enforce_session_limit(manager, "user_1", max_sessions=0) == [f"sess_{n}" for n in range(2, 7)]


async def test_a_user_without_sessions_has_none_to_delete(manager: SessionManager) -> None:
    """An unknown user is no error."""
    assert await enforce_session_limit(manager, "user_1", 0) == []


@pytest.mark.usefixtures("six")
async def test_a_locked_session_is_never_deleted(manager: SessionManager, make_manager: MakeManager) -> None:
    """The next oldest goes instead, whether another process or the running task holds the lock."""
    other = make_manager()
    lock = await other.acquire_lock("sess_1")
    async with manager.lock("sess_2"):
        assert await enforce_session_limit(manager, "user_1", 4) == ["sess_3", "sess_4"]
    assert await _left(manager) == ["sess_1", "sess_2", "sess_5", "sess_6"]
    await other.release_lock("sess_1", lock)


@pytest.mark.usefixtures("six")
async def test_more_remain_if_more_are_locked(manager: SessionManager) -> None:
    """The others are deleted all the same."""
    async with manager.lock("sess_1"), manager.lock("sess_6"):
        assert await enforce_session_limit(manager, "user_1", 1) == ["sess_2", "sess_3", "sess_4", "sess_5"]
    assert await _left(manager) == ["sess_1", "sess_6"]


async def test_a_lock_that_is_acquired_meanwhile_protects(make_manager: MakeManager) -> None:
    """Whoever acquires the lock of a session finds it alive until the lock is released."""
    enforcer, worker = make_manager(), make_manager()

    async def work(session_id: str) -> bool | None:
        try:
            async with worker.lock(session_id, timeout=0):
                for _ in range(5):
                    if not await worker.session_exists(session_id):
                        return False
        except (TimeoutError, ValueError):
            return None
        return True

    seen: set[bool | None] = set()
    for turn in range(15):
        ids = [f"sess_{turn}_{n}" for n in range(4)]
        for session_id in ids:
            await worker.create_session("user_1", "agent_1", session_id=session_id)
        limit = asyncio.create_task(enforce_session_limit(enforcer, "user_1", 0))
        seen.update(await asyncio.gather(*(work(session_id) for session_id in ids)))
        await limit
        await enforce_session_limit(enforcer, "user_1", 0)
    assert False not in seen
    assert True in seen


async def test_two_calls_at_once_delete_no_more_than_one_would(manager: SessionManager, make_actor: MakeActor) -> None:
    """In three processes: what one has deleted or is just deleting, the others do not make up for."""
    actors = [await make_actor() for _ in range(3)]
    for turn in range(10):
        ids = [f"sess_{turn}_{n}" for n in range(7)]
        for session_id in ids:
            await manager.create_session("user_1", "agent_1", session_id=session_id)
        for actor in actors:
            actor.say("limit", "user_1", "5")
        deleted = [session_id for actor in actors for session_id in await actor.hear()]
        assert sorted(deleted) == ids[:2]
        assert await _left(manager) == ids[2:]
        await manager.delete_user_sessions("user_1")


@pytest.mark.parametrize(("given", "error"), [(-1, InvalidArgument), ("5", InvalidType), (True, InvalidType)])
async def test_the_limit_is_a_count(manager: SessionManager, given: Any, error: type[Exception]) -> None:
    """Anything else is refused."""
    with pytest.raises(error, match="max_sessions"):
        await enforce_session_limit(manager, "user_1", given)
