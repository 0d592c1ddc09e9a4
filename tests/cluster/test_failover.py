"""A primary that is replaced while everybody writes: nothing is doubled, and in good order nothing is lost (G3)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from redis.asyncio import RedisCluster
from redis.asyncio.cluster import ClusterNode

from sessionstream import Appended, NoteAdded, OutcomeUnknown, SessionManager
from sessionstream.wire.cluster.slots import slot_of
from tests.cluster.conftest import Open
from tests.cluster.writers import Writers
from tests.clusters import Node, TestCluster
from tests.proxy import Fault, Proxy


async def test_a_failover_in_good_order_loses_and_doubles_nothing(cluster: TestCluster, open_manager: Open) -> None:
    """Each append is acknowledged, once, over three failovers."""
    writers = Writers(open_manager())
    await writers.prepare()
    async with writers.at_work():
        for primary in cluster.primaries():
            await writers.progress()
            await asyncio.to_thread(cluster.fail_over, primary)
        await writers.progress()
    assert (writers.unknown, writers.refused) == (set(), {})
    assert await writers.balance(open_manager()) == 0


async def test_a_killed_primary_doubles_nothing(
    cluster: TestCluster, open_manager: Open, record_property: Callable[[str, object], None]
) -> None:
    """What it had acknowledged and not yet passed on may be lost; it is counted."""
    # An election has been seen to take longer than the usual deadline, where a machine was busy.
    writers = Writers(open_manager(deadline=60))
    await writers.prepare()
    victim = cluster.primaries()[0]
    async with writers.at_work():
        await writers.progress()
        victim.server.kill()
        await writers.progress(3000)
    assert (writers.unknown, writers.refused) == (set(), {})
    lost = await writers.balance(open_manager())
    record_property("acknowledged_and_lost", lost)
    print(f"SIGKILL: {lost} of {len(writers.acknowledged)} acknowledged appends were lost")
    assert not victim.server.running


async def test_a_primary_that_hangs_doubles_nothing(
    cluster: TestCluster, open_manager: Open, record_property: Callable[[str, object], None]
) -> None:
    """Its successor takes the repeats; the copies that it still holds, and executes when it wakes, do not count."""
    writers = Writers(open_manager(reply_timeout=0.4))
    await writers.prepare()
    victim = cluster.primaries()[0]
    successor = cluster.replica_of(victim)
    async with writers.at_work():
        await writers.progress()
        victim.server.pause()
        async with asyncio.timeout(20):
            while not await asyncio.to_thread(lambda: successor.is_primary):
                await asyncio.sleep(0.02)
        before = set(writers.acknowledged)
        while {text.partition(".")[0] for text in set(writers.acknowledged) - before} != set(map(str, range(24))):
            await writers.progress(50)
        victim.server.resume()
        await writers.progress(500)
        await asyncio.to_thread(cluster.wait_until_whole)
        await writers.progress()
    lost = await writers.balance(open_manager())
    record_property("acknowledged_and_lost", lost)
    print(f"SIGSTOP: {lost} of {len(writers.acknowledged)} acknowledged appends were lost")
    assert writers.refused == {}


async def test_a_primary_that_hangs_for_a_moment_is_waited_for(cluster: TestCluster, open_manager: Open) -> None:
    """Too short for the others to replace it; the repeat comes behind a fence."""
    writers = Writers(open_manager(reply_timeout=0.1))
    await writers.prepare()
    async with writers.at_work():
        for primary in cluster.primaries():
            await writers.progress()
            primary.server.pause()
            await asyncio.sleep(0.35)  # longer than a reply may take, shorter than the node timeout
            primary.server.resume()
        await writers.progress()
    assert (writers.unknown, writers.refused) == (set(), {})
    assert await writers.balance(open_manager()) == 0


async def test_a_node_that_refuses_connections_is_passed_over(cluster: TestCluster, open_manager: Open) -> None:
    """Also if it is the first that the caller's client names."""
    gone, *others = cluster.nodes
    await asyncio.to_thread(gone.server.kill)
    conn = RedisCluster(startup_nodes=[ClusterNode("127.0.0.1", node.port) for node in (gone, *others[:2])])
    manager = open_manager(conn)
    sessions = await asyncio.gather(*(manager.create_session("user", "agent") for _ in range(30)))
    assert await manager.get_total_session_count() == len(sessions)


class Behind:
    """A primary that a manager reaches through a proxy, and a session on it.

    Attributes:
        primary: the node.
        proxy: what stands in front of it.
        manager: reaches all others directly.
        session_id: the session, which has one event.
    """

    def __init__(self, primary: Node, proxy: Proxy, manager: SessionManager) -> None:
        self.primary = primary
        self.proxy = proxy
        self.manager = manager
        self.session_id = ""

    async def begin(self) -> None:
        """Find a session that lies on the primary."""
        place = ("127.0.0.1", self.proxy.port)
        while not self.session_id:
            session = await self.manager.create_session("user", "agent")
            if self.manager.store.server.node_of(self.manager.store.keys.head(session.session_id)) == place:
                self.session_id = session.session_id

    async def texts(self, reader: SessionManager) -> list[str]:
        """Return the session's notes, whose versions have no gap."""
        events = [event async for event in reader.history(self.session_id)]
        assert [event.version for event in events] == list(range(1, len(events) + 1))
        return [event.data.text for event in events if isinstance(event.data, NoteAdded)]


