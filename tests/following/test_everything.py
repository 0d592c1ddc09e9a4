"""Following all sessions: each partition in commit order, from a cursor that can be stored. (G24)"""

from __future__ import annotations

import asyncio

import pytest

from sessionstream import Cursor, NoteAdded, RecordedEvent, SessionManager
from sessionstream.errors import CursorMismatch, FeedTrimmed, HistoryTrimmed, InvalidArgument, UnknownPosition
from sessionstream.feed.cursor import BEGINNING
from sessionstream.feed.owners import Owners
from sessionstream.log.feed import Pointer
from tests.following.conftest import Noted, Open
from tests.proxy import Proxy
from tests.topologies import through

_IDS = [f"s{number}" for number in range(20)]


@pytest.fixture
async def busy(open_manager: Open) -> SessionManager:
    """A manager with 20 sessions of two agents and two users, which have three events each."""
    manager = open_manager()
    for number, one in enumerate(_IDS):
        await manager.create_session(f"user_{number % 2}", f"agent_{number // 10}", session_id=one)
    await asyncio.gather(*(manager.append(one, [NoteAdded(text="x")] * 2) for one in _IDS))
    return manager


async def _take(manager: SessionManager, **options: object) -> list[RecordedEvent]:
    """Return what is given until there is no more."""
    found: list[RecordedEvent] = []
    async with Noted[RecordedEvent](manager.follow_all(**options)) as noted:  # type: ignore[arg-type]
        assert await noted.events.caught_up
        found += noted.items
    return found


