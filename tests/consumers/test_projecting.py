"""Projections that are run from the feed: built beside, switched to, kept up, waited for."""

from __future__ import annotations

import asyncio
import itertools
import signal
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import NoteAdded, Projection, SessionManager
from sessionstream.consumers.projected import Projected
from sessionstream.errors import EventTypeError, GroupNotFound, InvalidArgument, NotProjected, ProjectionReplaced
from sessionstream.fold import Spot, fold
from sessionstream.projection import HEAD, Increment, Operation, Put
from tests.consumers.conftest import NOTING, MakeManager
from tests.consumers.forks import Forks
from tests.consumers.joining import add_notes
from tests.consumers.noting import BUSY, LATEST, TEXTS, TOTALS, notes
from tests.servers import Server
from tests.sessions.waiting import until


async def _sessions(manager: SessionManager, count: int) -> list[str]:
    ids = [f"sess_{number}" for number in range(count)]
    for session_id in ids:
        await manager.create_session("u", "a", session_id=session_id)
        await add_notes(manager, session_id, "a", "b")
    return ids


@pytest.mark.guarantee
async def test_the_views_hold_what_was_there_and_what_comes(manager: SessionManager) -> None:
    """Point 4: built from the sessions' own streams, whatever the feed still has, then kept up from it."""
    ids = await _sessions(manager, 5)
    views = manager.consumers.projected(notes())
    async with manager.consumers.project(notes()) as projector:
        await projector.in_use()
        assert await views.counters(TOTALS) == {"notes": 10, "sessions": 5}
        appended = await manager.append(ids[0], NoteAdded(text="c"))
        await views.wait_until(appended)
        found = await views.fields(LATEST, ids[0])
        assert found == {"text": b"c", "offset": appended.offset.encode(), "worth": b"1"}
        assert (await views.index(BUSY, limit=1)) == [(ids[0], 4.0)]
        assert list(await views.ranking(TEXTS, ids[0])) == ["a", "b", "c"]
    assert await views.version() == 1


@pytest.mark.guarantee
async def test_what_is_appended_while_it_is_built_counts_once(manager: SessionManager) -> None:
    """G28: neither lost between the streams and the feed, nor counted twice."""
    ids = await _sessions(manager, 20)

    async def write() -> None:
        for number in itertools.count():
            await manager.append(ids[number % len(ids)], NoteAdded(text=str(number)))

    writing = asyncio.create_task(write())
    try:
        for anew in (False, True):
            async with manager.consumers.project(notes(), anew=anew) as projector:
                await projector.in_use()
    finally:
        writing.cancel()
    async with manager.consumers.project(notes()):
        for session_id in ids:
            await manager.consumers.projected(notes()).wait_until(session_id)
        await _assert_as_folded(manager, notes(), ids)


async def _assert_as_folded(manager: SessionManager, projection: Projection, ids: list[str]) -> None:
    """Compare the views with what the same projection makes of the sessions' histories in this process."""
    views = manager.consumers.projected(projection)
    totals = 0
    for session_id in ids:
        folded = fold(session_id, [event async for event in manager.history(session_id)], [projection])
        own = folded.hashes[Spot("notes", LATEST)]
        assert await views.fields(LATEST, session_id) == {name.decode(): value for name, value in own.items()}
        totals += int(folded.hashes[Spot("notes", TOTALS)][b"notes"])
    assert (await views.counters(TOTALS))["notes"] == totals


@pytest.mark.guarantee
async def test_a_new_version_is_built_beside_and_switched_to(make_manager: MakeManager, client: Redis) -> None:
    """Point 4: the old version is read until the new one is complete; then it is gone, and who ran it is told."""
    manager = make_manager()
    ids = await _sessions(manager, 3)
    old, new = notes(1), notes(2, worth=10)
    views = manager.consumers.projected(old)
    async with manager.consumers.project(old, lease=0.6) as running:
        await running.in_use()
        async with make_manager().consumers.project(new) as newer:
            await newer.in_use()
            assert await views.version() == 2
            assert await views.counters(TOTALS) == {"notes": 60, "sessions": 3}
            with pytest.raises(ProjectionReplaced) as replaced:
                await running.run()
            assert (replaced.value.group, replaced.value.current) == ("notes", "2.2")
            await until(lambda: _only(client, b"@notes@2.2"))
            with pytest.raises(InvalidArgument, match="version 2"):
                await manager.consumers.project(old).__aenter__()
    assert await manager.consumers.groups() == ["notes@2.2"]
    assert await views.fields(LATEST, ids[0]) != {}


