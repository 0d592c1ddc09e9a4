"""Checkpoints are deleted, and what is not there reads as None."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from sessionstream import SessionEnded, SessionManager, SessionNotFound
from tests.sessions.waiting import expired_session

_DATA = {"turn": 1, "история": ["Hi", None, {"π": 3.14}], "empty": {}, "": ""}
_FIELDS = ["checkpoint_id", "session_id", "created_at", "offset", "saved_at", "size", "sha256", "label", "data"]


async def test_what_is_unknown_is_none_or_false_or_zero(manager: SessionManager, session_id: str) -> None:
    """A checkpoint that is not there, and a session that is not there."""
    for one in (session_id, "sess_unknown"):
        assert await manager.get_checkpoint(one, "ckpt_unknown") is None
        assert await manager.get_latest_checkpoint(one) is None
        assert await manager.delete_checkpoint(one, "ckpt_unknown") is False
        assert await manager.list_checkpoints(one) == []
        assert await manager.clear_checkpoints(one) == 0
    assert [event.type async for event in manager.history(session_id)] == ["session.created"]


async def test_a_checkpoint_is_deleted_once(manager: SessionManager, session_id: str) -> None:
    """By one of several at once; its body is gone, the history tells of it."""
    checkpoint_id = await manager.save_checkpoint(session_id, _DATA)
    done = await asyncio.gather(*(manager.delete_checkpoint(session_id, checkpoint_id) for _ in range(5)))
    assert sorted(done) == [False] * 4 + [True]
    assert await manager.get_checkpoint(session_id, checkpoint_id) is None
    types = [event.type async for event in manager.history(session_id)]
    assert types == ["session.created", "checkpoint.saved", "checkpoint.deleted"]


async def test_a_deleted_checkpoint_leaves_no_body(
    manager: SessionManager, session_id: str, client: Redis, namespace: str
) -> None:
    """What it held is nowhere in the namespace any more."""
    checkpoint_id = await manager.save_checkpoint(session_id, {"secret": "hunter2"})
    await manager.delete_checkpoint(session_id, checkpoint_id)
    hashes = [key async for key in client.scan_iter(match=f"{namespace}:*") if await client.type(key) == b"hash"]
    values = [value for key in hashes for value in (await client.hgetall(key)).values()]
    assert values
    assert not [value for value in values if b"hunter2" in value]


async def test_all_checkpoints_are_cleared(manager: SessionManager, session_id: str) -> None:
    """The number of them is returned; another session keeps its own."""
    other = await manager.create_session("user_1", "agent_1")
    for one in (session_id, other.session_id):
        for number in range(3):
            await manager.save_checkpoint(one, number)
    assert await manager.clear_checkpoints(session_id) == 3
    assert await manager.list_checkpoints(session_id) == []
    assert await manager.get_latest_checkpoint(session_id) is None
    assert len(await manager.list_checkpoints(other.session_id)) == 3


@pytest.mark.parametrize("end", ["deleted", "expired"])
async def test_an_ended_session_has_no_checkpoints_and_takes_none(
    manager: SessionManager, client: Redis, end: str
) -> None:
    """They read as None; saving one is an error, as for a session that is unknown."""
    if end == "expired":
        session_id = (await expired_session(manager, client)).session_id
    else:
        session_id = (await manager.create_session("user_1", "agent_1")).session_id
        checkpoint_id = await manager.save_checkpoint(session_id, {})
        await manager.delete_session(session_id)
        assert await manager.get_checkpoint(session_id, checkpoint_id) is None
    assert await manager.get_latest_checkpoint(session_id) is None
    assert await manager.list_checkpoints(session_id) == []
    with pytest.raises(SessionEnded, match=end):
        await manager.save_checkpoint(session_id, {})
    with pytest.raises(SessionNotFound):
        await manager.save_checkpoint("sess_unknown", {})
