"""Counts, the average duration, and the clean-up that ends what has expired (G11)."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from sessionstream import SessionManager, SessionState
from tests.sessions.conftest import Dump, MakeManager
from tests.sessions.waiting import expired_session, until_past


async def _counts(manager: SessionManager) -> tuple[int, int, int]:
    return (
        await manager.get_total_session_count(),
        await manager.get_active_session_count(),
        await manager.get_expired_session_count(),
    )


async def test_an_empty_store_counts_zero(manager: SessionManager) -> None:
    """Everything, before anybody has written."""
    assert await _counts(manager) == (0, 0, 0)
    assert await manager.get_active_session_count("user_1") == 0
    assert await manager.get_avg_session_duration() == 0.0
    assert await manager.get_all_active_sessions() == []
    assert await manager.cleanup_expired_sessions() == 0


async def test_total_counts_what_is_kept(manager: SessionManager, client: Redis) -> None:
    """In every state, ended ones too, until they are removed."""
    for state in ("active", "idle", "archived", "expired"):
        await manager.create_session("user_1", "agent_1", session_id=state)
        await manager.set_session_state(state, state)
    await manager.create_session("user_1", "agent_1", session_id="deleted")
    await manager.delete_session("deleted")
    await expired_session(manager, client)
    assert await manager.get_total_session_count() == 6
    await manager.delete_session("deleted", purge=True)
    assert await manager.get_total_session_count() == 5


async def test_active_is_the_state_active_and_not_expired(manager: SessionManager, client: Redis) -> None:
    """Of all, and of one user; a session whose time is over is none, before any sweep."""
    for number in range(5):
        await manager.create_session("user_1", "agent_1", session_id=f"sess_{number}", ttl=60 if number % 2 else None)
    await manager.create_session("user_2", "agent_1")
    await manager.set_session_state("sess_0", "idle")
    await manager.set_session_state("sess_1", "archived")
    await expired_session(manager, client)
    assert await manager.get_active_session_count() == 4
    assert await manager.get_active_session_count("user_1") == 3
    assert await manager.get_active_session_count("user_2") == 1
    await manager.set_session_state("sess_0", "active")
    assert await manager.get_active_session_count("user_1") == 4
    assert await manager.get_active_session_count() == len(await manager.get_all_active_sessions()) == 5


async def test_expired_counts_each_once_before_and_after_the_sweep(manager: SessionManager, client: Redis) -> None:
    """In whichever state their time ran out, and those that were set to EXPIRED."""
    idle = await manager.create_session("user_1", "agent_1", ttl=1)
    await manager.set_session_state(idle.session_id, "idle")
    await expired_session(manager, client)
    ended = await manager.create_session("user_1", "agent_1")
    await manager.set_session_state(ended.session_id, SessionState.EXPIRED)
    await manager.create_session("user_1", "agent_1", ttl=60)
    await until_past(client, idle.expires_at)
    for _ in range(2):
        assert await _counts(manager) == (4, 1, 3)
        await manager.cleanup_expired_sessions()


async def test_counts_are_the_same_from_every_process(make_manager: MakeManager) -> None:
    """They are read from the store, from all of its partitions."""
    manager = make_manager()
    await asyncio.gather(*(manager.create_session(f"user_{n}", "agent_1") for n in range(100)))
    assert await _counts(make_manager()) == (100, 100, 0)


async def test_the_average_duration_is_from_creation_to_end(manager: SessionManager, client: Redis) -> None:
    """In seconds, over deleted and expired sessions; those that go on have none yet."""
    for session_id in ("deleted", "expired", "going on"):
        session = await manager.create_session("user_1", "agent_1", session_id=session_id)
        await until_past(client, session.created_at)
    assert await manager.get_avg_session_duration() == 0.0
    await manager.delete_session("deleted")
    await manager.set_session_state("expired", "expired")
    durations = []
    for session_id in ("deleted", "expired"):
        first, *_, last = [event.at async for event in manager.history(session_id)]
        durations.append((last - first).total_seconds())
    assert min(durations) > 0
    assert await manager.get_avg_session_duration() == pytest.approx(sum(durations) / 2, abs=1e-9)


async def test_the_end_of_a_swept_session_is_when_it_was_swept(manager: SessionManager, client: Redis) -> None:
    """Only then is there an event that says so."""
    session = await expired_session(manager, client)
    assert await manager.get_avg_session_duration() == 0.0
    await manager.cleanup_expired_sessions()
    first, last = [event.at async for event in manager.history(session.session_id)]
    assert await manager.get_avg_session_duration() == pytest.approx((last - first).total_seconds(), abs=1e-9)


async def test_clean_up_ends_what_has_expired_and_nothing_else(manager: SessionManager, client: Redis) -> None:
    """It counts what this call ended; the next finds nothing."""
    await manager.create_session("user_1", "agent_1", session_id="lasting")
    await manager.create_session("user_1", "agent_1", session_id="not yet", ttl=60)
    ids = [f"sess_{n}" for n in range(100)]
    sessions = await asyncio.gather(
        *(manager.create_session("user_1", "agent_1", session_id=session_id, ttl=0.05) for session_id in ids)
    )
    await until_past(client, max(session.expires_at for session in sessions if session.expires_at))
    assert await manager.cleanup_expired_sessions() == 100
    assert await manager.cleanup_expired_sessions() == 0
    for session_id in (*ids[:5], *ids[-5:]):
        assert [event.type async for event in manager.history(session_id)] == ["session.created", "session.expired"]
    for session_id in ("lasting", "not yet"):
        assert [event.type async for event in manager.history(session_id)] == ["session.created"]


async def test_sweepers_at_the_same_time_end_each_session_once(make_manager: MakeManager, client: Redis) -> None:
    """Three processes together count what was to be ended; no session has two ends."""
    sweepers = [make_manager() for _ in range(3)]
    ids = [f"sess_{n}" for n in range(200)]
    sessions = await asyncio.gather(
        *(sweepers[0].create_session("user_1", "agent_1", session_id=session_id, ttl=0.05) for session_id in ids)
    )
    await until_past(client, max(session.expires_at for session in sessions if session.expires_at))
    ended = await asyncio.gather(*(sweeper.cleanup_expired_sessions() for sweeper in sweepers))
    assert sum(ended) == 200
    for session_id in ids:
        assert [event.type async for event in sweepers[0].history(session_id)] == ["session.created", "session.expired"]
    assert await _counts(sweepers[0]) == (200, 0, 200)


async def test_clean_up_counts_nothing_that_others_ended(manager: SessionManager, client: Redis) -> None:
    """What was deleted, or set to EXPIRED, before its time was over."""
    for number, end in enumerate((manager.delete_session, None)):
        session = await manager.create_session("user_1", "agent_1", session_id=f"sess_{number}", ttl=1)
        await (end(session.session_id) if end else manager.set_session_state(session.session_id, "expired"))
        await until_past(client, session.expires_at)
    assert await manager.cleanup_expired_sessions() == 0


async def test_clean_up_of_a_clean_store_writes_nothing(manager: SessionManager, dump: Dump) -> None:
    """Once it has looked, looking again changes nothing."""
    await manager.create_session("user_1", "agent_1", ttl=60)
    await manager.cleanup_expired_sessions()
    before = await dump()
    await manager.cleanup_expired_sessions()
    assert await dump() == before
