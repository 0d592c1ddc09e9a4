"""Following one session: its history, then what comes, each event once and in order. (G23)"""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from sessionstream import NoteAdded, RecordedEvent, SessionManager, SessionNotFound
from sessionstream.errors import HistoryTrimmed, InvalidArgument, UnknownPosition
from tests.following.conftest import SESSION, Noted, Open
from tests.sessions.waiting import until

pytestmark = pytest.mark.guarantee


async def _append(manager: SessionManager, count: int, session_id: str = SESSION) -> list[str]:
    return [(await manager.append(session_id, NoteAdded(text=str(number)))).offset for number in range(count)]


async def _take(manager: SessionManager, count: int, **options: object) -> list[str]:
    offsets: list[str] = []
    async with manager.follow(SESSION, **options) as events:  # type: ignore[arg-type]
        while len(offsets) < count:
            offsets.append((await anext(events)).offset)
    return offsets


async def test_history_comes_first_then_what_is_appended(manager: SessionManager) -> None:
    """In one iteration, from the creation on."""
    async with Noted[RecordedEvent](manager.follow(SESSION)) as noted:
        await noted.has(1)
        assert await noted.events.caught_up
        appended = await _append(manager, 3)
        found = await noted.has(4)
        assert [event.version for event in found] == [1, 2, 3, 4]
        assert [event.offset for event in found[1:]] == appended
        assert noted.events.offset == appended[-1]


async def test_history_longer_than_a_page_comes_whole(manager: SessionManager) -> None:
    """A page has 500 events at most."""
    for _ in range(13):
        await manager.append(SESSION, [NoteAdded(text="x")] * 100)
    async with Noted[RecordedEvent](manager.follow(SESSION)) as noted:
        assert [event.version for event in await noted.has(1301)] == list(range(1, 1302))


async def test_it_goes_on_behind_an_offset(manager: SessionManager) -> None:
    """That of any event; what was given before is not given again."""
    await _append(manager, 5)
    whole = await _take(manager, 6)
    for place, offset in enumerate(whole[:-1]):
        assert await _take(manager, 5 - place, after=offset) == whole[place + 1 :]


async def test_now_leaves_out_what_there_is(manager: SessionManager) -> None:
    """Only what is appended after the block was entered is given."""
    await _append(manager, 3)
    async with manager.follow(SESSION, after="now") as events:
        start = events.offset
        [appended] = await _append(manager, 1)
        assert (await anext(events)).offset == appended
        assert start < events.offset


@settings(max_examples=25)
@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=25),
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 7)), min_size=1, max_size=6),
)
async def test_there_is_no_seam(open_manager: Open, writers: list[int], followers: list[tuple[int, int]]) -> None:
    """However many write, whenever followers join, and whatever their buffers: each version once, in order."""
    manager, other = open_manager(), open_manager()
    session_id = (await manager.create_session("user_1", "agent_1")).session_id
    total = 1 + 2 * sum(writers)

    async def write(by: SessionManager) -> None:
        for count in writers:
            await by.append(session_id, [NoteAdded(text="x")] * count)

    async def follow(turns: int, buffer: int) -> list[int]:
        for _ in range(turns):
            await asyncio.sleep(0)
        found = []
        async with manager.follow(session_id, buffer=buffer) as events:
            while len(found) < total:
                found.append((await anext(events)).version)
        return found

    async with asyncio.timeout(30):
        _, _, *found = await asyncio.gather(write(manager), write(other), *(follow(*one) for one in followers))
    assert found == [list(range(1, total + 1))] * len(followers)


async def test_many_followers_of_one_session_are_all_given_everything(manager: SessionManager) -> None:
    """They share their reads, and each has its own position."""
    async with asyncio.TaskGroup() as group:
        taking = [group.create_task(_take(manager, 201)) for _ in range(50)]
        appended = await _append(manager, 200)
    for task in taking:
        assert task.result()[1:] == appended


