"""G40: consumers are told of an erasure, and nothing is left of the user in what groups keep in the same Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from redis.asyncio import Redis

from sessionstream import Item, MessageAdded, Projection, SessionErased, SessionManager
from sessionstream.projection import Add, Increment, Operation, Put, counters, index, ranking, view
from tests.erasure.conftest import PLAIN, SESSION, USER, talk
from tests.erasure.searching import found_in_redis
from tests.sessions.waiting import until

LAST, BUSY, COUNTS = view("last"), index("busy"), counters("counts")
HEARD = Projection("heard")


@HEARD.on(MessageAdded)
def heard(session_id: str, event: MessageAdded) -> Iterable[Operation]:
    """What was said last, and how much."""
    yield Put(LAST, {"content": event.content})
    yield Add(ranking("all"), 1, event.content)
    yield Add(BUSY, 1)
    yield Increment(COUNTS, "messages", 1)


async def test_a_group_is_told_of_an_erasure(manager: SessionManager, session: str) -> None:
    """Whoever keeps something of its own elsewhere can act on it; one that is behind is given no event's content."""
    given: list[str] = []

    async def handle(item: Item) -> None:
        given.append(item.event.type)

    async with manager.consumers.join("elsewhere", handle):
        await until(lambda: len(given) == 7)
        await manager.erase_user(USER)
        await until(lambda: len(given) == 9)
    assert given[7:] == ["session.deleted", "session.erased"]
    given.clear()
    async with manager.consumers.join("later", handle):
        await until(lambda: len(given) == 9)
    assert given == ["event.erased"] * 8 + ["session.erased"]


async def test_a_group_of_one_agents_sessions_is_told(manager: SessionManager, session: str) -> None:
    """Also one that comes later: with which agent it was is kept."""
    await manager.create_session("bob", "agent_2", session_id="bobs")
    await manager.erase_user(USER)
    given: list[tuple[str, str]] = []

    async def handle(item: Item) -> None:
        given.append((item.session_id, item.event.type))

    async with manager.consumers.join("one", handle, agents=["agent_1"], types=["session.erased"]):
        await until(lambda: given)
    assert given == [(session, "session.erased")]


async def test_followers_of_all_sessions_are_told(manager: SessionManager, session: str) -> None:
    """Those of some users as well: whose it was nobody knows any more, so each of them is told, and of nothing else."""
    await manager.create_session("bob", "agent_2", session_id="bobs")
    await manager.erase_user(USER)
    async with manager.follow_all(users=["bob"]) as events:
        found = [await anext(events), await anext(events)]
    assert {(event.session_id, event.type) for event in found} == {
        ("bobs", "session.created"),
        (session, "session.erased"),
    }


async def test_a_follower_of_the_session_sees_no_gap(manager: SessionManager, session: str) -> None:
    """What it had not read yet is erased; behind the event that tells of that nothing comes."""
    async with manager.follow(session, until_end=True) as events:
        seen = [await anext(events) for _ in range(3)]
        erasing = asyncio.create_task(manager.erase_user(USER))
        seen += [event async for event in events]
        await erasing
    assert [event.version for event in seen] == list(range(1, len(seen) + 1))
    assert seen[-1].type in ("session.deleted", "session.erased")
    async with manager.follow(session, until_end=True) as events:
        again = [event async for event in events]
    assert [event.version for event in again] == list(range(1, 10))
    assert isinstance(again[-1].data, SessionErased)


async def test_nothing_stays_in_views_that_groups_keep(manager: SessionManager, session: str, client: Redis) -> None:
    """Of a projection that is run from the feed, whether it runs or not; what it counted stays counted."""
    async with manager.consumers.project(HEARD) as projector:
        await projector.in_use()
        views = manager.consumers.projected(HEARD)
        await views.wait_until(session)
        assert await views.fields(LAST, session) == {"content": f"4: {PLAIN}".encode()}
    done = await manager.erase_user(USER)
    assert any("heard" in told for told in done.unreached)
    assert await found_in_redis(client, PLAIN, USER) == []
    async with manager.consumers.project(HEARD) as projector:
        await projector.in_use()
        await views.wait_until(session)
        assert await views.fields(LAST, session) == {}
        assert await views.index(BUSY) == []
        assert await views.counters(COUNTS) == {"messages": 5}
    await manager.consumers.rebuild(HEARD)
    assert await views.counters(COUNTS) == {}


async def test_what_a_group_had_before_the_erasure_reached_it_is_removed(
    manager: SessionManager, session: str, client: Redis
) -> None:
    """It may write what it has read once more; the erasure comes behind that."""
    held, go_on = asyncio.Event(), asyncio.Event()

    async def handle(item: Item) -> None:
        if isinstance(item.event.data, MessageAdded):
            held.set()
            await go_on.wait()
            item.apply(Put(LAST, {"content": item.event.data.content}))

    async with manager.consumers.join("slow", handle):
        await held.wait()
        await manager.erase_user(USER)
        go_on.set()
        partition = manager.store.keys.partition(session)

        async def done() -> bool:
            position = await client.hget(manager.store.keys.groups(partition), "slow")
            return bool(position == await client.hget(manager.store.keys.log(partition), ":feed"))

        await until(done)
    assert await found_in_redis(client, PLAIN, USER) == []


async def test_what_was_parked_is_forgotten_and_goes_on(manager: SessionManager, session: str, client: Redis) -> None:
    """Its error may say what was said; it is asked to be replayed, and the group comes to the erasure."""
    given: list[str] = []

    async def handle(item: Item) -> None:
        if isinstance(item.event.data, MessageAdded):
            raise ValueError(item.event.data.content)
        given.append(item.event.type)

    async with manager.consumers.join("parks", handle, attempts=1):
        await until(lambda: manager.consumers.parked("parks"))
        assert await found_in_redis(client, PLAIN)
        await manager.erase_user(USER)
        await until(lambda: "session.erased" in given)
        await until(lambda: _nothing_parked(manager))
    assert await found_in_redis(client, PLAIN, USER) == []


async def _nothing_parked(manager: SessionManager) -> bool:
    return not await manager.consumers.parked("parks")


async def test_what_was_parked_is_forgotten_where_nobody_consumes(manager: SessionManager, client: Redis) -> None:
    """The record stays, without what it said, until a member comes."""
    await manager.create_session(USER, "agent_1", session_id=SESSION)
    await talk(manager, 2)

    async def fail(item: Item) -> None:
        if isinstance(item.event.data, MessageAdded):
            raise ValueError(item.event.data.content)

    async with manager.consumers.join("parks", fail, attempts=1, on_parked="continue"):
        await until(lambda: manager.consumers.parked("parks"))
    await manager.erase_user(USER)
    assert await found_in_redis(client, PLAIN, USER) == []
    parked = await manager.consumers.parked("parks")
    assert {(one.message, one.trace, one.asked) for one in parked} == {("erased", "", "replay")}
