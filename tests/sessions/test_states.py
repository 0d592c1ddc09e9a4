"""States: set and read, by any enum or string, and what each of them means (G6, G11)."""

from __future__ import annotations

import asyncio
import enum
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import (
    ConflictError,
    MessageAdded,
    SessionEnded,
    SessionManager,
    SessionNotFound,
    SessionState,
    StateChanged,
)
from sessionstream.errors import InvalidArgument, InvalidType, SessionArchived
from tests.sessions.conftest import Dump, MakeManager
from tests.sessions.waiting import expired_session


class _Enum(enum.Enum):
    WAITING = "idle"


class _StrEnum(enum.StrEnum):
    WAITING = "idle"


class _Mixed(str, enum.Enum):  # noqa: UP042 - as enums of strings were written before Python 3.11
    WAITING = "idle"


async def _types(manager: SessionManager, session_id: str) -> list[str]:
    return [event.type async for event in manager.history(session_id, from_version=2)]


async def test_a_new_session_is_active(manager: SessionManager, session_id: str) -> None:
    """Until somebody says otherwise."""
    assert await manager.get_session_state(session_id) is SessionState.ACTIVE


@pytest.mark.parametrize("state", [SessionState.IDLE, _Enum.WAITING, _StrEnum.WAITING, _Mixed.WAITING, "idle"])
async def test_a_state_is_any_enum_or_string_of_its_value(manager: SessionManager, session_id: str, state: Any) -> None:
    """What is read is always the library's own."""
    assert await manager.set_session_state(session_id, state) is True
    assert await manager.get_session_state(session_id) is SessionState.IDLE
    session = await manager.get_session(session_id)
    assert session is not None
    assert session.state is SessionState.IDLE
    [event] = [event.data async for event in manager.history(session_id, from_version=2)]
    assert event == StateChanged(state="idle")


@pytest.mark.parametrize("state", ["deleted", "IDLE", "", "sleeping"])
async def test_an_unknown_state_is_refused(manager: SessionManager, session_id: str, dump: Dump, state: str) -> None:
    """The error names the four."""
    before = await dump()
    with pytest.raises(InvalidArgument, match="active, idle, archived, expired"):
        await manager.set_session_state(session_id, state)
    assert await dump() == before


@pytest.mark.parametrize("state", [None, 1, enum.Enum("Number", {"ONE": 1}).ONE, SessionState])  # type: ignore[attr-defined]
async def test_a_state_of_another_type_is_refused(manager: SessionManager, session_id: str, state: Any) -> None:
    """It is neither an enum with a string nor a string."""
    with pytest.raises(InvalidType, match="state"):
        await manager.set_session_state(session_id, state)


@pytest.mark.parametrize("state", ["active", "idle", "archived"])
async def test_setting_the_same_state_appends_nothing(
    manager: SessionManager, session_id: str, dump: Dump, state: str
) -> None:
    """It says False: there was nothing to change."""
    await manager.set_session_state(session_id, state)
    before = await dump()
    assert await manager.set_session_state(session_id, state) is False
    assert await dump() == before


async def test_setting_one_state_many_times_at_once_appends_one_event(make_manager: MakeManager) -> None:
    """Whoever comes second finds it set."""
    managers = [make_manager() for _ in range(3)]
    await managers[0].create_session("user_1", "agent_1", session_id="sess_1")
    done = await asyncio.gather(*(managers[n % 3].set_session_state("sess_1", "idle") for n in range(12)))
    assert sorted(done) == [False] * 11 + [True]
    assert await _types(managers[0], "sess_1") == ["session.state_changed"]


