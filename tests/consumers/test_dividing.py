"""How the partitions of a group are divided among its members, as these come, go and die (G26)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from sessionstream import SessionManager
from sessionstream.consumers import Consumer
from sessionstream.consumers.dividing import share_of
from sessionstream.errors import MemberExists
from tests.consumers.conftest import PARTITIONS, QUICK, MakeManager
from tests.consumers.joining import Seen, add_notes, caught_up
from tests.sessions.waiting import until

ALL = list(range(PARTITIONS))


@given(st.lists(st.text(max_size=3), min_size=1, max_size=9, unique=True), st.integers(1, 4096))
def test_the_shares_are_as_equal_as_can_be(members: list[str], partitions: int) -> None:
    """They add up to all partitions, and no two differ by more than one."""
    shares = [share_of(member, members, partitions) for member in members]
    assert sum(shares) == partitions
    assert max(shares) - min(shares) <= 1


def divided(*consumers: Consumer) -> Callable[[], bool]:
    """Return what tells whether the consumers have all partitions, each its share."""

    def tell() -> bool:
        held = [consumer.partitions for consumer in consumers]
        shares = sorted(map(len, held))
        return sorted(number for one in held for number in one) == ALL and shares[-1] - shares[0] <= 1

    return tell


async def test_a_member_alone_has_all(manager: SessionManager) -> None:
    """As soon as it has joined."""
    async with manager.consumers.join("g") as consumer:
        await until(divided(consumer))
        status = await manager.consumers.status("g")
        assert [(one.name, one.partitions) for one in status.members] == [(consumer.member, ALL)]


@pytest.mark.guarantee
async def test_who_comes_gets_a_share_and_who_leaves_gives_it_back(make_manager: MakeManager) -> None:
    """Three members of four partitions, then two, then one."""
    one, two, three = make_manager(), make_manager(), make_manager()
    async with one.consumers.join("g", **QUICK) as first:
        await until(divided(first))
        async with two.consumers.join("g", **QUICK) as second:
            await until(divided(first, second))
            async with three.consumers.join("g", **QUICK) as third:
                await until(divided(first, second, third))
            await until(divided(first, second))
        await until(divided(first))


async def test_more_members_than_partitions_leave_some_without(make_manager: MakeManager) -> None:
    """They have none until somebody leaves."""
    one, two = make_manager(partitions=1), make_manager(partitions=1)
    async with one.consumers.join("g", member="a", **QUICK) as first:
        await until(lambda: first.partitions == [0])
        async with two.consumers.join("g", member="b", **QUICK) as second:
            await until(lambda: two_beats(one))
            assert (first.partitions, second.partitions) == ([0], [])
            first.stop()
            await first.aclose()
            await until(lambda: second.partitions == [0])


@pytest.mark.guarantee
async def test_partitions_of_a_member_that_died_go_to_others(make_manager: MakeManager, client: Redis) -> None:
    """As soon as its leases have run out; its name is free then as well."""
    one, two = make_manager(), make_manager()
    dead = one.consumers.join("g", member="dead", **QUICK)
    await dead.__aenter__()
    await until(divided(dead))
    _die(dead)
    async with two.consumers.join("g", **QUICK) as living:
        await until(divided(living))
        async with one.consumers.join("g", member="dead", **QUICK) as anew:
            await until(divided(living, anew))


def _die(consumer: Consumer) -> None:
    """Do nothing more, as a process that was killed."""
    for task in (*consumer._tasks, *(held._task for held in consumer._held.values())):
        task.cancel()


async def test_a_member_gives_back_after_the_running_handler(make_manager: MakeManager) -> None:
    """What is being handled is finished and committed first; what waits goes to the new member."""
    one, two = make_manager(partitions=1), make_manager(partitions=1)
    session_id = (await one.create_session("u", "a")).session_id
    await add_notes(one, session_id, "a", "b")
    begun, let_go, seen = asyncio.Event(), asyncio.Event(), Seen()

    async def slow(item: object) -> None:
        begun.set()
        await let_go.wait()

    async with one.consumers.join("g", slow, member="b", **QUICK) as first:
        await begun.wait()
        # The one that joins is the first by name, so it is due the only partition.
        async with two.consumers.join("g", seen, member="a", **QUICK) as second:
            await until(lambda: not first.partitions)
            assert (await one.consumers.status("g")).partitions[0].member == "b"
            assert second.partitions == []
            let_go.set()
            await until(lambda: second.partitions == [0])
            await caught_up(one)
    assert seen.versions == [2, 3]


async def two_beats(manager: SessionManager) -> bool:
    """Whether both members know of each other."""
    return len((await manager.consumers.status("g")).members) == 2


async def test_idle_partitions_are_given_back_first(make_manager: MakeManager, session_id: str) -> None:
    """So that nothing that is being handled holds the others up."""
    one, two = make_manager(), make_manager()
    begun, let_go = asyncio.Event(), asyncio.Event()

    async def slow(item: object) -> None:
        begun.set()
        await let_go.wait()

    async with one.consumers.join("g", slow, **QUICK) as first:
        await begun.wait()
        async with two.consumers.join("g", Seen(), **QUICK) as second:
            await until(divided(first, second))
            assert one.store.keys.partition(session_id) in first.partitions
            let_go.set()


async def test_a_second_member_of_one_name_is_refused(make_manager: MakeManager) -> None:
    """Bad input: a duplicate member name is a clear error, and the first one is not disturbed."""
    one, two = make_manager(), make_manager()
    async with one.consumers.join("g", member="same") as first:
        await until(divided(first))
        with pytest.raises(MemberExists, match="'same'") as refused:
            async with two.consumers.join("g", member="same"):
                pass
        assert (refused.value.group, refused.value.member) == ("g", "same")
        assert divided(first)()
    async with two.consumers.join("g", member="same") as second:
        await until(divided(second))


async def test_the_lease_is_renewed_while_a_handler_runs(make_manager: MakeManager, session_id: str) -> None:
    """Point 3: for several times the lease; nobody else is given the event."""
    one, two = make_manager(), make_manager()
    began, seen = list[float](), Seen()
    loop = asyncio.get_running_loop()

    async def slow(item: object) -> None:
        began.append(loop.time())
        await asyncio.sleep(0.8)

    async with one.consumers.join("g", slow, lease=0.2, member="a") as first:
        await until(lambda: began)
        async with two.consumers.join("g", seen, lease=0.2, member="b"):
            await caught_up(one)
            assert loop.time() - began[0] > 0.75
        assert first.partitions
    assert (len(began), seen.items) == (1, [])


async def test_leaving_releases_the_leases_at_once(make_manager: MakeManager) -> None:
    """A successor need not wait for them to run out."""
    one, two = make_manager(), make_manager()
    async with one.consumers.join("g", lease=600.0) as first:
        await until(divided(first))
    async with two.consumers.join("g", lease=600.0) as second:
        await until(divided(second))


@pytest.mark.parametrize("handled", [False, True])
async def test_a_cancelled_block_leaves_nothing(manager: SessionManager, session_id: str, handled: bool) -> None:
    """No task, no lease, no member, whether a handler runs or nobody asks."""
    before = asyncio.all_tasks()
    begun = asyncio.Event()

    async def hang(item: object) -> None:
        begun.set()
        await asyncio.Event().wait()

    async def consume() -> None:
        async with manager.consumers.join("g", hang if handled else None, lease=600.0) as consumer:
            if not handled:
                await anext(consumer)
                begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(consume())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert {one for one in asyncio.all_tasks() - before if "sessionstream" in one.get_name()} == set()
    status = await manager.consumers.status("g")
    assert (status.members, {one.member for one in status.partitions}, status.lag) == ([], {""}, 1)


async def test_who_waits_no_longer_while_leaving_leaves_nothing_either(
    manager: SessionManager, session_id: str
) -> None:
    """The block has ended, and its handler has not, when it is cancelled."""
    begun, ended = asyncio.Event(), asyncio.Event()

    async def hang(item: object) -> None:
        begun.set()
        await asyncio.Event().wait()

    async def consume() -> None:
        async with manager.consumers.join("g", hang, lease=600.0) as consumer:
            await begun.wait()
            asyncio.get_running_loop().call_soon(ended.set)
        assert not consumer.partitions

    task = asyncio.create_task(consume())
    await ended.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    status = await manager.consumers.status("g")
    assert (status.members, {one.member for one in status.partitions}, status.lag) == ([], {""}, 1)


async def test_closing_the_manager_leaves_the_groups(make_manager: MakeManager, session_id: str) -> None:
    """Its members end, and give back what they hold."""
    manager = make_manager()
    consumer = manager.consumers.join("g", Seen(), lease=600.0)
    await consumer.__aenter__()
    await caught_up(manager)
    await manager.aclose()
    await consumer.run()
    assert (await make_manager().consumers.status("g")).members == []


async def test_joining_may_be_cancelled_at_any_moment(make_manager: MakeManager) -> None:
    """Nobody is taken for a member who is none: others would leave its share to it for as long as its lease."""
    manager = make_manager(partitions=2)
    async with manager.consumers.join("g", lease=600.0) as consumer:
        await until(lambda: len(consumer.partitions) == 2)
    for turns in (*range(30), 40, 80, 160):
        task = asyncio.create_task(manager.consumers.join("g", lease=600.0).__aenter__())
        joined = asyncio.create_task(_until_over(task))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await joined
        status = await manager.consumers.status("g")
        assert (status.members, {one.member for one in status.partitions}) == ([], {""}), f"after {turns} turns"


async def _until_over(task: asyncio.Task[Consumer]) -> None:
    """Leave at once, where joining came to its end."""
    await asyncio.wait({task})
    if not task.cancelled():
        await task.result().aclose()
