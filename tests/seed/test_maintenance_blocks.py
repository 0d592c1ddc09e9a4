"""Blocks 21 to 23: statistics, clean-up, and sessions that have gone idle."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from sessionstream import SessionState
from tests.seed.stage import Stage
from tests.sessions.waiting import until, until_past


async def test_block_21_gathers_the_statistics(stage: Stage) -> None:
    """Kept, active and expired sessions are counted, and the deleted one's duration is the average."""
    await stage.session()
    await stage.session("sess_deleted")
    expired = await stage.session("sess_expired", ttl=0.02)
    await stage.manager.delete_session("sess_deleted")
    await until_past(stage["redis_client"], expired.expires_at)
    created, deleted = [event.at async for event in stage.manager.history("sess_deleted")]
    await stage.run(21)
    assert await stage["get_session_stats"]() == {
        "total_sessions": 3,
        "active_sessions": 1,
        "expired_sessions": 1,
        "avg_session_duration": pytest.approx((deleted - created).total_seconds(), abs=1e-9),
    }


async def test_block_21_has_zeros_for_an_empty_store(stage: Stage) -> None:
    """Where nothing has ended, the average is 0.0."""
    await stage.run(21)
    names = ("total_sessions", "active_sessions", "expired_sessions", "avg_session_duration")
    assert await stage["get_session_stats"]() == dict.fromkeys(names, 0)


async def test_block_22_cleans_up_and_says_how_many_it_ended(stage: Stage) -> None:
    """The first round ends what has expired; the loop, which would wait for an hour, is cancelled."""
    await stage.session()
    expired = await stage.session("sess_expired", ttl=0.02)
    await until_past(stage["redis_client"], expired.expires_at)
    await stage.run(22)
    loop = asyncio.create_task(stage["cleanup_expired_sessions"]())
    await until(lambda: stage.printed() or loop.done())
    assert loop.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loop
    assert stage.printed() == ["Cleaned 1 expired sessions"]
    assert await stage.types("sess_expired") == ["session.created", "session.expired"]
    assert await stage.types() == ["session.created"]


async def test_block_23_marks_the_sessions_that_have_long_been_idle(stage: Stage) -> None:
    """Half an hour without activity makes a session idle; a recent one and one without a note stay active."""
    now = datetime.now()
    for minutes in (29, 31):
        activity = (now - timedelta(minutes=minutes)).isoformat()
        await stage.session(f"sess_{minutes}", metadata={"last_activity": activity})
    await stage.session()
    await stage.run(23)
    assert await stage["monitor_session_activity"]() is None
    states = {name: await stage.manager.get_session_state(name) for name in ("sess_31", "sess_29", "sess_abc123")}
    assert states == {
        "sess_31": SessionState.IDLE,
        "sess_29": SessionState.ACTIVE,
        "sess_abc123": SessionState.ACTIVE,
    }
    assert (await stage.history("sess_31"))[1:] == [("session.state_changed", {"state": "idle"})]
    assert await stage.types("sess_29") == ["session.created"]
