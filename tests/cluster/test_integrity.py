"""Seals and verification on a Cluster: all keys of a session lie on one node, and sessions on all of them (G32)."""

from __future__ import annotations

import asyncio
from pathlib import Path

from redis.asyncio import RedisCluster

from sessionstream import NoteAdded
from sessionstream.integrity.reporting import Kind
from tests.cluster.conftest import Open


async def test_sessions_of_all_nodes_are_sealed_and_verified(
    open_manager: Open, client: RedisCluster, tmp_path: Path
) -> None:
    """With an anchor; the one that was altered is named, and no other."""
    manager = open_manager(seal_key="0" * 32)
    ids = [f"sess_{number}" for number in range(20)]
    await asyncio.gather(*(manager.create_session("user", "agent", session_id=one) for one in ids))
    await asyncio.gather(*(manager.append(one, [NoteAdded(text="a"), NoteAdded(text="b")]) for one in ids))
    anchor = tmp_path / "anchor"
    sealed = {one.session_id: one.version async for one in manager.audit.seal_all(anchor=anchor)}
    assert sealed == dict.fromkeys(ids, 3)
    key = manager.store.keys.events(ids[7])
    await client.xdel(key, (await client.xrange(key))[1][0])
    found = {one.session_id: one async for one in manager.audit.verify_all(anchor=anchor)}
    assert sorted(found) == sorted(ids)
    assert [name for name, one in found.items() if not one.ok] == [ids[7]]
    assert [(one.kind, one.version) for one in found[ids[7]].findings] == [(Kind.REMOVED, 2)]
