"""Pages of the feed follow on each other from any position, and what is gone is said (G24)."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from sessionstream import NoteAdded, SessionManager
from sessionstream.errors import FeedTrimmed, InvalidArgument, UnknownPosition
from sessionstream.events.recorded import at_ms, moment
from sessionstream.feed.cursor import BEGINNING, Cursor, number_of
from sessionstream.feed.reading import newest, oldest, read_events, read_pointers
from sessionstream.lifecycle.retirement import trim_feed
from sessionstream.log.feed import Pointer
from tests.feed.conftest import Open
from tests.sessions.waiting import until_past

_IDS = [f"s{number}" for number in range(12)]


@pytest.fixture
async def full(open_manager: Open) -> SessionManager:
    """A manager with one partition, whose feed has 24 pointers, most of them several to an entry."""
    manager = open_manager(partitions=1)
    await asyncio.gather(*(manager.create_session("user_1", "assistant", session_id=one) for one in _IDS))
    await asyncio.gather(*(manager.append(one, [NoteAdded(text="x")] * 2) for one in _IDS))
    return manager


async def _all(manager: SessionManager, after: str = BEGINNING, count: int = 500) -> list[Pointer]:
    found: list[Pointer] = []
    while page := await read_pointers(manager.store, 0, after, count):
        found += page
        after = page[-1].position
    return found


async def _without_entries(manager: SessionManager, most: int) -> None:
    """Remove the oldest entries, as the trim by age does, and record what is kept."""
    await manager.store.server.call("XTRIM", manager.store.keys.feed(0), "MAXLEN", most)
    kept = await manager.store.server.call("XRANGE", manager.store.keys.feed(0), "-", "+", "COUNT", 1)
    first = int(kept[0][0].decode().partition("-")[2]) + 1 - len(kept[0][1]) // 2 if kept else 25
    await manager.store.server.call("HSET", manager.store.keys.log(0), ":feed_first", first)


@pytest.mark.parametrize("count", [1, 2, 500])
async def test_pages_follow_on_each_other(full: SessionManager, count: int) -> None:
    """Whatever their size, each pointer comes once, in the order of its number."""
    assert [one.number for one in await _all(full, count=count)] == list(range(1, 25))


async def test_a_position_in_the_middle_of_an_entry_goes_on_behind_it(full: SessionManager) -> None:
    """From each of the 24 positions on."""
    whole = await _all(full)
    assert await full.store.server.call("XLEN", full.store.keys.feed(0)) < 24
    for pointer in whole:
        assert await _all(full, pointer.position, 1) == whole[pointer.number :]


async def test_the_events_of_pointers_are_read_together(full: SessionManager) -> None:
    """Each pointer has those of its append, in their order."""
    pointers = await _all(full)
    told = await read_events(full.store, pointers)
    assert [one.pointer for one in told] == pointers
    for pointer, events in told:
        assert len(events) == pointer.events
        assert events[-1].offset == pointer.offset
        assert {event.session_id for event in events} == {pointer.session_id}


async def test_events_are_read_in_bounded_numbers(full: SessionManager) -> None:
    """As many pointers are answered as have some 1,000 events; the first one always is."""
    await full.append("s0", [NoteAdded(text="x")] * 1_500)
    await full.append("s1", [NoteAdded(text="x")] * 600)
    await full.append("s2", [NoteAdded(text="x")] * 600)
    pointers = (await _all(full))[24:]
    assert [len(one.events) for one in await read_events(full.store, pointers)] == [1_500]
    assert [len(one.events) for one in await read_events(full.store, pointers[1:])] == [600]


async def test_events_of_a_removed_session_are_fewer_than_told(full: SessionManager) -> None:
    """There are none, and the retirement says that it was removed; a session that has its id now is another one."""
    assert await full.delete_session("s0", purge=True)
    await full.create_session("user_1", "assistant", session_id="s0")
    told = [one for one in await read_events(full.store, await _all(full)) if one.pointer.session_id == "s0"]
    assert [(one.pointer.events, len(one.events)) for one in told] == [(1, 0), (2, 0), (1, 0), (0, 0), (1, 1)]


async def test_what_is_gone_is_an_error_that_says_where_to_go_on(full: SessionManager) -> None:
    """Whether all pointers are gone or some; from the first kept one on the feed is whole."""
    whole = await _all(full)
    await _without_entries(full, 1)
    with pytest.raises(FeedTrimmed) as caught:
        await read_pointers(full.store, 0, whole[0].position)
    assert (caught.value.partition, caught.value.after) == (0, whole[0].position)
    kept = await _all(full, caught.value.first)
    assert kept
    assert kept == whole[-len(kept) :]
    await _without_entries(full, 0)
    with pytest.raises(FeedTrimmed) as caught:
        await read_pointers(full.store, 0, whole[0].position)
    assert caught.value.first == whole[-1].position
    assert await read_pointers(full.store, 0, caught.value.first) == []


async def test_the_sweepers_trim_is_noticed(full: SessionManager, open_manager: Open, client: Redis) -> None:
    """It removes whole blocks of old entries."""
    appended = [await full.append("s0", NoteAdded(text="x")) for _ in range(150)]
    sweeper = open_manager(partitions=1, feed_retention=0.001)
    await until_past(client, moment(at_ms(appended[-1].offset) + 1))
    assert await trim_feed(sweeper.store, 0) > 0
    with pytest.raises(FeedTrimmed) as caught:
        await read_pointers(full.store, 0, BEGINNING)
    assert caught.value.first == (await oldest(full.store)).positions[0]
    appended.append(await full.append("s0", NoteAdded(text="x")))
    assert (await _all(full, caught.value.first))[-1].offset == appended[-1].offset


async def test_the_oldest_position_is_in_front_of_what_is_kept(full: SessionManager) -> None:
    """That of a whole feed is the beginning."""
    assert await oldest(full.store) == Cursor.beginning(full.store.keys)
    whole = await _all(full)
    await _without_entries(full, 1)
    kept = await _all(full, (await oldest(full.store)).positions[0])
    assert kept
    assert kept == whole[-len(kept) :]
    await _without_entries(full, 0)
    assert await oldest(full.store) == await newest(full.store)


async def test_the_newest_position_is_behind_everything(full: SessionManager) -> None:
    """What is appended afterwards comes first."""
    last = (await newest(full.store)).positions[0]
    assert await read_pointers(full.store, 0, last) == []
    appended = await full.append("s3", NoteAdded(text="x"))
    assert [one.offset for one in await read_pointers(full.store, 0, last)] == [appended.offset]


async def test_a_position_past_the_end_is_refused(full: SessionManager) -> None:
    """By its number or by its time, also when the feed has gone on since, as after a failover that lost its end."""
    ms, _, number = (await _all(full))[-1].position.partition("-")
    for position in (f"{ms}-{int(number) + 1}", f"{int(ms) + 1000}-3", f"{int(ms) - 1000}-99"):
        with pytest.raises(UnknownPosition) as caught:
            await read_pointers(full.store, 0, position)
        assert caught.value.last == f"{ms}-{number}"
    while (await full.append("s0", NoteAdded(text="x"))).offset.startswith(ms):
        pass
    with pytest.raises(UnknownPosition):
        await read_pointers(full.store, 0, f"{ms}-99")


async def test_a_position_of_which_others_have_the_number_now_is_refused(full: SessionManager) -> None:
    """Also where an entry that came after the loss has pointers on both sides of it: those in front would be missed."""
    last = (await _all(full))[-1].position
    appended = await asyncio.gather(*(full.append(one, NoteAdded(text="x")) for one in _IDS))
    end, number = (await newest(full.store)).positions[0], number_of(last)
    assert number_of(end) == number + len(appended)
    for ahead in range(1, len(appended)):
        with pytest.raises(UnknownPosition):
            await read_pointers(full.store, 0, f"{at_ms(end) - 1}-{number + ahead}")
        within = await read_pointers(full.store, 0, f"{at_ms(end)}-{number + ahead}")
        assert len(within) == len(appended) - ahead


async def test_a_malformed_position_is_refused(full: SessionManager) -> None:
    """As an invalid argument."""
    for position in ("", "5", "-", "a-b", "5-x"):
        with pytest.raises(InvalidArgument):
            await read_pointers(full.store, 0, position)


async def test_a_partition_without_appends_is_empty(manager: SessionManager) -> None:
    """Its oldest and its newest position are the beginning."""
    assert await read_pointers(manager.store, 3, BEGINNING) == []
    assert await oldest(manager.store) == await newest(manager.store) == Cursor.beginning(manager.store.keys)
