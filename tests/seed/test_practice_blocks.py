"""Blocks 26 to 28: checkpoints at intervals, a limit of sessions, and a session restored or created."""

from __future__ import annotations

import asyncio

import pytest

from sessionstream import Session
from tests.seed.stage import Stage
from tests.sessions.waiting import until, until_past


async def _in_turn(stage: Stage, count: int) -> list[Session]:
    """Create sessions, each a millisecond or more after the one before."""
    sessions = []
    for number in range(count):
        sessions.append(await stage.session(f"sess_{number}"))
        await until_past(stage["redis_client"], sessions[-1].created_at)
    return sessions


async def test_block_26_goes_round_until_it_is_cancelled(stage: Stage) -> None:
    """Its rounds hold nothing but a comment, so they append nothing."""
    await stage.session()
    await stage.run(26)
    loop = asyncio.create_task(stage["auto_checkpoint_interval"]("sess_abc123", interval=0))
    await until(lambda: stage.entered["auto_checkpoint_interval"] > 2 or loop.done())
    assert loop.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loop
    assert await stage.types() == ["session.created"]


async def test_block_27_deletes_the_oldest_session_at_the_limit(stage: Stage) -> None:
    """Five are too many for a limit of five: there has to be room for one more."""
    await _in_turn(stage, 5)
    await stage.run(27)
    assert await stage["enforce_session_limit"]("user_123") is None
    left = [session.session_id for session in await stage.manager.get_sessions_by_user("user_123")]
    assert left == ["sess_4", "sess_3", "sess_2", "sess_1"]
    assert await stage.types("sess_0") == ["session.created", "session.deleted"]


async def test_block_27_deletes_nothing_below_the_limit(stage: Stage) -> None:
    """Two sessions are below a limit of three."""
    await _in_turn(stage, 2)
    await stage.run(27)
    await stage["enforce_session_limit"]("user_123", max_sessions=3)
    assert await stage.manager.get_active_session_count("user_123") == 2


async def test_block_28_restores_the_newest_session_with_the_agent(stage: Stage) -> None:
    """A newer one with another agent is passed over, and nothing is appended."""
    await _in_turn(stage, 2)
    await stage.session("sess_other", agent_id="assistant")
    await stage.run(28)
    session = await stage["restore_or_create_session"]("user_123", "chatbot")
    assert session.session_id == "sess_1"
    assert await stage.types("sess_1") == ["session.created"]
    assert await stage.manager.get_total_session_count() == 3


async def test_block_28_creates_a_session_where_there_is_none(stage: Stage) -> None:
    """The next call restores that one."""
    await stage.session(agent_id="assistant")
    await stage.run(28)
    restore_or_create = stage["restore_or_create_session"]
    session = await restore_or_create("user_123", "chatbot")
    assert (session.user_id, session.agent_id) == ("user_123", "chatbot")
    assert await restore_or_create("user_123", "chatbot") == session
    assert await stage.types(session.session_id) == ["session.created"]
