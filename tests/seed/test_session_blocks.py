"""Blocks 1 to 7: making a manager, and sessions created, read, changed, deleted and found."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sessionstream import Session, SessionManager
from tests.seed.stage import Stage
from tests.sessions.waiting import until_past

_CREATED = {"user_id": "user_123", "agent_id": "chatbot", "ttl_ms": 3_600_000}
_ENDED = ["session.created", "session.deleted"]


async def test_block_01_makes_a_manager_and_a_session(stage: Stage) -> None:
    """The manager takes the client that the caller has, and the session lives for the manager's time to live."""
    await stage.run(1)
    session = stage["session"]
    assert type(stage["session_manager"]) is SessionManager
    assert type(session) is Session
    assert session.session_id.startswith("sess_")
    assert (session.user_id, session.agent_id, session.metadata) == ("user_123", "chatbot", {})
    assert session.expires_at - session.created_at == timedelta(hours=1)
    assert await stage.history(session.session_id) == [("session.created", _CREATED)]
    await stage["session_manager"].aclose()


async def test_block_02_reads_the_attributes_of_a_session(stage: Stage) -> None:
    """All six are there, the times aware and in UTC."""
    session = stage.names["session"] = await stage.session(metadata={"tier": "premium"})
    await stage.run(2)
    values = {name: eval(name, stage.names) for name in stage.expressions(2)}
    created_at = values["session.created_at"]
    assert values == {
        "session.session_id": "sess_abc123",
        "session.user_id": "user_123",
        "session.agent_id": "chatbot",
        "session.created_at": created_at,
        "session.expires_at": created_at + timedelta(seconds=3600),
        "session.metadata": {"tier": "premium"},
    }
    assert created_at.tzinfo is UTC
    assert abs(datetime.now(UTC) - created_at) < timedelta(minutes=1)
    assert isinstance(session, stage["Session"])


async def test_block_03_creates_sessions_with_and_without_metadata(stage: Stage) -> None:
    """Each call makes a session of its own."""
    await stage.run(3)
    metadata = {"language": "zh-CN", "timezone": "Asia/Shanghai", "tier": "premium"}
    session = stage["session"]
    assert session.metadata == metadata
    newest, oldest = await stage.manager.get_sessions_by_user("user_123")
    assert newest == session
    created = {**_CREATED, "agent_id": "assistant"}
    assert await stage.history(oldest.session_id) == [("session.created", created)]
    assert await stage.history(newest.session_id) == [("session.created", {**created, "metadata": metadata})]


async def test_block_04_prints_the_session_that_it_finds(stage: Stage) -> None:
    """A session is read by its id."""
    await stage.session()
    await stage.run(4)
    assert stage.printed() == ["User: user_123", "Agent: chatbot"]
    assert await stage.types() == ["session.created"]


@pytest.mark.parametrize("end", ["unknown", "deleted", "expired"])
async def test_block_04_prints_that_there_is_no_session(stage: Stage, end: str) -> None:
    """An unknown session, a deleted and an expired one are all the same to it."""
    if end != "unknown":
        session = await stage.session(ttl=0.02 if end == "expired" else 60)
        await stage.manager.delete_session("sess_abc123") if end == "deleted" else None
        await until_past(stage["redis_client"], session.expires_at) if end == "expired" else None
    await stage.run(4)
    assert stage.printed() == ["Session not found or expired"]
    assert stage["session"] is None


async def test_block_05_updates_the_metadata_and_refreshes(stage: Stage) -> None:
    """Metadata is merged, and the time to live begins anew."""
    before = await stage.session(metadata={"tier": "premium"})
    await until_past(stage["redis_client"], before.created_at)
    await stage.run(5)
    after = await stage.manager.get_session("sess_abc123")
    update = {"last_activity": "2025-01-17T10:30:00Z", "message_count": 5}
    assert after is not None
    assert after.metadata == {"tier": "premium", **update}
    assert after.expires_at is not None
    assert before.expires_at is not None
    assert after.expires_at > before.expires_at
    assert await stage.history() == [
        ("session.created", {**_CREATED, "metadata": {"tier": "premium"}}),
        ("session.metadata_updated", {"set": update}),
        ("session.refreshed", {"ttl_ms": 3_600_000}),
    ]


async def test_block_06_deletes_one_session_then_a_users_then_an_agents(stage: Stage) -> None:
    """What was named is gone, what was not lives on, and every end is in a history."""
    await stage.session(user_id="user_9", agent_id="translator")
    await stage.session("sess_users", agent_id="translator")
    await stage.session("sess_agents", user_id="user_9")
    await stage.session("sess_other", user_id="user_9", agent_id="translator")
    await stage.run(6)
    for session_id in ("sess_abc123", "sess_users", "sess_agents"):
        assert not await stage.manager.session_exists(session_id)
        assert await stage.types(session_id) == _ENDED
    assert await stage.types("sess_other") == ["session.created"]
    assert await stage.manager.session_exists("sess_other")
    [(_, created), (_, deleted)] = await stage.history("sess_users")
    assert deleted["user_id"] == created["user_id"] == "user_123"


async def test_block_07_lists_and_counts_a_users_sessions(stage: Stage) -> None:
    """The newest session is printed first; the count is of active ones."""
    first = await stage.session()
    await until_past(stage["redis_client"], first.created_at)
    await stage.session("sess_idle", agent_id="assistant")
    await stage.session("sess_strange", user_id="user_9")
    await stage.manager.set_session_state("sess_idle", "idle")
    await stage.run(7)
    assert stage.printed() == ["sess_idle: assistant", "sess_abc123: chatbot"]
    assert [session.session_id for session in stage["sessions"]] == ["sess_idle", "sess_abc123"]
    assert stage["count"] == 1
    assert stage["exists"] is True
    assert await stage.types() == ["session.created"]
