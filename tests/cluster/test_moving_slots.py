"""Slots that move key by key while everybody writes: MOVED and ASK are followed, and nothing is lost or doubled.

G3.
"""

from __future__ import annotations

import asyncio
import time

from sessionstream import NoteAdded
from sessionstream.wire.cluster.slots import slot_of
from tests.cluster.conftest import Open
from tests.cluster.writers import Writers
from tests.clusters import Node, TestCluster


def refusals(cluster: TestCluster, code: str) -> int:
    """Count the error replies of a kind that the nodes have given."""
    stats = [node.section("errorstats").get(f"errorstat_{code}", "count=0") for node in cluster.nodes]
    return sum(int(stat.removeprefix("count=")) for stat in stats)


def elsewhere(cluster: TestCluster, slot: int) -> tuple[Node, Node]:
    """Return the node that has a slot, and another primary."""
    owner = cluster.owner(slot)
    return owner, next(node for node in cluster.primaries() if node is not owner)


async def test_nothing_is_lost_or_doubled_while_slots_move(cluster: TestCluster, open_manager: Open) -> None:
    """Each append is acknowledged, once."""
    manager, reader = open_manager(), open_manager()
    writers = Writers(manager)
    await writers.prepare()
    keys = manager.store.keys
    slots = sorted({slot_of(keys.log(keys.partition(one))) for one in writers.sessions})[:5]

    def move(slot: int) -> None:
        with cluster.slot_on_its_way(slot, elsewhere(cluster, slot)[1]) as more:
            for _ in range(4):
                more(1)
                time.sleep(0.02)
            while more(100):
                pass
            time.sleep(0.05)

    moved, asked = refusals(cluster, "MOVED"), refusals(cluster, "ASK")
    async with writers.at_work():
        await writers.progress()
        for slot in slots:
            await asyncio.to_thread(move, slot)
            await writers.progress(50)
    assert refusals(cluster, "MOVED") > moved
    assert refusals(cluster, "ASK") > asked
    assert (writers.unknown, writers.refused) == (set(), {})
    assert await writers.balance(reader) == 0


async def test_a_session_whose_keys_have_all_moved_is_asked_for_at_the_next_node(
    cluster: TestCluster, open_manager: Open
) -> None:
    """Reads and appends go behind ASKING while its slot is on its way, and the map is left as it is."""
    manager = open_manager()
    session_id = (await manager.create_session("user", "agent")).session_id
    keys = manager.store.keys
    slot = slot_of(keys.log(keys.partition(session_id)))
    owner, other = elsewhere(cluster, slot)
    with cluster.slot_on_its_way(slot, other) as move:
        await asyncio.to_thread(move, 1000)
        asked = refusals(cluster, "ASK")
        for number in range(5):
            await manager.append(session_id, NoteAdded(text=str(number)))
        assert [event.version async for event in manager.history(session_id)] == [1, 2, 3, 4, 5, 6]
        session = await manager.get_session(session_id)
        assert session is not None
        assert session.version == 6
        assert refusals(cluster, "ASK") - asked >= 7
        assert manager.store.server.node_of(keys.head(session_id)) == ("127.0.0.1", owner.port)
    assert await manager.session_exists(session_id)
    assert manager.store.server.node_of(keys.head(session_id)) == ("127.0.0.1", other.port)


async def test_a_slot_that_has_moved_is_learnt_from_one_refusal(cluster: TestCluster, open_manager: Open) -> None:
    """The next call goes where the slot is."""
    manager = open_manager()
    session_id = (await manager.create_session("user", "agent")).session_id
    slot = slot_of(manager.store.keys.head(session_id))
    with cluster.slot_on_its_way(slot, elsewhere(cluster, slot)[1]):
        pass
    before = refusals(cluster, "MOVED")
    for _ in range(10):
        assert await manager.get_session(session_id) is not None
    assert 1 <= refusals(cluster, "MOVED") - before <= 2  # a read asks for two keys in one write


async def test_a_lock_is_released_while_its_slot_is_on_its_way(cluster: TestCluster, open_manager: Open) -> None:
    """The channel of its waiters is no key that a moving slot would be searched for."""
    manager = open_manager()
    session_id = (await manager.create_session("user", "agent")).session_id
    slot = slot_of(manager.store.keys.head(session_id))
    lock = await manager.acquire_lock(session_id)
    assert lock is not None
    with cluster.slot_on_its_way(slot, elsewhere(cluster, slot)[1]):
        async with asyncio.timeout(5):
            assert await manager.release_lock(session_id, lock)
