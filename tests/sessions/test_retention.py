"""How long an ended session is kept, and that nothing is left of it afterwards but a pointer in the feed (G13, G14)."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import MessageAdded, SessionExists, SessionManager, SessionNotFound
from sessionstream.log.feed import pointers_of
from tests.sessions.conftest import Dump, MakeManager
from tests.sessions.waiting import expired_session, until_past

pytestmark = pytest.mark.guarantee

_MARK = "sess_marked"


async def _full_session(manager: SessionManager, session_id: str = _MARK) -> None:
    """Create a session that has one of everything that is kept of a session."""
    await manager.create_session("user_1", "agent_1", {"a": 1}, session_id=session_id, ttl=60, idempotency_key="k")
    await manager.append(session_id, MessageAdded(role="user", content="Hi"), idempotency_key="k2")
    await manager.save_checkpoint(session_id, {"turn": 1})
    await manager.set_session_state(session_id, "idle")


async def _mentions(client: Redis, namespace: str) -> set[str]:
    """Return the keys that name the session, or hold its name."""
    found = set()
    readers: dict[bytes, Any] = {
        b"hash": client.hgetall,
        b"zset": lambda key: client.zrange(key, 0, -1),
        b"stream": client.xrange,
    }
    async for key in client.scan_iter(match=f"{namespace}:*", count=1000):
        content = await readers[await client.type(key)](key)
        if _MARK in key.decode() or _MARK in repr(content):
            found.add(key.decode().partition("}:")[2])
    return found


async def test_an_ended_session_is_kept_by_default(manager: SessionManager, client: Redis) -> None:
    """Its history is there after it is deleted, and after a clean-up."""
    await _full_session(manager)
    await manager.delete_session(_MARK)
    await until_past(client, (await _ends(manager))[-1])
    await manager.cleanup_expired_sessions()
    assert [event.type async for event in manager.history(_MARK)][-1] == "session.deleted"
    assert (await manager.audit.as_of(_MARK, version=3)).metadata == {"a": 1}


async def _ends(manager: SessionManager) -> list[Any]:
    return [event.at async for event in manager.history(_MARK)]


@pytest.mark.parametrize("end", ["deleted", "set to expired", "expired"])
async def test_without_retention_a_clean_up_removes_what_has_ended(
    make_manager: MakeManager, client: Redis, namespace: str, end: str
) -> None:
    """However it ended; a session that goes on stays."""
    manager = make_manager(retention=0)
    await manager.create_session("user_1", "agent_1", session_id="going on")
    if end == "expired":
        await expired_session(manager, client, session_id=_MARK)
    else:
        await _full_session(manager)
        await (manager.delete_session(_MARK) if end == "deleted" else manager.set_session_state(_MARK, "expired"))
    await manager.cleanup_expired_sessions()
    assert await _mentions(client, namespace) == {"feed"}
    assert await manager.get_total_session_count() == 1
    assert await manager.session_exists("going on")


async def test_retention_is_counted_from_the_end(make_manager: MakeManager, client: Redis) -> None:
    """Not from the creation, and not before it is over."""
    manager = make_manager(retention=1)
    await _full_session(manager)
    await manager.delete_session(_MARK)
    assert await manager.cleanup_expired_sessions() == 0
    assert await manager.get_total_session_count() == 1
    end = (await _ends(manager))[-1]
    await until_past(client, end + timedelta(seconds=1))
    await manager.cleanup_expired_sessions()
    assert await manager.get_total_session_count() == 0


async def test_none_keeps_for_ever(make_manager: MakeManager, dump: Dump) -> None:
    """No clean-up of such a manager removes anything."""
    await _full_session(make_manager())
    forever = make_manager(retention=None)
    await forever.delete_session(_MARK)
    await forever.cleanup_expired_sessions()
    before = await dump()
    await forever.cleanup_expired_sessions()
    assert await dump() == before
    assert await forever.get_total_session_count() == 1


async def test_purging_removes_a_session_at_once(manager: SessionManager, client: Redis, namespace: str) -> None:
    """Alive it is ended and removed in one call; the feed alone remembers that there was one."""
    await _full_session(manager)
    assert len(await _mentions(client, namespace)) > 8
    assert await manager.delete_session(_MARK, purge=True) is True
    assert await _mentions(client, namespace) == {"feed"}
    with pytest.raises(SessionNotFound):
        [event async for event in manager.history(_MARK)]
    assert await manager.get_session_state(_MARK) is None
    assert await manager.get_avg_session_duration() == 0.0


@pytest.mark.parametrize("end", ["deleted", "lapsed", "swept"])
async def test_purging_removes_an_ended_session_too(
    manager: SessionManager, client: Redis, namespace: str, end: str
) -> None:
    """True, since there was something to remove; once more there is not."""
    if end == "deleted":
        await _full_session(manager)
        await manager.delete_session(_MARK)
    else:
        await expired_session(manager, client, session_id=_MARK)
        assert await manager.cleanup_expired_sessions() == 1 if end == "swept" else True
    assert await manager.delete_session(_MARK, purge=True) is True
    assert await manager.delete_session(_MARK, purge=True) is False
    assert await _mentions(client, namespace) == {"feed"}
    assert (await manager.get_total_session_count(), await manager.get_expired_session_count()) == (0, 0)


async def test_the_feed_tells_that_a_session_was_retired(
    manager: SessionManager, client: Redis, namespace: str
) -> None:
    """By its last pointer to that session, for whoever keeps something of it elsewhere."""
    await _full_session(manager)
    await manager.delete_session(_MARK, purge=True)
    feeds = [key async for key in client.scan_iter(match=f"{namespace}:*feed")]
    entries = [entry for key in feeds for entry in await manager.store.server.call("XRANGE", key, "-", "+")]
    told = [pointer.events for entry in entries for pointer in pointers_of(entry) if pointer.session_id == _MARK]
    assert told[-1] == 0
    assert told.count(0) == 1


@pytest.mark.parametrize("way", ["purged", "retired"])
async def test_the_id_of_a_removed_session_may_be_used_again(make_manager: MakeManager, way: str) -> None:
    """The new session begins at version 1, with nothing of the old one: no checkpoint, no key, no metadata."""
    manager = make_manager(retention=0)
    await _full_session(manager)
    if way == "purged":
        await manager.delete_session(_MARK, purge=True)
    else:
        await manager.delete_session(_MARK)
        await manager.cleanup_expired_sessions()
    session = await manager.create_session("user_2", "agent_2", session_id=_MARK, idempotency_key="k")
    assert session == await manager.get_session(_MARK)
    assert (session.version, session.metadata, session.expires_at) == (1, {}, None)
    assert session.state.value == "active"
    assert await manager.get_latest_checkpoint(_MARK) is None
    assert await manager.get_sessions_by_user("user_1") == []
    assert await manager.get_sessions_by_user("user_2") == [session]
    assert not (await manager.append(_MARK, MessageAdded(role="user", content="Hi"), idempotency_key="k2")).duplicate


async def test_a_checkpoint_of_a_session_made_anew_covers_what_was_appended_to_it(manager: SessionManager) -> None:
    """What this process knew of the old session with that id is forgotten: nothing is replayed twice."""
    await _full_session(manager)
    await manager.delete_session(_MARK, purge=True)
    await manager.create_session("user_1", "agent_1", session_id=_MARK)
    message = await manager.append(_MARK, MessageAdded(role="user", content="Hi"))
    await manager.save_checkpoint(_MARK, {"seen": ["Hi"]})
    resumed = await manager.resume(_MARK)
    assert resumed.checkpoint is not None
    assert resumed.checkpoint.offset == message.offset
    assert resumed.events == []


async def test_users_lists_and_counts_forget_a_removed_session(make_manager: MakeManager) -> None:
    """The others stay as they were."""
    manager = make_manager(retention=0)
    kept = await manager.create_session("user_1", "agent_1")
    await _full_session(manager)
    await manager.delete_session(_MARK, purge=True)
    assert await manager.get_sessions_by_user("user_1") == [kept]
    assert await manager.get_active_session_count("user_1") == await manager.get_active_session_count() == 1


async def test_a_session_made_while_the_old_one_is_removed_is_listed(make_manager: MakeManager) -> None:
    """Whoever waits for the id gets it the moment it is free, and the removal takes nothing of the new one."""
    manager, other = make_manager(), make_manager()

    async def create_as_soon_as_possible() -> None:
        while True:
            try:
                await other.create_session("user_1", "agent_1", session_id=_MARK)
            except SessionExists:
                continue
            return

    await create_as_soon_as_possible()
    for _ in range(40):
        await asyncio.gather(create_as_soon_as_possible(), manager.delete_session(_MARK, purge=True))
        assert [session.session_id for session in await manager.get_sessions_by_user("user_1")] == [_MARK]


@pytest.mark.parametrize("ttl", [None, 0.001])
async def test_where_nobody_sweeps_creating_sessions_removes_what_is_due(
    make_manager: MakeManager, ttl: float | None
) -> None:
    """A little each time, and more than come in meanwhile, so that deleted and expired sessions do not gather."""
    manager = make_manager(retention=0, partitions=1)
    for number in range(400):
        session = await manager.create_session("user_1", "agent_1", session_id=f"sess_{number}", ttl=ttl)
        if ttl is None:
            await manager.delete_session(session.session_id)
    assert await manager.get_total_session_count() < 100
