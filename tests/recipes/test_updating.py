"""`safe_session_update`: a session is read, changed and written while nobody else does."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sessionstream import CachedSessionManager, LockLost, LockTimeout, Session, SessionManager, SessionNotFound
from sessionstream.errors import InvalidType
from sessionstream.recipes import safe_session_update
from tests.recipes.conftest import MakeManager


@pytest.fixture
async def session(manager: SessionManager) -> Session:
    """A session with a counter."""
    return await manager.create_session("user_1", "agent_1", {"count": 0}, session_id="sess_1")


def _count(session: Session) -> Session:
    session.metadata["count"] += 1
    return session


async def _count_slowly(session: Session) -> Session:
    await asyncio.sleep(0)
    return _count(session)


async def test_an_async_function_changes_the_session(manager: SessionManager, session: Session) -> None:
    """What it returns is written, and the session is returned as it is then."""
    updated = await safe_session_update(manager, "sess_1", _count_slowly)
    assert updated.metadata == {"count": 1}
    assert await manager.get_session("sess_1") == updated


async def test_a_plain_function_will_do(manager: SessionManager, session: Session) -> None:
    """It need not be async."""
    assert (await safe_session_update(manager, "sess_1", _count)).metadata == {"count": 1}


@pytest.mark.parametrize("kind", [SessionManager, CachedSessionManager])
async def test_no_update_is_lost(make_manager: MakeManager, session: Session, kind: type[SessionManager]) -> None:
    """Three managers, ten tasks each: thirty counts, also where reads are cached."""
    managers = [make_manager(kind) for _ in range(3)]
    for manager in managers:
        await manager.get_session("sess_1")
    await asyncio.gather(*(safe_session_update(managers[n % 3], "sess_1", _count_slowly) for n in range(30)))
    counted = await make_manager().get_session("sess_1")
    assert counted is not None
    assert counted.metadata == {"count": 30}


async def test_the_lock_is_held_while_the_function_runs_and_not_after(
    manager: SessionManager, make_manager: MakeManager, session: Session
) -> None:
    """Another manager cannot acquire it meanwhile."""
    other = make_manager()

    async def look(session: Session) -> Session:
        with pytest.raises(LockTimeout):
            await other.acquire_lock("sess_1", timeout=0)
        return session

    await safe_session_update(manager, "sess_1", look)
    await other.release_lock("sess_1", await other.acquire_lock("sess_1", timeout=0))


async def test_what_the_function_raises_goes_on_and_nothing_is_written(
    manager: SessionManager, make_manager: MakeManager, session: Session
) -> None:
    """The very exception, and the lock is free again."""
    boom = RuntimeError("boom")

    def fail(session: Session) -> Session:
        session.metadata["count"] = 99
        raise boom

    with pytest.raises(RuntimeError) as raised:
        await safe_session_update(manager, "sess_1", fail)
    assert raised.value is boom
    assert await manager.get_session("sess_1") == session
    await make_manager().acquire_lock("sess_1", timeout=0)


async def test_who_lost_the_lock_writes_nothing(
    manager: SessionManager, make_manager: MakeManager, session: Session
) -> None:
    """The next holder's change stands; the late one is refused, though it is of another field."""
    other = make_manager()

    async def overtake() -> None:
        async with other.lock("sess_1"):
            await other.update_session_metadata("sess_1", {"other": 50})

    async def dawdle(session: Session) -> Session:
        await asyncio.create_task(overtake())
        return _count(session)

    with pytest.raises(LockLost):
        await safe_session_update(manager, "sess_1", dawdle, lease=0.05, max_hold=0)
    after = await other.get_session("sess_1")
    assert after is not None
    assert after.metadata == {"count": 0, "other": 50}


async def test_what_the_function_raises_is_not_hidden_by_a_lost_lock(
    manager: SessionManager, make_manager: MakeManager, session: Session
) -> None:
    """Both went wrong; the function's own error is what the caller must know."""
    other = make_manager()

    async def dawdle(session: Session) -> Session:
        await asyncio.create_task(other.acquire_lock("sess_1"))
        raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        await safe_session_update(manager, "sess_1", dawdle, lease=0.05, max_hold=0)


async def test_a_lock_that_stays_held_is_waited_for_so_long(
    manager: SessionManager, make_manager: MakeManager, session: Session
) -> None:
    """The options are those of the lock."""
    await make_manager().acquire_lock("sess_1")
    with pytest.raises(LockTimeout):
        await safe_session_update(manager, "sess_1", _count, timeout=0.01)


async def test_a_function_that_returns_nothing_is_refused(manager: SessionManager, session: Session) -> None:
    """As `update_session` refuses None; nothing is written."""
    with pytest.raises(TypeError) as refused:
        await safe_session_update(manager, "sess_1", lambda session: None)  # type: ignore[arg-type]
    assert isinstance(refused.value, InvalidType)
    assert await manager.get_session("sess_1") == session


@pytest.mark.parametrize("end", [False, True])
async def test_a_session_that_is_not_there_is_not_found(manager: SessionManager, end: bool) -> None:
    """Unknown or ended; the function is not called."""
    called: list[Any] = []
    if end:
        await manager.create_session("user_1", "agent_1", session_id="sess_1")
        await manager.delete_session("sess_1")
    with pytest.raises(SessionNotFound):
        await safe_session_update(manager, "sess_1", called.append)  # type: ignore[arg-type]
    assert called == []


async def test_what_is_no_function_is_refused(manager: SessionManager, session: Session) -> None:
    """Before anything is locked."""
    with pytest.raises(InvalidType, match="update_func"):
        await safe_session_update(manager, "sess_1", session)  # type: ignore[arg-type]
