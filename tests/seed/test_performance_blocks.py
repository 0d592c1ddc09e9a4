"""Blocks 19 and 20: sessions in batches, and a manager that keeps what it has read."""

from __future__ import annotations

from sessionstream import SessionManager
from tests.seed.stage import Stage


async def test_block_19_creates_and_deletes_sessions_in_batches(stage: Stage) -> None:
    """The sessions come in the order of the data; all of them are deleted."""
    await stage.run(19)
    users = [{"user_id": f"user_{n}", "agent_id": "chatbot", "metadata": {"n": n}} for n in range(7)]
    sessions = await stage["batch_create_sessions"]([*users, {"user_id": "user_7", "agent_id": "assistant"}])
    assert [session.user_id for session in sessions] == [f"user_{n}" for n in range(8)]
    assert [session.metadata for session in sessions] == [*({"n": n} for n in range(7)), {}]
    assert sessions[7].agent_id == "assistant"
    ids = [session.session_id for session in sessions]
    assert await stage["batch_delete_sessions"](ids) is None
    for session_id in ids:
        assert await stage.types(session_id) == ["session.created", "session.deleted"]


async def test_block_20_keeps_what_it_has_read(stage: Stage) -> None:
    """A second read gives the same object, though another manager has changed the session meanwhile."""
    await stage.session()
    await stage.run(20)
    async with stage["CachedSessionManager"](conn=stage["redis_client"], ttl=3600, cache_size=10) as cached:
        assert isinstance(cached, SessionManager)
        first = await cached.get_session("sess_abc123")
        await stage.manager.update_session_metadata("sess_abc123", {"changed": True})
        assert await cached.get_session("sess_abc123") is first
        assert await cached.get_session("sess_unknown") is None
        # Its other methods never ask the overridden one: they see what is.
        assert await cached.get_session_state("sess_abc123") is not None
        await _writes_through(stage, cached)


async def _writes_through(stage: Stage, cached: SessionManager) -> None:
    session = await stage.manager.get_session("sess_abc123")
    assert session is not None
    session.metadata["seen"] = "by everybody"
    await cached.update_session("sess_abc123", session)
    assert await cached.get_session("sess_abc123") is session
    kept = await stage.manager.get_session("sess_abc123")
    assert kept is not None
    assert kept.metadata == {"changed": True, "seen": "by everybody"}
    assert (await stage.history())[1:] == [
        ("session.metadata_updated", {"set": {"changed": True}}),
        ("session.metadata_updated", {"set": {"seen": "by everybody"}}),
    ]