async def _only(client: Redis, name: bytes) -> bool:
    keys = [key async for key in client.scan_iter("*:@notes@*")]
    return bool(keys) and all(name in key for key in keys)


async def test_a_rebuild_tells_its_progress_and_whoever_runs_it_goes_on_with_it(make_manager: MakeManager) -> None:
    """Point 4: views that somebody has damaged are whole again, while another process keeps them up."""
    manager, other = make_manager(), make_manager()
    ids = await _sessions(manager, 6)
    views, told = manager.consumers.projected(notes()), list[tuple[int, int]]()
    async with other.consumers.project(notes()) as running:
        await running.in_use()
        await manager.consumers.rebuild(notes(), progress=lambda done, total: told.append((done, total)))
        assert told[-1] == (6, 6)
        await views.wait_until(await manager.append(ids[0], NoteAdded(text="c")))
        assert await views.counters(TOTALS) == {"notes": 13, "sessions": 6}


async def test_a_rebuild_may_be_cancelled_at_any_moment(manager: SessionManager) -> None:
    """G28: what is read is the old views or the new ones, never a part; the next one completes it."""
    ids = await _sessions(manager, 12)
    views = manager.consumers.projected(notes())
    async with manager.consumers.project(notes()) as projector:
        await projector.in_use()
    whole = {"notes": 24, "sessions": 12}
    moments = 0
    for turns in (1, 3, 8, 20, 50, 120):
        task = asyncio.create_task(manager.consumers.rebuild(notes()))
        for _ in range(turns):
            await asyncio.sleep(0)
        moments += not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await views.counters(TOTALS) == whole
        assert len(await views.index(BUSY)) == 12
    assert moments >= 3
    await manager.consumers.rebuild(notes())
    assert await views.counters(TOTALS) == whole
    await _assert_as_folded(manager, notes(), ids)
    assert len(await manager.consumers.groups()) == 1


async def test_a_build_that_was_left_off_is_switched_to_with_all_that_came_since(make_manager: MakeManager) -> None:
    """G28: what was read before the switch is not missing behind it; an error of ``progress`` is the caller's."""
    manager = make_manager(partitions=1)
    [session_id] = await _sessions(manager, 1)

    def fail(done: int, total: int) -> None:
        if done == total:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await manager.consumers.rebuild(notes(), progress=fail)
    await manager.append(session_id, [NoteAdded(text=str(number)) for number in range(500)])
    await manager.consumers.rebuild(notes())
    assert await manager.consumers.projected(notes()).counters(TOTALS) == {"notes": 502, "sessions": 1}


async def test_a_build_goes_on_where_a_process_died(
    forks: Forks, server: Server, make_manager: MakeManager, namespace: str
) -> None:
    """G28: what it had begun of a partition is begun anew, so nothing counts twice."""
    manager = make_manager(partitions=1)
    await _sessions(manager, 150)
    assert await forks.wait(forks.start(NOTING, server.unix_url, namespace)) == -signal.SIGKILL
    half = await manager.store.server.call("HGETALL", manager.store.keys.partition_place("@notes@1.1", TOTALS, 0))
    assert half, "it died before it had written anything"
    async with manager.consumers.project(notes(), lease=0.6) as another:
        await another.in_use()
    assert await manager.consumers.projected(notes()).counters(TOTALS) == {"notes": 300, "sessions": 150}


async def test_two_processes_build_it_together(make_manager: MakeManager) -> None:
    """Each has partitions of its own; both see it in use."""
    one, other = make_manager(), make_manager()
    await _sessions(one, 8)
    ours, theirs = one.consumers.project(notes(), lease=0.3), other.consumers.project(notes(), lease=0.3)
    async with ours as first, theirs as second:
        await asyncio.gather(first.in_use(), second.in_use())
        assert await one.consumers.projected(notes()).counters(TOTALS) == {"notes": 16, "sessions": 8}
        assert await one.consumers.groups() == ["notes@1.1"]


