"""Batches: many sessions created, or deleted, in one call."""

from __future__ import annotations

from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import SessionExists, SessionManager
from sessionstream.errors import InvalidArgument, InvalidType
from sessionstream.recipes import batch_create_sessions, batch_delete_sessions


async def test_sessions_are_created_in_the_order_of_the_rows(manager: SessionManager) -> None:
    """Each with its user, agent and metadata; metadata may be absent or None, further keys are passed over."""
    rows: list[dict[str, Any]] = [
        {"user_id": f"user_{n}", "agent_id": "agent_1", "metadata": {"n": n}, "email": "x"} for n in range(300)
    ]
    rows += [{"user_id": "user_300", "agent_id": "a"}, {"user_id": "user_301", "agent_id": "a", "metadata": None}]
    sessions = await batch_create_sessions(manager, rows)
    assert [session.user_id for session in sessions] == [row["user_id"] for row in rows]
    assert [session.metadata for session in sessions] == [row.get("metadata") or {} for row in rows]
    assert await manager.get_total_session_count() == 302


async def test_the_options_of_create_session_are_honoured(manager: SessionManager) -> None:
    """An id, a time to live, an idempotency key."""
    row: dict[str, Any] = {"user_id": "user_1", "agent_id": "agent_1"}
    rows = [
        {**row, "session_id": "sess_1", "ttl": 60},
        {**row, "idempotency_key": "k"},
        {**row, "idempotency_key": "k"},
    ]
    first, second, third = await batch_create_sessions(manager, rows)
    assert (first.session_id, first.expires_at is None) == ("sess_1", False)
    assert second.session_id == third.session_id


@pytest.mark.parametrize(
    ("row", "error", "problem"),
    [
        ({"agent_id": "agent_1"}, InvalidArgument, r"users_data\[1\]: user_id is missing"),
        ({"user_id": "user_1", "agent_id": ""}, InvalidArgument, r"users_data\[1\].agent_id"),
        ({"user_id": "user_1", "agent_id": "agent_1", "metadata": [1]}, InvalidType, "metadata"),
        ("user_1", InvalidType, r"users_data\[1\]"),
    ],
)
async def test_a_malformed_row_is_refused_before_any_session_is_created(
    manager: SessionManager, client: Redis, row: Any, error: type[Exception], problem: str
) -> None:
    """The row is named."""
    with pytest.raises(error, match=problem):
        await batch_create_sessions(manager, [{"user_id": "user_1", "agent_id": "agent_1"}, row])
    assert await client.dbsize() == 0


async def test_one_that_fails_does_not_keep_the_others_from_being_created(manager: SessionManager) -> None:
    """Its error is raised when all have been tried."""
    await manager.create_session("user_1", "agent_1", session_id="sess_1")
    rows = [{"user_id": "user_1", "agent_id": "agent_1", "session_id": f"sess_{n}"} for n in range(3)]
    with pytest.raises(SessionExists):
        await batch_create_sessions(manager, rows)
    assert await manager.get_total_session_count() == 3


async def test_deleting_counts_what_this_call_ended(manager: SessionManager) -> None:
    """Unknown and ended ones, and an id that is given twice, do not count."""
    for n in range(300):
        await manager.create_session("user_1", "agent_1", session_id=f"sess_{n}")
    await manager.delete_session("sess_0")
    ids = [f"sess_{n}" for n in range(299)]
    assert await batch_delete_sessions(manager, [*ids, "sess_1", "unknown"]) == 298
    assert [session.session_id for session in await manager.get_sessions_by_user("user_1")] == ["sess_299"]


async def test_one_string_is_not_a_list_of_ids(manager: SessionManager) -> None:
    """Its letters are no sessions."""
    with pytest.raises(InvalidType, match="session_ids"):
        await batch_delete_sessions(manager, "sess_1")