async def test_being_caught_up_is_known(manager: SessionManager) -> None:
    """When more is asked for than there is; not before."""
    await _append(manager, 2)
    async with manager.follow(SESSION) as events:
        for _ in range(3):
            await anext(events)
        assert not events.caught_up
        asking = asyncio.ensure_future(anext(events))
        assert await events.caught_up
        assert events.caught_up
        await _append(manager, 1)
        assert (await asking).version == 4


async def test_who_waits_to_be_caught_up_is_told_when_it_never_will_be(manager: SessionManager) -> None:
    """The block was left before."""
    async with manager.follow(SESSION) as events:
        pass
    assert await events.caught_up is False


async def test_an_unknown_session_is_refused(manager: SessionManager) -> None:
    """When the block is entered."""
    with pytest.raises(SessionNotFound):
        async with manager.follow("never"):
            pass


@pytest.mark.parametrize("after", ["", "5", "x-1", "1-y", 5])
async def test_a_malformed_offset_is_refused(manager: SessionManager, after: str) -> None:
    """Before anything is sent."""
    with pytest.raises(InvalidArgument):
        manager.follow(SESSION, after=after)


async def test_other_malformed_options_are_refused(manager: SessionManager) -> None:
    """A buffer that holds nothing, and a word that is not known."""
    for options in ({"buffer": 0}, {"buffer": -1}, {"buffer": "1"}, {"when_full": "throw"}):
        with pytest.raises(InvalidArgument):
            manager.follow(SESSION, **options)  # type: ignore[arg-type]


async def test_an_offset_past_the_end_is_refused(manager: SessionManager) -> None:
    """It names the end."""
    [last] = await _append(manager, 1)
    ms, _, version = last.partition("-")
    for after in (f"{ms}-{int(version) + 1}", f"{int(ms) + 10_000}-1"):
        with pytest.raises(UnknownPosition) as caught:
            async with manager.follow(SESSION, after=after):
                pass
        assert caught.value.last == last


async def test_an_offset_of_no_event_is_refused(manager: SessionManager) -> None:
    """Its version is that of another time."""
    first, second = await _append(manager, 2)
    for after in (f"5-{second.partition('-')[2]}", f"{int(second.partition('-')[0]) - 60_000}-3"):
        with pytest.raises(UnknownPosition):
            async with manager.follow(SESSION, after=after) as events:
                await anext(events)
    assert first


async def test_what_was_trimmed_is_an_error_that_names_what_is_kept(manager: SessionManager) -> None:
    """From the beginning, and from an offset that is gone; behind it all is well."""
    appended = await _append(manager, 5)
    await manager.store.server.call("XTRIM", manager.store.keys.events(SESSION), "MAXLEN", 2)
    for after in (None, appended[0]):
        with pytest.raises(HistoryTrimmed) as caught:
            async with manager.follow(SESSION, after=after) as events:
                await anext(events)
        assert (caught.value.session_id, caught.value.first) == (SESSION, appended[3])
    assert await _take(manager, 2, after=appended[2]) == appended[3:]
    assert await _take(manager, 2, after="oldest") == appended[3:]
    await manager.store.server.call("XTRIM", manager.store.keys.events(SESSION), "MAXLEN", 0)
    with pytest.raises(HistoryTrimmed) as caught:
        async with manager.follow(SESSION, after=appended[2]) as events:
            await anext(events)
    assert caught.value.first is None
    async with manager.follow(SESSION, after="oldest") as events:
        [new] = await _append(manager, 1)
        assert (await anext(events)).offset == new


async def test_a_gap_never_passes_silently(manager: SessionManager) -> None:
    """What stands in front of it is given; then comes the error, and nothing behind it."""
    appended = await _append(manager, 5)
    await manager.store.server.call("XDEL", manager.store.keys.events(SESSION), appended[2])
    found = []
    with pytest.raises(HistoryTrimmed):
        async with manager.follow(SESSION) as events:
            async for event in events:
                found.append(event.version)
    assert found == [1, 2, 3]


