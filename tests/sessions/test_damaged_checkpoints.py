"""Checkpoints whose body is damaged, and lists that cannot go on where they were."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from sessionstream import SessionManager
from sessionstream.errors import CorruptEvent, InvalidArgument


@pytest.mark.parametrize("body", [None, b'{"turn": 1, "forged": true}'])
async def test_a_body_that_is_not_the_saved_one_is_refused(
    manager: SessionManager, session_id: str, client: Redis, body: bytes | None
) -> None:
    """Missing, or of another size: it is named, and no other data are taken for the agent's."""
    checkpoint_id = await manager.save_checkpoint(session_id, {"turn": 1})
    bodies = manager.store.keys.bodies(session_id)
    if body is None:
        await client.hdel(bodies, checkpoint_id)
    else:
        await client.hset(bodies, checkpoint_id, body)
    with pytest.raises(CorruptEvent, match=checkpoint_id):
        await manager.get_latest_checkpoint(session_id)
    with pytest.raises(CorruptEvent, match=checkpoint_id):
        await manager.get_checkpoint(session_id, checkpoint_id)


async def test_a_list_does_not_begin_anew_where_its_place_is_unknown(manager: SessionManager, session_id: str) -> None:
    """A checkpoint that was deleted meanwhile cannot say where to go on."""
    deleted = await manager.save_checkpoint(session_id, {})
    await manager.save_checkpoint(session_id, {})
    await manager.delete_checkpoint(session_id, deleted)
    with pytest.raises(InvalidArgument, match="no checkpoint"):
        await manager.list_checkpoints(session_id, after=deleted)
