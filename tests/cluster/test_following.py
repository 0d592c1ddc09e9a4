"""Following on a Cluster: nothing is skipped or doubled while slots move and primaries are replaced. (G23, G24)"""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from sessionstream import NoteAdded, RecordedEvent, SessionManager
from sessionstream.feed import ear
from sessionstream.feed.hub import Hub
from sessionstream.wire.cluster.slots import slot_of
from tests.cluster.conftest import Open
from tests.cluster.test_moving_slots import elsewhere
from tests.cluster.writers import Writers
from tests.clusters import TestCluster
from tests.following.conftest import Noted
from tests.sessions.waiting import until


@pytest.fixture(autouse=True)
def _nothing_is_found_out_by_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would be noticed after a silence only is not noticed."""
    monkeypatch.setattr(ear, "_SILENCE", 1_000.0)


async def _versions(reader: SessionManager, session_id: str) -> list[int]:
    return [event.version async for event in reader.history(session_id)]


async def _assert_all_given(
    reader: SessionManager, everything: Noted[RecordedEvent], each: dict[str, Noted[RecordedEvent]]
) -> None:
    """What the histories hold was given once and in order, by the follower of all and by those of one session."""
    histories = {session_id: await _versions(reader, session_id) for session_id in each}
    found = await everything.has(sum(map(len, histories.values())))
    for session_id, versions in histories.items():
        assert [event.version for event in found if event.session_id == session_id] == versions
        assert [event.version for event in await each[session_id].has(len(versions))] == versions


async def test_who_waits_before_anything_was_asked_hears_of_changes(cluster: TestCluster, open_manager: Open) -> None:
    """The nodes are not known yet, and nobody else in this process asks for them."""
    manager = open_manager()
    key = manager.store.keys.feed(0)
    hub = Hub(manager.store.server)
    with hub.watching([key]) as bell:
        await bell.wait()
        async with asyncio.timeout(10):
            assert await bell.wait() == {key}
    await hub.aclose()


async def test_nothing_is_skipped_while_slots_move_and_primaries_change(
    cluster: TestCluster, open_manager: Open
) -> None:
    """Key by key, and by failovers in good order; the followers' process does nothing else."""
    manager, following = open_manager(), open_manager()
    writers = Writers(manager)
    await writers.prepare()
    keys = manager.store.keys
    slots = sorted({slot_of(keys.log(keys.partition(one))) for one in writers.sessions})[:3]

    def move(slot: int) -> None:
        with cluster.slot_on_its_way(slot, elsewhere(cluster, slot)[1]) as more:
            for _ in range(4):
                more(1)

    async with contextlib.AsyncExitStack() as stack:
        everything = await stack.enter_async_context(Noted[RecordedEvent](following.follow_all()))
        each = {one: Noted[RecordedEvent](following.follow(one)) for one in writers.sessions}
        for noted in each.values():
            await stack.enter_async_context(noted)
        async with writers.at_work():
            await writers.progress()
            for slot in slots:
                await asyncio.to_thread(move, slot)
                await writers.progress(50)
            await asyncio.to_thread(cluster.fail_over, cluster.primaries()[0])
            await writers.progress()
        assert (writers.unknown, writers.refused) == (set(), {})
        await _assert_all_given(open_manager(), everything, each)


async def test_one_connection_to_each_node_wakes_all(cluster: TestCluster, open_manager: Open) -> None:
    """Of 100 followers of sessions of their own."""
    manager = open_manager()
    ids = [(await manager.create_session("user_1", "agent_1")).session_id for _ in range(100)]
    async with contextlib.AsyncExitStack() as stack:
        noted = [Noted[RecordedEvent](manager.follow(one)) for one in ids]
        for one in noted:
            await stack.enter_async_context(one)
        await asyncio.gather(*(one.events.caught_up for one in noted))

        def hearing() -> list[int]:
            lists = [node.call("CLIENT", "LIST").decode().splitlines() for node in cluster.primaries()]
            return [sum("flags=t" in line for line in lines) for lines in lists]

        await until(lambda: hearing() == [1, 1, 1])
        await asyncio.gather(*(manager.append(one, NoteAdded(text="x")) for one in ids))
        await asyncio.gather(*(one.has(2) for one in noted))


async def test_an_idle_follower_goes_with_its_slot(cluster: TestCluster, open_manager: Open) -> None:
    """At once: the keys that leave the node are a change."""
    manager, following = open_manager(), open_manager()
    session_id = (await manager.create_session("user_1", "agent_1")).session_id
    slot = slot_of(manager.store.keys.events(session_id))
    async with Noted[RecordedEvent](following.follow(session_id)) as noted:
        assert await noted.events.caught_up
        for count in range(2, 5):
            with cluster.slot_on_its_way(slot, elsewhere(cluster, slot)[1]):
                pass
            appended = await manager.append(session_id, NoteAdded(text="x"))
            async with asyncio.timeout(5):
                assert (await noted.has(count))[-1].offset == appended.offset


async def test_idle_followers_go_to_the_replica_of_a_killed_primary(cluster: TestCluster, open_manager: Open) -> None:
    """Though their process calls nothing that would tell it where to."""
    manager, following = open_manager(), open_manager()
    session_id = (await manager.create_session("user_1", "agent_1")).session_id
    victim = cluster.owner(slot_of(manager.store.keys.events(session_id)))
    async with (
        Noted[RecordedEvent](following.follow(session_id)) as noted,
        Noted[RecordedEvent](following.follow_all(sessions=[session_id])) as everything,
    ):
        assert await noted.events.caught_up
        assert await everything.events.caught_up
        assert victim.call("WAIT", 1, 1_000) == 1
        victim.server.kill()
        appended = await manager.append(session_id, NoteAdded(text="x"))
        assert (await noted.has(2))[-1].offset == appended.offset
        assert (await everything.has(2))[-1].offset == appended.offset


async def test_a_slot_without_keys_that_has_moved_is_found_out(
    cluster: TestCluster, open_manager: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a silence: nothing tells that what does not exist is elsewhere now."""
    monkeypatch.setattr(ear, "_SILENCE", 0.1)
    manager, following = open_manager(), open_manager()
    await manager.create_session("user_1", "agent_1", session_id="first")
    keys = manager.store.keys
    session_id = next(f"s{n}" for n in range(1_000) if keys.partition(f"s{n}") != keys.partition("first"))
    slot = slot_of(keys.feed(keys.partition(session_id)))
    async with Noted[RecordedEvent](following.follow_all()) as noted:
        await noted.has(1)
        with cluster.slot_on_its_way(slot, elsewhere(cluster, slot)[1]):
            pass
        await manager.create_session("user_1", "agent_1", session_id=session_id)
        assert (await noted.has(2))[-1].session_id == session_id