def _versions(events: list[RecordedEvent]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for event in events:
        found.setdefault(event.session_id, []).append(event.version)
    return found


async def test_everything_is_given_then_what_comes(busy: SessionManager) -> None:
    """Each session's events once and in order, also of those that are created meanwhile."""
    async with Noted[RecordedEvent](busy.follow_all()) as noted:
        assert _versions(await noted.has(60)) == {one: [1, 2, 3] for one in _IDS}
        await busy.create_session("user_1", "agent_1", session_id="new")
        await busy.append("new", NoteAdded(text="x"))
        await busy.append("s0", NoteAdded(text="x"))
        assert _versions(await noted.has(63)) == {one: [1, 2, 3] for one in _IDS} | {"new": [1, 2], "s0": [1, 2, 3, 4]}


async def test_each_partition_comes_in_commit_order(open_manager: Open) -> None:
    """Its events as the server took them, whatever the session."""
    manager, other = open_manager(partitions=1), open_manager(partitions=1)
    await asyncio.gather(*(manager.create_session("user_1", "agent_1", session_id=one) for one in _IDS))
    async with Noted[RecordedEvent](manager.follow_all(after="now", buffer=7)) as noted:
        appending = [(manager, other)[n % 2].append(_IDS[n * 7 % 20], NoteAdded(text=str(n))) for n in range(300)]
        await asyncio.gather(*appending)
        found = await noted.has(300)
    keys = manager.store.keys
    entries = await manager.store.server.call("XRANGE", keys.feed(0), "-", "+")
    committed = [word.decode() for entry in entries for word in entry[1][::2]][20:]
    assert [event.session_id for event in found] == committed


async def test_a_cursor_that_was_stored_goes_on_behind_what_was_given(busy: SessionManager) -> None:
    """From every place: what is given before and behind it is everything, once."""
    for count in range(0, 61, 7):
        before: list[RecordedEvent] = []
        async with busy.follow_all() as events:
            while len(before) < count:
                before.append(await anext(events))
            stored = str(events.cursor)
        after = await _take(busy, after=stored)
        known = {(one.session_id, one.offset) for one in before}
        # An append of two events of which one was given comes again.
        again = [event for event in after if (event.session_id, event.offset) in known]
        assert len(again) <= 1
        given = before + [event for event in after if event not in again]
        assert _versions(given) == {one: [1, 2, 3] for one in _IDS}


async def test_the_cursor_moves_on_over_what_is_not_wanted(busy: SessionManager) -> None:
    """So it is not read again."""
    async with Noted[RecordedEvent](busy.follow_all(types=["session.deleted"])) as noted:
        assert await noted.events.caught_up
        assert noted.items == []
        assert await _take(busy, after=noted.events.cursor) == []


async def test_a_namespace_that_is_not_made_yet_can_be_followed(open_manager: Open) -> None:
    """Its first event comes when it is there."""
    manager = open_manager()
    async with Noted[RecordedEvent](open_manager().follow_all()) as noted:
        assert await noted.events.caught_up
        await manager.create_session("user_1", "agent_1", session_id="s0")
        assert _versions(await noted.has(1)) == {"s0": [1]}


async def test_several_threads_follow_by_one_manager(busy: SessionManager) -> None:
    """Each event loop has a connection of its own."""

    async def follow() -> dict[str, list[int]]:
        async with busy.follow_all(agents=["agent_0", "agent_1"]) as events:
            found = _versions([await anext(events) for _ in range(60)])
        await busy.aclose()
        return found

    found = await asyncio.gather(*(asyncio.to_thread(asyncio.run, follow()) for _ in range(3)))
    assert found == [{one: [1, 2, 3] for one in _IDS}] * 3


async def test_now_leaves_out_what_there_is(busy: SessionManager) -> None:
    """Only what is appended afterwards is given."""
    async with Noted[RecordedEvent](busy.follow_all(after="now")) as noted:
        appended = await busy.append("s3", NoteAdded(text="x"))
        assert [event.offset for event in await noted.has(1)] == [appended.offset]


async def test_types_agents_users_and_sessions_are_chosen(busy: SessionManager) -> None:
    """All that is named has to be met."""
    assert _versions(await _take(busy, types=["session.created"])) == {one: [1] for one in _IDS}
    assert _versions(await _take(busy, types=[NoteAdded])) == {one: [2, 3] for one in _IDS}
    assert set(_versions(await _take(busy, agents=["agent_1"]))) == set(_IDS[10:])
    assert set(_versions(await _take(busy, users=["user_0"]))) == set(_IDS[::2])
    assert set(_versions(await _take(busy, users=["user_0"], agents=["agent_1"]))) == set(_IDS[10::2])
    assert _versions(await _take(busy, sessions=["s4", "s5"])) == {"s4": [1, 2, 3], "s5": [1, 2, 3]}
    assert await _take(busy, agents=[]) == []


async def test_whose_a_session_is_is_asked_once(busy: SessionManager, open_manager: Open, proxy: Proxy) -> None:
    """Not at every event; and of those that are not wanted nothing is read but the pointer."""
    behind = open_manager(**through(proxy))
    async with Noted[RecordedEvent](behind.follow_all(agents=["agent_1"])) as noted:
        await noted.has(30)
        assert await noted.events.caught_up
        assert any(b"user_id" in request for request in proxy.requests)
        proxy.requests.clear()
        for _ in range(10):
            await busy.append("s3", NoteAdded(text="x"))
            await busy.append("s12", NoteAdded(text="x"))
        await noted.has(40)
    assert not any(b"user_id" in request or b"events:s3\r" in request for request in proxy.requests)


async def test_few_owners_are_remembered(busy: SessionManager) -> None:
    """Those that were asked for last."""
    owners = Owners(busy.store, most=5)
    told = [Pointer(number, one, "1-2", 1, f"1-{number}") for number, one in enumerate(_IDS, 1)]
    for one in told:
        await owners.learn([one])
    assert len(owners._known) == 5
    assert owners.known("s19").agent_id == "agent_1"
    await owners.learn(told)
    assert owners.known("s0").agent_id == "agent_0"


async def test_malformed_options_are_refused(manager: SessionManager) -> None:
    """Before anything is sent."""
    for options in (
        {"after": "x"},
        {"after": 5},
        {"types": "session.created"},
        {"types": [int]},
        {"agents": "agent_1"},
        {"users": [1]},
        {"sessions": [""]},
        {"buffer": 0},
    ):
        with pytest.raises((InvalidArgument, TypeError)):
            manager.follow_all(**options)  # type: ignore[arg-type]


async def test_a_cursor_of_elsewhere_is_refused(busy: SessionManager, open_manager: Open) -> None:
    """Of another namespace, or another number of partitions."""
    async with busy.follow_all(after="now") as events:
        stored = str(events.cursor)
    for other in (open_manager(namespace="another"), open_manager(partitions=8)):
        with pytest.raises(CursorMismatch):
            other.follow_all(after=stored)


async def test_a_cursor_past_the_end_is_refused(busy: SessionManager) -> None:
    """By the number of pointers that it has behind it."""
    async with busy.follow_all(after="now") as events:
        cursor = events.cursor
    partition = busy.store.keys.partition("s0")
    ms, _, number = cursor.positions[partition].partition("-")
    async with busy.follow_all(after=cursor.at(partition, f"{ms}-{int(number) + 1}")) as events:
        with pytest.raises(UnknownPosition):
            await anext(events)


async def test_a_cursor_behind_the_trim_is_an_error(open_manager: Open) -> None:
    """With the position from which the feed is whole; what other partitions have is not kept back by it."""
    manager = open_manager(partitions=2)
    for one in _IDS:
        await manager.create_session("user_1", "agent_1", session_id=one)
    await manager.append("s0", NoteAdded(text="x"))
    keys = manager.store.keys
    partition = keys.partition("s0")
    await manager.store.server.call("XTRIM", keys.feed(partition), "MAXLEN", 1)
    given = []
    async with manager.follow_all(after=Cursor.beginning(keys)) as events:
        with pytest.raises(FeedTrimmed) as caught:
            async for event in events:
                given.append(event)
        assert {keys.partition(event.session_id) for event in given} == {1 - partition}
        cursor = events.cursor.at(caught.value.partition, caught.value.first)
    assert (caught.value.partition, caught.value.after) == (partition, BEGINNING)
    assert _versions(await _take(manager, after=cursor)) == {"s0": [2]}
    assert _versions(await _take(manager))["s0"] == [2]


async def test_a_removed_session_is_told_of_as_retired(busy: SessionManager) -> None:
    """Nothing else of it is given, and nothing is kept back by it; its owner is known where it was asked for."""
    async with Noted[RecordedEvent](busy.follow_all(agents=["agent_0"])) as noted:
        await noted.has(30)
        assert await busy.delete_session("s4", purge=True)
        found = (await noted.has(31))[30:]
        if found[0].type == "session.deleted":
            found = (await noted.has(32))[31:]
    assert [(event.type, event.session_id, event.version) for event in found] == [("session.retired", "s4", 4)]
    assert (found[0].data.user_id, found[0].data.agent_id) == ("user_0", "agent_0")
    again, once_more = await _take(busy), await _take(busy)
    told = [event for event in again if event.session_id == "s4"]
    assert [event.type for event in told] == ["session.retired"]
    assert [event.id for event in once_more if event.session_id == "s4"] == [told[0].id]
    assert _versions(again) == {one: [1, 2, 3] for one in _IDS if one != "s4"} | {"s4": [4]}
    assert await _take(busy, types=["session.retired"], sessions=["s5"]) == []


async def test_another_session_under_a_removed_ones_id_is_given(busy: SessionManager) -> None:
    """With its own events, behind the retirement."""
    await busy.delete_session("s4", purge=True)
    await busy.create_session("user_0", "agent_1", session_id="s4")
    told = [event for event in await _take(busy) if event.session_id == "s4"]
    assert [(event.type, event.version) for event in told] == [("session.retired", 4), ("session.created", 1)]


async def test_trimmed_events_of_a_kept_session_are_said_once(busy: SessionManager) -> None:
    """By an error, behind which the iteration goes on."""
    [*_, last] = [event.offset async for event in busy.history("s4")]
    await busy.store.server.call("XTRIM", busy.store.keys.events("s4"), "MAXLEN", 1)
    given: list[RecordedEvent] = []
    errors = []
    async with busy.follow_all() as events:
        while len(given) < 58:
            try:
                given.append(await anext(events))
            except HistoryTrimmed as error:
                errors.append(error)
    assert [(error.session_id, error.first) for error in errors] == [("s4", last)]
    assert _versions(given) == {one: [1, 2, 3] for one in _IDS if one != "s4"} | {"s4": [3]}
