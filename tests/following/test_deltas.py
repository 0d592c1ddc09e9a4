"""Deltas reach who follows a live session, in order and once; they are no events, and are gone soon. (G25)"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import Delta, NoteAdded, RecordedEvent, SessionEnded, SessionManager, SessionNotFound
from sessionstream.errors import InvalidData, TooLarge
from sessionstream.following.deltas import KEPT_MS, MOST_DELTAS
from tests.following.conftest import SESSION, Noted, Open
from tests.proxy import Fault, Proxy
from tests.sessions.waiting import expired_session
from tests.topologies import through

pytestmark = pytest.mark.guarantee


def _data(items: list[Delta | RecordedEvent]) -> list[Any]:
    return [item.data if isinstance(item, Delta) else item.version for item in items]


async def _caught_up(noted: Noted[Delta | RecordedEvent]) -> None:
    assert await noted.events.caught_up


async def test_they_come_in_order_between_the_events(manager: SessionManager) -> None:
    """Each behind the event that was the last one when it was published."""
    async with Noted[Delta | RecordedEvent](manager.follow(SESSION)) as noted:
        await _caught_up(noted)
        for number in range(20):
            await manager.publish(SESSION, {"token": f"a{number}"})
        await manager.append(SESSION, NoteAdded(text="x"))
        await manager.publish(SESSION, "b")
        expected = [1, *({"token": f"a{number}"} for number in range(20)), 2, "b"]
        assert _data(await noted.has(23)) == expected


async def test_they_keep_their_place_however_they_are_read(manager: SessionManager) -> None:
    """Also where many came before the follower asked."""
    async with manager.follow(SESSION) as events:
        assert (await anext(events)).offset
        asking = asyncio.ensure_future(anext(events))
        await events.caught_up
        expected: list[Any] = []
        for version in range(2, 30):
            for number in range(version % 3):
                await manager.publish(SESSION, [version, number])
                expected.append([version, number])
            await manager.append(SESSION, NoteAdded(text="x"))
            expected.append(version)
        items = [await asking]
        while len(items) < len(expected):
            items.append(await anext(events))
    assert _data(items) == expected


async def test_they_keep_their_place_behind_history(manager: SessionManager) -> None:
    """Where they came while the follower was still reading that, in pages."""
    for _ in range(12):
        await manager.append(SESSION, [NoteAdded(text="x")] * 100)
    async with manager.follow(SESSION) as events:
        assert (await anext(events)).offset
        await manager.publish(SESSION, "first")
        await manager.append(SESSION, NoteAdded(text="x"))
        await manager.publish(SESSION, "second")
        items = [await anext(events) for _ in range(1203)]
    assert _data(items) == [*range(2, 1202), "first", 1202, "second"]


async def test_more_than_a_page_of_them_comes_whole(manager: SessionManager) -> None:
    """A page has 200."""
    async with manager.follow(SESSION) as events:
        await anext(events)
        await asyncio.gather(*(manager.publish(SESSION, number) for number in range(650)))
        assert [(await anext(events)).data for _ in range(650)] == list(range(650))


async def test_a_delta_says_what_it_belongs_to(manager: SessionManager) -> None:
    """Its session, when it was published, and where the session was then."""
    session = await manager.get_session(SESSION)
    assert session is not None
    async with manager.follow(SESSION) as events:
        created = await anext(events)
        identifier = await manager.publish(SESSION, None)
        delta = await anext(events)
    assert isinstance(delta, Delta)
    assert (delta.session_id, delta.id, delta.data, delta.offset) == (SESSION, identifier, None, created.offset)
    assert delta.at >= session.created_at


async def test_they_are_given_to_all_who_follow_and_to_nobody_else(manager: SessionManager) -> None:
    """Not to one who came later, not to one who does not want them."""
    async with (
        Noted[Delta | RecordedEvent](manager.follow(SESSION)) as one,
        Noted[Delta | RecordedEvent](manager.follow(SESSION)) as another,
        Noted[Delta | RecordedEvent](manager.follow(SESSION, deltas=False)) as without,
    ):
        for noted in (one, another, without):
            await _caught_up(noted)
        await manager.publish(SESSION, "x")
        assert _data(await one.has(2)) == _data(await another.has(2)) == [1, "x"]
        async with Noted[Delta | RecordedEvent](manager.follow(SESSION)) as later:
            await _caught_up(later)
            await manager.append(SESSION, NoteAdded(text="x"))
            assert _data(await later.has(2)) == _data(await without.has(2)) == [1, 2]
            assert _data(await one.has(3)) == [1, "x", 2]


async def test_they_are_no_history(manager: SessionManager, client: Redis, namespace: str) -> None:
    """No event, no version, no pointer; their number and their time are bounded."""
    before = await manager.get_session(SESSION)
    feed = manager.store.keys.feed(manager.store.keys.partition(SESSION))
    appends = await client.xlen(feed)
    await asyncio.gather(*(manager.publish(SESSION, "x" * 100) for _ in range(MOST_DELTAS + 500)))
    assert await manager.get_session(SESSION) == before
    assert [event.version async for event in manager.history(SESSION)] == [1]
    assert await client.xlen(feed) == appends
    key = manager.store.keys.deltas(SESSION)
    assert await client.xlen(key) < MOST_DELTAS + 150
    assert KEPT_MS - 60_000 < await client.pttl(key) <= KEPT_MS


async def test_they_are_removed_with_the_session(manager: SessionManager, client: Redis) -> None:
    """At once, when it is purged."""
    await manager.publish(SESSION, "x")
    await manager.delete_session(SESSION, purge=True)
    assert not await client.exists(manager.store.keys.deltas(SESSION))


async def test_an_unknown_session_takes_none(manager: SessionManager, client: Redis) -> None:
    """And nothing is written."""
    with pytest.raises(SessionNotFound):
        await manager.publish("never", "x")
    assert not await client.exists(manager.store.keys.deltas("never"))


async def test_an_ended_session_takes_none(manager: SessionManager, client: Redis) -> None:
    """Deleted, or expired and not yet swept."""
    await manager.delete_session(SESSION)
    with pytest.raises(SessionEnded) as caught:
        await manager.publish(SESSION, "x")
    assert caught.value.reason == "deleted"
    session = await expired_session(manager, client)
    with pytest.raises(SessionEnded) as caught:
        await manager.publish(session.session_id, "x")
    assert caught.value.reason == "expired"


@pytest.mark.parametrize("delta", [{1: 2}, float("nan"), b"x", {"a": {1, 2}}, (1, 2), object()])
async def test_what_json_would_change_is_refused(manager: SessionManager, delta: object) -> None:
    """Before anything is sent."""
    with pytest.raises(InvalidData):
        await manager.publish(SESSION, delta)


async def test_what_is_too_large_is_refused(open_manager: Open, manager: SessionManager) -> None:
    """The limit is that of an event."""
    small = open_manager(max_event_bytes=100)
    await small.publish(SESSION, "x" * 98)
    with pytest.raises(TooLarge):
        await small.publish(SESSION, "x" * 99)


async def test_it_is_encoded_before_anything_is_awaited(manager: SessionManager) -> None:
    """The caller may go on to change it."""
    async with manager.follow(SESSION) as events:
        await anext(events)
        data = {"text": "as given"}
        publishing = asyncio.ensure_future(manager.publish(SESSION, data))
        await asyncio.sleep(0)
        data["text"] = "changed"
        await publishing
        assert (await anext(events)).data == {"text": "as given"}


async def test_one_that_is_sent_again_comes_once(manager: SessionManager, open_manager: Open, proxy: Proxy) -> None:
    """After its reply was lost, though others were published meanwhile."""
    behind = open_manager(**through(proxy))
    async with Noted[Delta | RecordedEvent](manager.follow(SESSION)) as noted:
        await _caught_up(noted)
        await behind.publish(SESSION, 0)
        for number in range(1, 5):
            proxy.arm(Fault.LOSE_REPLY)
            await asyncio.gather(behind.publish(SESSION, number), manager.publish(SESSION, -number))
        assert proxy.armed == 0
        await manager.publish(SESSION, "end")
        await noted.has(11)
        assert sorted(one for one in _data(noted.items)[1:-1]) == [-4, -3, -2, -1, 0, 1, 2, 3, 4]
        assert _data(noted.items)[-1] == "end"


async def test_they_reach_followers_across_lost_connections(
    manager: SessionManager, open_manager: Open, proxy: Proxy
) -> None:
    """Each once, in order."""
    behind = open_manager(**through(proxy))
    async with Noted[Delta | RecordedEvent](behind.follow(SESSION)) as noted:
        await _caught_up(noted)
        for number in range(200):
            await manager.publish(SESSION, number)
            if number % 50 == 25:
                await asyncio.to_thread(proxy.cut)
        assert _data(await noted.has(201))[1:] == list(range(200))
