"""`CachedSessionManager`: what a hit gives, what it costs, and how many sessions are kept."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import CachedSessionManager, ConflictError, MessageAdded, Session, SessionManager, SessionState
from sessionstream.errors import InvalidArgument, InvalidType
from tests.recipes.conftest import Commands, MakeManager
from tests.sessions.waiting import until_past


async def _read(manager: SessionManager, session_id: str = "sess_1") -> Session:
    session = await manager.get_session(session_id)
    assert session is not None
    return session


@pytest.mark.not_on("cluster", reason="a cache keeps nothing on a Cluster: every read goes to the server")
async def test_a_hit_sends_no_command(
    cached: CachedSessionManager, manager: SessionManager, commands: Commands
) -> None:
    """A thousand reads of a session that was read leave the server's count as it was."""
    await manager.create_session("user_1", "agent_1", {"language": "zh-CN"}, session_id="sess_1")
    first = await _read(cached)
    before = await commands()
    for _ in range(1_000):
        assert await cached.get_session("sess_1") == first
    assert await commands() == before


async def test_a_miss_is_read_from_the_server(
    cached: CachedSessionManager, manager: SessionManager, commands: Commands
) -> None:
    """The count that stands still for hits does move for a first read, which gives what any manager reads."""
    await manager.create_session("user_1", "agent_1", {"language": "zh-CN"}, session_id="sess_1", ttl=60)
    before = await commands()
    assert await cached.get_session("sess_1") == await manager.get_session("sess_1")
    assert await commands() > before


async def test_a_session_that_does_not_exist_is_none_until_it_does(
    cached: CachedSessionManager, manager: SessionManager
) -> None:
    """That there is none is not kept."""
    assert await cached.get_session("sess_1") is None
    await manager.create_session("user_1", "agent_1", session_id="sess_1")
    assert await cached.get_session("sess_1") is not None


async def test_changing_a_copy_changes_no_other(cached: CachedSessionManager, manager: SessionManager) -> None:
    """What a caller does to its session, deep inside too, is not what the next one reads."""
    await manager.create_session("user_1", "agent_1", {"list": [1]}, session_id="sess_1")
    await _read(cached)
    copy = await _read(cached)
    copy.metadata["list"].append(2)
    copy.metadata["new"] = True
    copy.state = SessionState.IDLE
    again = await _read(cached)
    assert (again.metadata, again.state) == ({"list": [1]}, SessionState.ACTIVE)


async def test_a_hit_can_be_changed_and_given_to_update_session(
    cached: CachedSessionManager, manager: SessionManager
) -> None:
    """It knows what was read, so only the difference is appended."""
    await manager.create_session("user_1", "agent_1", {"a": 1, "b": 1}, session_id="sess_1")
    await _read(cached)
    hit = await _read(cached)
    hit.metadata["a"] = 2
    await manager.update_session_metadata("sess_1", {"b": 2})
    await cached.update_session("sess_1", hit)
    assert (await _read(manager)).metadata == {"a": 2, "b": 2}


async def test_a_hit_that_somebody_overtook_conflicts(cached: CachedSessionManager, manager: SessionManager) -> None:
    """The same field changed by another manager since the copy was made is not overwritten."""
    await manager.create_session("user_1", "agent_1", {"a": 1}, session_id="sess_1")
    await _read(cached)
    hit = await _read(cached)
    hit.metadata["a"] = 2
    await manager.update_session_metadata("sess_1", {"a": 3})
    with pytest.raises(ConflictError):
        await cached.update_session("sess_1", hit)


@pytest.mark.not_on("cluster", reason="a cache keeps nothing on a Cluster: every read goes to the server")
async def test_an_expired_session_is_none_on_a_hit_too(
    cached: CachedSessionManager, manager: SessionManager, client: Redis, commands: Commands
) -> None:
    """It was a hit while it lived, nobody has swept it, and by the server's clock its time is over."""
    session = await manager.create_session("user_1", "agent_1", session_id="sess_1", ttl=0.5)
    await _read(cached)
    before = await commands()
    await _read(cached)
    assert await commands() == before
    await until_past(client, session.expires_at)
    assert await cached.get_session("sess_1") is None


@pytest.mark.not_on("cluster", reason="a cache keeps nothing on a Cluster: every read goes to the server")
async def test_the_sessions_used_last_are_kept(
    make_manager: MakeManager, manager: SessionManager, commands: Commands
) -> None:
    """Of three sessions two are kept: the one that was read, and read again, and the last one."""
    cached: CachedSessionManager = make_manager(CachedSessionManager, cache_size=2)
    for session_id in ("sess_1", "sess_2", "sess_3"):
        await manager.create_session("user_1", "agent_1", session_id=session_id)
    for session_id in ("sess_1", "sess_2", "sess_1", "sess_3"):
        await _read(cached, session_id)
    before = await commands()
    await _read(cached, "sess_1")
    await _read(cached, "sess_3")
    assert await commands() == before
    await _read(cached, "sess_2")
    assert await commands() > before


@pytest.mark.parametrize(("size", "error"), [(0, InvalidArgument), ("1", InvalidType), (True, InvalidType)])
def test_a_cache_keeps_at_least_one_session(size: Any, error: type[Exception]) -> None:
    """Any other size is refused when the manager is made."""
    with pytest.raises(error, match="cache_size"):
        CachedSessionManager(url="redis://localhost", cache_size=size)


