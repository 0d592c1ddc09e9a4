"""Appends that wait for replicas, on a Cluster: each for that of its own primary, and across a failover.

G36.
"""

from __future__ import annotations

import asyncio

from sessionstream import NoteAdded
from tests.cluster.conftest import Open
from tests.clusters import TestCluster


async def test_each_append_waits_for_the_replica_of_its_node(cluster: TestCluster, open_manager: Open) -> None:
    """Also when a replica has taken over, and the old primary follows it."""
    manager = open_manager(durability="replicated(1)", deadline=30)
    ids = [(await manager.create_session("user", "agent")).session_id for _ in range(30)]
    for version in (2, 3):
        appended = await asyncio.gather(*(manager.append(one, NoteAdded(text="x")) for one in ids))
        assert {(one.version, one.durability) for one in appended} == {(version, "replicated(1)")}
        await asyncio.to_thread(cluster.fail_over, cluster.primaries()[0])


async def test_a_replica_that_hangs_holds_up_its_own_node_alone(cluster: TestCluster, open_manager: Open) -> None:
    """Appends that lie on others are acknowledged."""
    manager = open_manager(durability="replicated(1)", deadline=30)
    ids = [(await manager.create_session("user", "agent")).session_id for _ in range(12)]
    owners = {one: manager.store.server.node_of(manager.store.keys.head(one)) for one in ids}
    slow = cluster.primaries()[0]
    replica = cluster.replica_of(slow)
    replica.server.pause()
    calls = {one: asyncio.create_task(manager.append(one, NoteAdded(text="x"))) for one in ids}
    there = {one for one, owner in owners.items() if owner is not None and owner[1] == slow.port}
    await asyncio.gather(*(calls[one] for one in ids if one not in there))
    assert not any(calls[one].done() for one in there)
    replica.server.resume()
    assert {one.durability for one in await asyncio.gather(*calls.values())} == {"replicated(1)"}