async def test_who_waits_for_nothing_is_told(manager: SessionManager) -> None:
    """Point 4: `wait_until` ends in time, where nobody runs the projection, and where it was never built."""
    [session_id] = await _sessions(manager, 1)
    views = manager.consumers.projected(notes())
    with pytest.raises(GroupNotFound, match="not built"):
        await views.wait_until(session_id)
    with pytest.raises(GroupNotFound):
        await views.counters(TOTALS)
    async with manager.consumers.project(notes()) as projector:
        await projector.in_use()
    await views.wait_until(session_id)
    await manager.append(session_id, NoteAdded(text="c"))
    with pytest.raises(NotProjected):
        await views.wait_until(session_id, timeout=0.05)


async def test_a_projection_that_fails_is_said_so(manager: SessionManager) -> None:
    """While it is built that ends it; what comes later is parked, and `wait_until` says that it is."""
    [session_id] = await _sessions(manager, 1)
    bad = Projection("bad")

    @bad.on(NoteAdded)
    def _(session_id: str, event: NoteAdded) -> list[Operation]:
        if event.text == "b":
            return [Put(HEAD, {"a": "b"})]
        if event.text == "d":
            raise ValueError("d")
        return [Increment(TOTALS, "n", 1)]

    async with manager.consumers.project(bad) as projector:
        with pytest.raises(EventTypeError):
            await projector.in_use()
    good = await manager.create_session("u", "a", session_id="sess_good")
    await manager.delete_session(session_id, purge=True)
    views: Projected = manager.consumers.projected(bad)
    async with manager.consumers.project(bad) as projector:
        await projector.in_use()
        appended: Any = await manager.append(good.session_id, NoteAdded(text="d"))
        with pytest.raises(NotProjected, match="parked"):
            await views.wait_until(appended, timeout=30)
        [group] = await manager.consumers.groups()
        assert [one.error for one in await manager.consumers.parked(group)] == ["EventTypeError"]


async def test_views_of_removed_sessions_go_with_them(manager: SessionManager, client: Redis) -> None:
    """Their own views, and their places in indexes; in counters they stay counted until the next rebuild."""
    ids = await _sessions(manager, 2)
    views = manager.consumers.projected(notes())
    async with manager.consumers.project(notes()) as projector:
        await projector.in_use()
        await manager.delete_session(ids[0], purge=True)
        await views.wait_until(ids[0])
        assert await views.fields(LATEST, ids[0]) == {}
        assert [session_id for session_id, _ in await views.index(BUSY)] == [ids[1]]
        assert (await views.counters(TOTALS))["notes"] == 4
    await manager.consumers.rebuild(notes())
    assert (await views.counters(TOTALS))["notes"] == 2


async def test_a_dropped_projection_leaves_nothing(manager: SessionManager, client: Redis) -> None:
    """Neither views nor groups; a second time there is nothing to drop."""
    await _sessions(manager, 2)
    async with manager.consumers.project(notes()) as projector:
        await projector.in_use()
    assert await manager.consumers.drop(notes())
    assert not await manager.consumers.drop(notes())
    assert await manager.consumers.groups() == []
    assert [key async for key in client.scan_iter("*notes@*")] == []


async def test_views_that_the_feed_has_left_behind_are_built_anew(manager: SessionManager, client: Redis) -> None:
    """Nobody ran the projection for longer than the feed is kept: the sessions' own streams still tell all."""
    ids = await _sessions(manager, 3)
    async with manager.consumers.project(notes()) as projector:
        await projector.in_use()
    for session_id in ids:
        await add_notes(manager, session_id, "c", "d", "e")
    for partition in range(manager.store.keys.partitions):
        await client.xtrim(manager.store.keys.feed(partition), maxlen=1, approximate=False)
    views = manager.consumers.projected(notes())
    async with manager.consumers.project(notes()):
        for session_id in ids:
            await views.wait_until(session_id, timeout=30)
        assert await views.counters(TOTALS) == {"notes": 15, "sessions": 3}
    assert await manager.consumers.groups() == ["notes@1.2"]