async def test_a_malformed_id_is_refused_as_by_any_manager(cached: CachedSessionManager) -> None:
    """By reads, and by changes, whose own error is not hidden by what the cache does afterwards."""
    with pytest.raises(InvalidArgument, match="session_id"):
        await cached.get_session("")
    for session_id in ("", "\ud800", 7):
        with pytest.raises(InvalidArgument, match="session_id"):
            await cached.update_session_metadata(session_id, {"a": 1})  # type: ignore[arg-type]


# Own changes

_CHANGES: dict[str, Any] = {
    "add_messages": lambda manager: manager.add_messages("sess_1", {"role": "user", "content": "Hi"}),
    "append": lambda manager: manager.append("sess_1", MessageAdded(role="user", content="Hi")),
    "clear_checkpoints": lambda manager: manager.clear_checkpoints("sess_1"),
    "delete_agent_sessions": lambda manager: manager.delete_agent_sessions("agent_1"),
    "delete_checkpoint": lambda manager: manager.delete_checkpoint("sess_1", "ckpt_1"),
    "delete_session": lambda manager: manager.delete_session("sess_1"),
    "delete_user_sessions": lambda manager: manager.delete_user_sessions("user_1"),
    "erase_user": lambda manager: manager.erase_user("user_1"),
    "pop_messages": lambda manager: manager.pop_messages("sess_1"),
    "refresh_session": lambda manager: manager.refresh_session("sess_1"),
    "save_checkpoint": lambda manager: manager.save_checkpoint("sess_1", {"turn": 1}),
    "set_session_state": lambda manager: manager.set_session_state("sess_1", "idle"),
    "update_session_metadata": lambda manager: manager.update_session_metadata("sess_1", {"a": 2}),
}
_NOT_OF_A_LIVE_SESSION = {
    "acquire_lock", "aclose", "cleanup_expired_sessions", "create_session", "publish", "rebuild", "release_lock",
    "update_session",
}  # fmt: skip


@pytest.mark.parametrize("name", _CHANGES)
async def test_an_own_change_is_seen_at_once(cached: CachedSessionManager, manager: SessionManager, name: str) -> None:
    """Again and again, the first read after the call gives what a manager without a cache reads."""
    for _ in range(20):
        await manager.create_session("user_1", "agent_1", {"a": 1}, session_id="sess_1", ttl=60)
        await manager.save_checkpoint("sess_1", {}, checkpoint_id="ckpt_1")
        await manager.add_messages("sess_1", {"role": "user", "content": "Hi"})
        primed = await _read(cached)
        await _CHANGES[name](cached)
        seen = await cached.get_session("sess_1")
        assert seen != primed
        assert seen == await manager.get_session("sess_1")
        await manager.delete_session("sess_1", purge=True)


async def test_update_session_is_seen_at_once(cached: CachedSessionManager, manager: SessionManager) -> None:
    """As the first document's own cache has it."""
    await manager.create_session("user_1", "agent_1", session_id="sess_1")
    for turn in range(100):
        session = await _read(cached)
        session.metadata["turn"] = turn
        await cached.update_session("sess_1", session)
        assert (await _read(cached)).metadata == {"turn": turn}


@pytest.mark.not_on("cluster", reason="a cache keeps nothing on a Cluster: every read goes to the server")
async def test_a_change_and_a_read_leave_a_hit(
    cached: CachedSessionManager, manager: SessionManager, commands: Commands
) -> None:
    """The server's message about the own change does not undo the read that came after it."""
    await manager.create_session("user_1", "agent_1", session_id="sess_1")
    await _read(cached)
    await cached.update_session_metadata("sess_1", {"a": 1})
    await _read(cached)
    before = await commands()
    assert (await _read(cached)).metadata == {"a": 1}
    assert await commands() == before


async def test_a_session_created_anew_under_its_id_is_seen_at_once(
    cached: CachedSessionManager, manager: SessionManager
) -> None:
    """After another manager has purged the one that was kept."""
    await manager.create_session("user_1", "agent_1", {"life": 1}, session_id="sess_1")
    for life in range(2, 30):
        await _read(cached)
        await manager.delete_session("sess_1", purge=True)
        await cached.create_session("user_1", "agent_1", {"life": life}, session_id="sess_1")
        assert (await _read(cached)).metadata == {"life": life}


def test_every_method_that_changes_a_session_is_held_to_it() -> None:
    """A method that is new to the manager is listed here, or it reads."""
    reads = ("get_", "list_", "session_exists", "messages", "resume")
    methods = {name for name, _ in inspect.getmembers(SessionManager, inspect.iscoroutinefunction) if name[0] != "_"}
    assert {name for name in methods if not name.startswith(reads)} == {*_CHANGES, *_NOT_OF_A_LIVE_SESSION}


async def test_a_change_during_a_read_of_the_same_process_is_not_lost(
    cached: CachedSessionManager, manager: SessionManager
) -> None:
    """A read that was sent before an own change was answered is not kept."""
    await manager.create_session("user_1", "agent_1", session_id="sess_1")
    for turn in range(200):
        await asyncio.gather(
            cached.get_session("sess_1"),
            cached.update_session_metadata("sess_1", {"turn": turn}),
            cached.get_session("sess_1"),
        )
        assert (await _read(cached)).metadata == {"turn": turn}
