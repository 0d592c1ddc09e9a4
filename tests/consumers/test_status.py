"""What is read of a group, and what is done to it from outside (G26, G29)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import NoteAdded, SessionManager
from sessionstream.consumers import positions_of_groups
from sessionstream.errors import FeedTrimmed, GroupNotFound, InvalidArgument
from sessionstream.feed.cursor import number_of
from sessionstream.feed.reading import newest, oldest
from sessionstream.projection import Increment, counters, view
from tests.consumers.conftest import QUICK, MakeManager
from tests.consumers.joining import Seen, add_notes, caught_up
from tests.sessions.waiting import now_ms, until


async def _make_group(manager: SessionManager, group: str = "g", **given: Any) -> None:
    """Make a group whose only member has left."""
    async with manager.consumers.join(group, **given):
        pass


async def test_lag_is_counted_in_events(manager: SessionManager, session_id: str) -> None:
    """Point 3: what is appended together counts as many; of several partitions it is the sum."""
    await _make_group(manager)
    await manager.append(session_id, [NoteAdded(text=str(number)) for number in range(7)])
    await manager.create_session("u", "a", session_id="sess_2")
    status = await manager.consumers.status("g")
    assert status.lag == 9
    assert sorted(one.lag for one in status.partitions if one.lag) == [1, 8]


async def test_far_behind_the_lag_is_at_least_what_is_told(manager: SessionManager, session_id: str) -> None:
    """Beyond 1,000 appends of a partition each counts as one event."""
    await _make_group(manager)
    pairs = [NoteAdded(text="a"), NoteAdded(text="b")]
    await asyncio.gather(*(manager.append(session_id, pairs) for _ in range(1_100)))
    assert 2_101 <= (await manager.consumers.status("g")).lag <= 2_201


async def test_lag_in_seconds_is_the_age_of_what_comes_next(
    manager: SessionManager, session_id: str, client: Redis
) -> None:
    """By the server's clock, from the append on; 0 when nothing is behind."""
    await _make_group(manager)
    await add_notes(manager, session_id, "a")
    appended = (await manager.get_session(session_id)).created_at.timestamp()  # type: ignore[union-attr]
    before = await now_ms(client)
    status = await manager.consumers.status("g")
    after = await now_ms(client)
    assert before / 1000 - appended - 0.002 <= status.lag_seconds <= after / 1000 - appended + 0.002
    async with manager.consumers.join("g", Seen()):
        await caught_up(manager)
    assert (await manager.consumers.status("g")).lag_seconds == 0.0


async def test_a_group_without_work_is_active_and_one_that_nobody_works_on_is_stalled(
    manager: SessionManager, session_id: str
) -> None:
    """Point 3: health. Who holds a partition and handles nothing for too long stalls as well."""
    await _make_group(manager, after="now")
    assert (await manager.consumers.status("g")).health == "active"
    await add_notes(manager, session_id, "a")
    assert (await manager.consumers.status("g")).health == "stalled"
    begun, let_go = asyncio.Event(), asyncio.Event()

    async def slow(item: Any) -> None:
        begun.set()
        await let_go.wait()

    async with manager.consumers.join("g", slow):
        await begun.wait()
        assert (await manager.consumers.status("g")).health == "active"
        await until(lambda: _is_stalled(manager, 0.01))
        let_go.set()
        status = await caught_up(manager)
        assert status.health == "active"
        assert any(one.moved_at is not None for one in status.partitions)


async def _is_stalled(manager: SessionManager, after: float) -> bool:
    return (await manager.consumers.status("g", stalled_after=after)).health == "stalled"


async def test_an_unknown_group_is_a_clear_error(manager: SessionManager) -> None:
    """Bad input: it names the group and says what to do; deleting one is no error."""
    calls = (
        lambda: manager.consumers.status("never"),
        lambda: manager.consumers.parked("never"),
        lambda: manager.consumers.discard("never"),
        lambda: manager.consumers.reset("never", "now"),
        lambda: manager.consumers.skip("never"),
    )
    for call in calls:
        with pytest.raises(GroupNotFound, match="'never'") as refused:
            await call()
        assert refused.value.group == "never"
    assert not await manager.consumers.delete("never")
    with pytest.raises(InvalidArgument):
        await manager.consumers.status("no name")


async def test_groups_are_listed(manager: SessionManager) -> None:
    """By name, without a scan."""
    for group in ("b", "a"):
        await _make_group(manager, group)
    assert await manager.consumers.groups() == ["a", "b"]


async def test_a_deleted_group_leaves_nothing(manager: SessionManager, session_id: str, client: Redis) -> None:
    """Neither positions nor what is parked nor its views; its members end."""
    seen = Seen(2)

    async def handle(item: Any) -> None:
        item.apply(Increment(counters("count"), "n", 1), Increment(view("own"), "n", 1))
        await seen(item)

    await add_notes(manager, session_id, "a")
    async with manager.consumers.join("g", handle, attempts=1, **QUICK) as consumer:
        await caught_up(manager)
        assert await manager.consumers.delete("g")
        with pytest.raises(GroupNotFound):
            await consumer.run()
    keys = [key async for key in client.scan_iter("*") if b"g" in key.rpartition(b"}:")[2].split(b":")]
    assert keys == []
    assert [key async for key in client.scan_iter("*@g*")] == []


