"""Erasure on a Cluster: each session on its node in one step, the user's list in the user's own slot (G40)."""

from __future__ import annotations

import asyncio
from pathlib import Path

from redis.asyncio import RedisCluster

from sessionstream import MessageAdded
from tests.cluster.conftest import Open

USER, PLAIN = "alice-of-wonderland", "the rabbit is late"


async def test_a_user_is_erased_on_every_node(open_manager: Open, client: RedisCluster, tmp_path: Path) -> None:
    """Nothing that was said, nor who said it, is left on any; all of it verifies, and is rebuilt to the same."""
    manager = open_manager(seal_key="k" * 40, archive=tmp_path)
    made = await asyncio.gather(*(manager.create_session(USER, "agent", {"said": PLAIN}) for _ in range(12)))
    other = await manager.create_session("bob", "agent", {"said": "hello"})
    for session in made:
        await manager.append(session.session_id, [MessageAdded(role="user", content=PLAIN)] * 5)
        await manager.save_checkpoint(session.session_id, {"said": PLAIN})
    nodes = {client.get_node_from_key(manager.store.keys.events(session.session_id)).port for session in made}
    assert len(nodes) == 3
    await manager.retention.archive(made[0].session_id, tmp_path)
    assert await _keys_with(client, PLAIN)
    done = await manager.erase_user(USER)
    assert (done.sessions, done.events, done.checkpoints, done.files) == (12, 12 * 8, 12, 1)
    assert await _keys_with(client, PLAIN, USER) == []
    found = [one async for one in manager.audit.verify_all()]
    assert sum(one.erased for one in found) == 12 * 8
    assert all(one.ok and not one.unproven for one in found)
    assert (await manager.rebuild()).sessions == 13
    assert await manager.get_session(other.session_id)
    assert (await manager.erase_user(USER)).sessions == 0


async def _keys_with(client: RedisCluster, *texts: str) -> list[str]:
    """Return the keys that hold one of the texts, as DUMP gives them: short values are not packed in it."""
    for node in client.get_primaries():
        await client.config_set("rdbcompression", "no", target_nodes=node)
    found = []
    async for key in client.scan_iter(count=1000):
        data = key + (await client.dump(key) or b"")
        if any(text.encode() in data for text in texts):
            found.append(key.decode())
    return found
