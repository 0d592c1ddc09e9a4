"""Consumer groups on a Cluster: every event handled, views exact, while slots move and primaries are replaced."""

from __future__ import annotations

import asyncio
from typing import Any

from sessionstream import NoteAdded, Projection, SessionManager
from sessionstream.projection import Increment, Operation, counters, view
from sessionstream.wire.cluster.slots import slot_of
from tests.cluster.conftest import Open
from tests.cluster.test_moving_slots import elsewhere
from tests.clusters import TestCluster
from tests.sessions.waiting import until

COUNT, OWN = counters("count"), view("own")


class Writing:
    """Appends notes to some sessions until told to stop, and knows how many."""

    def __init__(self, manager: SessionManager, ids: list[str]) -> None:
        self._manager = manager
        self._ids = ids
        self._stopped = False
        self.count = len(ids)

    async def run(self) -> None:
        """Append until `stop` is called."""
        while not self._stopped:
            await asyncio.gather(*(self._manager.append(one, NoteAdded(text="x")) for one in self._ids))
            self.count += len(self._ids)
            await asyncio.sleep(0.01)

    def stop(self) -> None:
        """Append nothing more."""
        self._stopped = True


async def test_every_event_is_handled_while_slots_move_and_primaries_change(
    cluster: TestCluster, open_manager: Open
) -> None:
    """G26, G27: by two members, whose partitions lie on all nodes; each event counts once in views."""
    manager, other = open_manager(), open_manager()
    ids = [(await manager.create_session("u", "a")).session_id for _ in range(12)]
    slots = sorted({slot_of(manager.store.keys.log(manager.store.keys.partition(one))) for one in ids})[:3]
    orders: dict[str, list[int]] = {}

    async def handle(item: Any) -> None:
        orders.setdefault(item.session_id, []).append(item.event.version)
        item.apply(Increment(COUNT, "n", 1), Increment(OWN, "n", 1))

    def move(slot: int) -> None:
        with cluster.slot_on_its_way(slot, elsewhere(cluster, slot)[1]) as more:
            for _ in range(4):
                more(1)

    async def caught_up() -> bool:
        return (await manager.consumers.status("g")).lag == 0

    writing = Writing(manager, ids)
    async with manager.consumers.join("g", handle, lease=10.0), other.consumers.join("g", handle, lease=10.0):
        task = asyncio.create_task(writing.run())
        for slot in slots:
            await asyncio.to_thread(move, slot)
        await asyncio.to_thread(cluster.fail_over, cluster.primaries()[0])
        writing.stop()
        await task
        await until(caught_up)
    views = manager.consumers.view("g")
    assert await views.counters(COUNT) == {"n": writing.count}
    for session_id, versions in orders.items():
        first = list(dict.fromkeys(versions))
        assert first == list(range(1, len(first) + 1))
        assert await views.fields(OWN, session_id) == {"n": str(len(first)).encode()}


async def test_a_projection_is_built_over_all_nodes(cluster: TestCluster, open_manager: Open) -> None:
    """G28: its partitions lie on all of them, and it is switched to in one step."""
    manager = open_manager()
    ids = [(await manager.create_session("u", "a")).session_id for _ in range(12)]
    projection = Projection("notes")

    @projection.on(NoteAdded)
    def _(session_id: str, event: NoteAdded) -> list[Operation]:
        return [Increment(COUNT, "n", 1)]

    await asyncio.gather(*(manager.append(one, NoteAdded(text="x")) for one in ids))
    views = manager.consumers.projected(projection)
    async with manager.consumers.project(projection) as projector:
        await projector.in_use()
        for one in ids:
            await views.wait_until(await manager.append(one, NoteAdded(text="y")))
        assert await views.counters(COUNT) == {"n": 24}
        await manager.consumers.rebuild(projection)
        assert await views.counters(COUNT) == {"n": 24}
    assert await manager.consumers.drop(projection)