async def test_a_group_is_moved_while_its_members_live(manager: SessionManager, session_id: str) -> None:
    """Back to the beginning, and to a cursor; what comes is what stands behind that."""
    seen = Seen()
    await add_notes(manager, session_id, "a", "b")
    async with manager.consumers.join("g", seen, **QUICK):
        await caught_up(manager)
        await manager.consumers.reset("g", "beginning")
        await until(lambda: len(seen.items) == 6)
        await caught_up(manager)
        cursor = await newest(manager.store)
        await add_notes(manager, session_id, "c")
        await caught_up(manager)
        await manager.consumers.reset("g", str(cursor))
        await until(lambda: len(seen.items) == 8)
    assert seen.versions == [1, 2, 3, 1, 2, 3, 4, 4]


async def test_what_is_gone_from_the_feed_is_never_passed_over_in_silence(
    manager: SessionManager, session_id: str, client: Redis
) -> None:
    """Point 3: a gap error with the range that is gone; to skip it is somebody's decision."""
    await _make_group(manager)
    await add_notes(manager, session_id, *map(str, range(4)))
    partition = manager.store.keys.partition(session_id)
    await client.xtrim(manager.store.keys.feed(partition), maxlen=2, approximate=False)
    kept = (await oldest(manager.store)).positions[partition]
    async with manager.consumers.join("g", Seen()) as consumer:
        with pytest.raises(FeedTrimmed) as gap:
            await consumer.run()
    assert (gap.value.partition, number_of(gap.value.after), gap.value.first) == (partition, 0, kept)
    assert await manager.consumers.skip("g") == number_of(kept) == 3
    assert await manager.consumers.skip("g") == 0
    seen = Seen()
    async with manager.consumers.join("g", seen):
        await caught_up(manager)
    assert seen.versions == [4, 5]


async def test_who_trims_can_read_where_each_group_stands(manager: SessionManager, session_id: str) -> None:
    """The slowest one holds back what it needs: `positions_of_groups`."""
    await _make_group(manager, "slow")
    async with manager.consumers.join("quick", Seen()):
        await caught_up(manager, "quick")
    found = await positions_of_groups(manager.store, manager.store.keys.partition(session_id))
    assert {name: number_of(position) for name, position in found.items()} == {"slow": 0, "quick": 1}


async def test_removed_sessions_are_passed_over_and_counted(make_manager: MakeManager, client: Redis) -> None:
    """What a purge has removed is gone; it stalls nothing, and what is parked or kept of it goes too."""
    manager = make_manager()
    ids = [(await manager.create_session("u", "a", session_id=f"sess_{number}")).session_id for number in range(3)]
    await add_notes(manager, ids[0], "a", "b")
    await manager.delete_session(ids[0], purge=True)
    seen = Seen()

    async def handle(item: Any) -> None:
        item.apply(Increment(view("own"), "n", 1))
        await seen(item)
        if item.session_id == ids[1] and item.event.version == 2:
            raise ValueError

    async with manager.consumers.join("g", handle, attempts=1, **QUICK):
        status = await caught_up(manager)
        assert status.count("gone") == 4
        assert sorted(item.session_id for item in seen.items) == ids[1:]
        await add_notes(manager, ids[1], "a")
        await caught_up(manager)
        assert len(await manager.consumers.parked("g")) == 1
        await manager.delete_session(ids[1], purge=True)
        await until(lambda: _nothing_parked(manager))
        assert await manager.consumers.view("g").fields(view("own"), ids[1]) == {}
        assert await manager.consumers.view("g").fields(view("own"), ids[2]) == {"n": b"1"}


async def _nothing_parked(manager: SessionManager) -> bool:
    return not await manager.consumers.parked("g") and (await manager.consumers.status("g")).lag == 0


async def test_views_go_with_a_session_that_is_removed_before_it_was_handled(
    manager: SessionManager, client: Redis
) -> None:
    """Its events were read, and its removal, before any of them was handled: nothing of it is left behind."""
    session_id = (await manager.create_session("u", "a")).session_id
    begun, let_go = asyncio.Event(), asyncio.Event()

    async def handle(item: Any) -> None:
        begun.set()
        await let_go.wait()
        item.apply(Increment(view("own"), "n", 1))

    async with manager.consumers.join("g", handle):
        await begun.wait()
        await manager.delete_session(session_id, purge=True)
        await manager.create_session("u", "a", session_id=session_id)
        let_go.set()
        await caught_up(manager)
    assert await manager.consumers.view("g").fields(view("own"), session_id) == {"n": b"1"}