async def test_it_ends_with_the_session_if_asked(manager: SessionManager) -> None:
    """The end is the last that is given."""
    async with Noted[RecordedEvent](manager.follow(SESSION, until_end=True)) as noted:
        await noted.has(1)
        await manager.delete_session(SESSION)
        await noted.task
    assert [event.type for event in noted.items] == ["session.created", "session.deleted"]


async def test_it_ends_when_the_session_expires(open_manager: Open) -> None:
    """As soon as that is recorded, which sweeping does."""
    manager = open_manager()
    await manager.create_session("user_1", "agent_1", session_id=SESSION, ttl=0.01)
    async with Noted[RecordedEvent](manager.follow(SESSION, until_end=True)) as noted:
        await until(manager.cleanup_expired_sessions)
        await noted.task
    assert noted.items[-1].type == "session.expired"


async def test_an_ended_session_gives_its_history(manager: SessionManager) -> None:
    """Then it ends, or waits for what can still come."""
    await manager.save_checkpoint(SESSION, {"a": 1}, checkpoint_id="one")
    await manager.delete_session(SESSION)
    async with manager.follow(SESSION, until_end=True) as events:
        assert [event.version async for event in events] == [1, 2, 3]
    async with Noted[RecordedEvent](manager.follow(SESSION)) as noted:
        await noted.has(3)
        await manager.delete_checkpoint(SESSION, "one")
        assert (await noted.has(4))[-1].type == "checkpoint.deleted"


async def test_it_ends_with_the_removal_of_a_session_whose_end_was_given(manager: SessionManager) -> None:
    """Nothing can come any more."""
    await manager.delete_session(SESSION)
    async with Noted[RecordedEvent](manager.follow(SESSION)) as noted:
        assert await noted.events.caught_up
        assert await manager.delete_session(SESSION, purge=True)
        await noted.task
    assert [event.type for event in noted.items] == ["session.created", "session.deleted"]


async def test_a_removal_before_the_end_was_given_is_an_error(manager: SessionManager) -> None:
    """What the follower was not given is gone."""
    async with manager.follow(SESSION) as events:
        await anext(events)
        assert await manager.delete_session(SESSION, purge=True)
        with pytest.raises(SessionNotFound, match="removed"):
            await anext(events)


async def test_another_session_under_the_same_id_is_not_taken_for_it(manager: SessionManager) -> None:
    """One that was created after the followed one was removed."""
    async with manager.follow(SESSION) as events:
        await anext(events)
        assert await manager.delete_session(SESSION, purge=True)
        await manager.create_session("user_2", "agent_1", session_id=SESSION)
        with pytest.raises(UnknownPosition):
            await anext(events)


async def test_it_is_used_in_a_block_by_one_task(manager: SessionManager) -> None:
    """Once, and not by two tasks at the same time."""
    follower = manager.follow(SESSION)
    with pytest.raises(InvalidArgument, match="block"):
        await anext(follower)
    async with follower as events:
        await anext(events)
        asking = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        with pytest.raises(InvalidArgument, match="one task"):
            await anext(events)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    with pytest.raises(InvalidArgument, match="once"):
        async with follower:
            pass
    with pytest.raises(StopAsyncIteration):
        await anext(follower)


async def test_following_changes_nothing_that_checkpoints_take_as_read(manager: SessionManager, client: Redis) -> None:
    """Who watches a session has not read it for the agent: a checkpoint covers what that has read."""
    [seen] = await _append(manager, 1)
    other = SessionManager(conn=client, namespace=manager.settings.namespace)
    await _append(other, 1)
    await _take(manager, 3)
    await manager.save_checkpoint(SESSION, {"a": 1})
    checkpoint = await manager.get_latest_checkpoint(SESSION)
    assert checkpoint is not None
    assert checkpoint.offset == seen
    await other.aclose()