@pytest.fixture
def proxied(cluster: TestCluster) -> Iterator[tuple[Node, Proxy]]:
    """A primary, and a proxy in front of it."""
    primary = cluster.primaries()[0]
    with Proxy(primary.server.socket) as proxy:
        yield primary, proxy


@pytest.fixture
async def behind(cluster: TestCluster, proxied: tuple[Node, Proxy], open_manager: Open) -> Behind:
    """A session on a primary that is reached through a proxy."""
    primary, proxy = proxied
    conn = RedisCluster(
        host="127.0.0.1",
        port=cluster.nodes[0].port,
        address_remap=lambda place: ("127.0.0.1", proxy.port) if place[1] == primary.port else place,
    )
    behind = Behind(primary, proxy, open_manager(conn, reply_timeout=0.3))
    await behind.begin()
    return behind


async def test_a_late_copy_is_kept_out_on_the_node_that_was_left(
    cluster: TestCluster, behind: Behind, open_manager: Open
) -> None:
    """The repeat waits until that node can be told; so it does no harm that it is the primary again when it arrives."""
    proxy = behind.proxy
    keep = proxy.keep_for_later

    def keep_and_hold(*late: Any) -> None:
        keep(*late)
        proxy.hold(requests=True)

    proxy.keep_for_later = keep_and_hold  # type: ignore[method-assign]
    proxy.arm(Fault.LATE_REQUEST, b"interrupted")
    appending = asyncio.create_task(behind.manager.append(behind.session_id, NoteAdded(text="interrupted")))
    while proxy.armed:
        await asyncio.sleep(0.001)
    cluster.replica_of(behind.primary).call("CONFIG", "RESETSTAT")
    successor = await asyncio.to_thread(cluster.fail_over, behind.primary)
    async with asyncio.timeout(10):
        while "cmdstat_cluster|nodes" not in await asyncio.to_thread(successor.section, "commandstats"):
            await asyncio.sleep(0.01)
    assert not appending.done()
    proxy.release()
    assert isinstance(await appending, Appended)
    await asyncio.to_thread(cluster.fail_over, successor)
    proxy.deliver()
    await behind.manager.append(behind.session_id, NoteAdded(text="after"))
    assert await behind.texts(open_manager()) == ["interrupted", "after"]


async def test_what_cannot_be_kept_out_is_not_repeated_elsewhere(
    cluster: TestCluster, behind: Behind, open_manager: Open
) -> None:
    """The node that was left does not answer, and the others have not declared it failed: the outcome is unknown."""
    behind.manager.store.server.deadline = 3.0
    behind.proxy.hold(requests=True)
    appending = asyncio.create_task(behind.manager.append(behind.session_id, NoteAdded(text="interrupted")))
    while not any(b"interrupted" in request for request in behind.proxy.requests):
        await asyncio.sleep(0.001)
    successor = await asyncio.to_thread(cluster.fail_over, behind.primary)
    with pytest.raises(OutcomeUnknown):
        await appending
    reader = open_manager()
    assert await behind.texts(reader) == []
    await asyncio.to_thread(cluster.fail_over, successor)
    behind.proxy.release()
    assert await behind.texts(reader) in ([], ["interrupted"])


async def test_a_primary_that_hangs_is_known_to_have_failed_by_the_address_that_the_caller_has_for_it(
    cluster: TestCluster, behind: Behind, open_manager: Open
) -> None:
    """The others call it by another one; the repeat goes to its successor while it still hangs."""
    successor = cluster.replica_of(behind.primary)
    behind.primary.server.pause()
    appending = asyncio.create_task(behind.manager.append(behind.session_id, NoteAdded(text="repeated")))
    async with asyncio.timeout(20):
        while not await asyncio.to_thread(lambda: successor.is_primary):
            await asyncio.sleep(0.02)
        assert isinstance(await appending, Appended)
    behind.primary.server.resume()
    await asyncio.to_thread(cluster.wait_until_whole)
    assert await behind.texts(open_manager()) == ["repeated"]


async def test_slots_without_a_primary_are_waited_for_until_the_deadline(
    cluster: TestCluster, open_manager: Open
) -> None:
    """A read is unavailable then, and goes through when a primary is back."""
    manager = open_manager()
    session_id = (await manager.create_session("user", "agent")).session_id
    primary = cluster.owner(slot_of(manager.store.keys.head(session_id)))
    replica = cluster.replica_of(primary)
    replica.server.pause()
    primary.server.kill()
    manager.store.server.deadline = 0.5
    with pytest.raises(ConnectionError):
        await manager.get_session(session_id)
    manager.store.server.deadline = 15.0
    reading = asyncio.create_task(manager.get_session(session_id))
    replica.server.resume()
    assert await reading is not None