async def test_an_unknown_or_deleted_session_has_no_state(manager: SessionManager, session_id: str) -> None:
    """None, and setting one is an error."""
    assert await manager.get_session_state("sess_unknown") is None
    with pytest.raises(SessionNotFound):
        await manager.set_session_state("sess_unknown", "idle")
    await manager.delete_session(session_id)
    assert await manager.get_session_state(session_id) is None
    for state in ("active", "expired"):
        with pytest.raises(SessionEnded, match="deleted"):
            await manager.set_session_state(session_id, state)
    assert await _types(manager, session_id) == ["session.deleted"]


async def test_an_expired_session_is_expired_before_and_after_it_is_swept(
    manager: SessionManager, client: Redis
) -> None:
    """Whatever its state was, and it stays so."""
    session_id = (await expired_session(manager, client)).session_id
    for _ in range(2):
        assert await manager.get_session_state(session_id) is SessionState.EXPIRED
        with pytest.raises(SessionEnded, match="expired"):
            await manager.set_session_state(session_id, "active")
        assert await manager.set_session_state(session_id, "expired") is False
        await manager.cleanup_expired_sessions()
    assert await _types(manager, session_id) == ["session.expired"]


async def test_expired_ends_the_session(manager: SessionManager, session_id: str) -> None:
    """As its time would have: it is no longer found, and a sweep finds nothing to do."""
    assert await manager.set_session_state(session_id, SessionState.EXPIRED) is True
    assert await manager.get_session_state(session_id) is SessionState.EXPIRED
    assert await manager.get_session(session_id) is None
    assert await manager.get_sessions_by_user("user_1") == []
    assert await manager.get_expired_session_count() == 1
    assert await manager.cleanup_expired_sessions() == 0
    with pytest.raises(SessionEnded, match="expired"):
        await manager.append(session_id, MessageAdded(role="user", content="late"))
    assert await _types(manager, session_id) == ["session.expired"]


async def test_an_archived_session_refuses_runtime_events_until_it_is_active(
    manager: SessionManager, session_id: str
) -> None:
    """It takes none while it is archived, and all of them again afterwards."""
    message = MessageAdded(role="user", content="Hi")
    await manager.set_session_state(session_id, "archived")
    with pytest.raises(SessionArchived, match="ACTIVE"):
        await manager.append(session_id, message)
    with pytest.raises(SessionArchived):
        await manager.add_messages(session_id, {"role": "user", "content": "Hi"})
    assert await manager.messages(session_id) == []
    await manager.set_session_state(session_id, "active")
    await manager.append(session_id, message)
    assert await manager.messages(session_id) == [{"role": "user", "content": "Hi"}]


async def test_an_archived_session_is_still_kept_in_order(manager: SessionManager, session_id: str) -> None:
    """Its metadata, checkpoints and expiry may change: those are not what the agent says or does."""
    await manager.set_session_state(session_id, "archived")
    await manager.update_session_metadata(session_id, {"why": "done"})
    checkpoint_id = await manager.save_checkpoint(session_id, {"turn": 1})
    assert await manager.delete_checkpoint(session_id, checkpoint_id)
    assert await manager.refresh_session(session_id)
    assert await manager.get_session_state(session_id) is SessionState.ARCHIVED


async def test_an_idle_session_takes_events_and_stays_idle(manager: SessionManager, session_id: str) -> None:
    """Only `set_session_state` makes it active."""
    await manager.set_session_state(session_id, "idle")
    await manager.append(session_id, MessageAdded(role="user", content="Hi"))
    assert await manager.get_session_state(session_id) is SessionState.IDLE


async def test_a_state_may_be_set_only_if_nothing_else_happened(manager: SessionManager, session_id: str) -> None:
    """The expected version is the last that the caller knows of."""
    await manager.append(session_id, MessageAdded(role="user", content="Hi"))
    with pytest.raises(ConflictError) as caught:
        await manager.set_session_state(session_id, "idle", expected_version=1)
    assert (caught.value.expected, caught.value.actual) == (1, 2)
    assert await manager.get_session_state(session_id) is SessionState.ACTIVE
    assert await manager.set_session_state(session_id, "idle", expected_version=2) is True
