"""What a member of a group is given, in which order, and what acknowledges it."""

from __future__ import annotations

import asyncio

import pytest

from sessionstream import MessageAdded, NoteAdded, SessionManager
from sessionstream.errors import CursorMismatch, InvalidArgument
from sessionstream.feed.cursor import Cursor
from sessionstream.feed.reading import newest
from tests.consumers.conftest import QUICK, MakeManager
from tests.consumers.joining import Seen, add_notes, caught_up, caught_up_but
from tests.sessions.waiting import until


async def test_a_handler_is_given_each_event_of_a_session_in_order(manager: SessionManager, session_id: str) -> None:
    """Point 3: each session's events in order, whatever was appended together."""
    await manager.append(session_id, [NoteAdded(text=str(number)) for number in range(5)])
    await add_notes(manager, session_id, "a", "b")
    seen = Seen()
    async with manager.consumers.join("g", seen):
        await caught_up(manager)
    assert seen.versions == [1, 2, 3, 4, 5, 6, 7, 8]


async def test_an_iterator_gives_the_same_and_the_block_acknowledges(manager: SessionManager, session_id: str) -> None:
    """Point 3: an iterator whose items are acknowledged by leaving their block."""
    await add_notes(manager, session_id, "a", "b")
    versions = []
    async with manager.consumers.join("g") as consumer:
        async for item in consumer:
            async with item:
                versions.append(item.event.version)
                assert item.data is item.event.data
            if len(versions) == 3:
                break
    assert versions == [1, 2, 3]
    assert (await manager.consumers.status("g")).lag == 0


async def test_asking_for_the_next_item_acknowledges_nothing(manager: SessionManager, session_id: str) -> None:
    """G26: an item whose block was never entered is given again, to whoever joins next."""
    other = (await manager.create_session("user_1", "agent_1", session_id="sess_2")).session_id
    async with manager.consumers.join("g") as consumer:
        first = await anext(consumer)
        second = await anext(consumer)
        assert {first.session_id, second.session_id} == {session_id, other}
        consumer.stop()
        with pytest.raises(StopAsyncIteration):
            await anext(consumer)
    assert (await manager.consumers.status("g")).lag == 2


async def test_a_session_has_one_event_under_way(manager: SessionManager, session_id: str) -> None:
    """While one is handled the next one waits, though events of other sessions are handled meanwhile."""
    other = (await manager.create_session("user_1", "agent_1", session_id="sess_2")).session_id
    await add_notes(manager, session_id, "a")
    let_go, seen = asyncio.Event(), list[tuple[str, int]]()

    async def handle(item: object) -> None:
        seen.append((item.session_id, item.event.version))  # type: ignore[attr-defined]
        if seen[-1] == (session_id, 1):
            await let_go.wait()

    async with manager.consumers.join("g", handle):
        await caught_up_but(manager, 2)
        assert sorted(seen) == [(session_id, 1), (other, 1)]
        let_go.set()
        await caught_up(manager)
    assert sorted(seen) == [(session_id, 1), (session_id, 2), (other, 1)]


async def test_no_more_are_handled_at_a_time_than_was_said(manager: SessionManager) -> None:
    """``concurrency`` bounds the handlers of all partitions together."""
    for number in range(12):
        await manager.create_session("user_1", "agent_1", session_id=f"sess_{number}")
    under_way, most = 0, 0

    async def handle(item: object) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        under_way -= 1

    async with manager.consumers.join("g", handle, concurrency=3):
        await caught_up(manager)
    assert most == 3


async def test_an_exception_in_a_block_is_a_failure_and_not_raised(manager: SessionManager, session_id: str) -> None:
    """Point 3: the loop goes on, and the event comes again."""
    attempts = []
    async with manager.consumers.join("g", **QUICK) as consumer:
        async for item in consumer:
            async with item:
                attempts.append(item.attempt)
                if len(attempts) < 3:
                    raise ValueError("not yet")
            if len(attempts) == 3:
                break
    assert attempts == [1, 2, 3]
    assert (await manager.consumers.status("g")).lag == 0


async def test_a_cancelled_block_is_no_failure(manager: SessionManager, session_id: str) -> None:
    """The event is given again at once, in the same attempt."""
    async with manager.consumers.join("g") as consumer:
        item = await anext(consumer)

        async def hang() -> None:
            async with item:
                await asyncio.Event().wait()

        task = asyncio.create_task(hang())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        again = await anext(consumer)
        assert (again.event.version, again.attempt) == (1, 1)
        async with again:
            pass
    assert (await manager.consumers.status("g")).count("failures") == 0


async def test_a_group_goes_on_where_it_was(manager: SessionManager, session_id: str) -> None:
    """What was acknowledged does not come again to those that join later."""
    for texts in ((), ("a", "b")):
        seen = Seen()
        await add_notes(manager, session_id, *texts)
        async with manager.consumers.join("g", seen):
            await caught_up(manager)
    assert seen.versions == [2, 3]


async def test_groups_know_nothing_of_each_other(manager: SessionManager, session_id: str) -> None:
    """Each is given everything."""
    one, other = Seen(), Seen()
    async with manager.consumers.join("one", one), manager.consumers.join("other", other):
        await caught_up(manager, "one")
        await caught_up(manager, "other")
    assert one.versions == other.versions == [1]


async def test_events_that_come_while_nobody_waits_are_heard_of(manager: SessionManager, session_id: str) -> None:
    """A member that has caught up is woken by the next append."""
    seen = Seen()
    async with manager.consumers.join("g", seen):
        await caught_up(manager)
        for text in "abc":
            await add_notes(manager, session_id, text)
            await caught_up(manager)
    assert seen.versions == [1, 2, 3, 4]


async def test_a_new_group_can_begin_now(manager: SessionManager, session_id: str) -> None:
    """``after="now"``: what was there before the group is passed over."""
    seen = Seen()
    async with manager.consumers.join("g", seen, after="now"):
        await add_notes(manager, session_id, "a")
        await caught_up(manager)
    assert seen.versions == [2]


async def test_a_new_group_can_begin_at_a_cursor(manager: SessionManager, session_id: str) -> None:
    """As text or as it is; one of another namespace is refused."""
    await add_notes(manager, session_id, "a")
    cursor = await newest(manager.store)
    await add_notes(manager, session_id, "b")
    seen = Seen()
    async with manager.consumers.join("g", seen, after=str(cursor)):
        await caught_up(manager)
    assert seen.versions == [3]
    with pytest.raises(CursorMismatch):
        manager.consumers.join("other", seen, after=Cursor(b"xxxx", cursor.positions))


async def test_only_events_of_some_types_are_given(manager: SessionManager, session_id: str) -> None:
    """Others are passed over; a type is named by its class or its name."""
    await manager.append(session_id, [NoteAdded(text="a"), MessageAdded(role="user", content="b")])
    for types in ([NoteAdded], ["note.added"]):
        seen = Seen()
        async with manager.consumers.join(f"g{len(str(types))}", seen, types=types):
            await caught_up(manager, f"g{len(str(types))}")
        assert seen.versions == [2]


async def test_an_id_that_is_used_again_is_that_of_its_new_agent(manager: SessionManager, session_id: str) -> None:
    """G26: the session was another agent's before it was purged; what the member knew of it does not count any more."""
    seen = Seen()
    async with manager.consumers.join("g", seen, agents=["agent_2"]):
        await caught_up(manager)
        await manager.delete_session(session_id, purge=True)
        await manager.create_session("user_1", "agent_2", session_id=session_id)
        await caught_up(manager)
    assert [item.event.type for item in seen.items] == ["session.created"]


async def test_only_sessions_of_some_agents_are_given(manager: SessionManager, session_id: str) -> None:
    """Others are passed over."""
    await manager.create_session("user_1", "agent_2", session_id="sess_2")
    seen = Seen()
    async with manager.consumers.join("g", seen, agents=["agent_2"]):
        await caught_up(manager)
    assert [item.session_id for item in seen.items] == ["sess_2"]


async def test_members_with_other_projections_may_consume(make_manager: MakeManager, session_id: str) -> None:
    """A consumer appends nothing, so it need not have what the writers have."""
    seen = Seen()
    async with make_manager().consumers.join("g", seen):
        await caught_up(make_manager())
    assert seen.versions == [1]


@pytest.mark.parametrize(
    "given",
    [
        {"group": ""},
        {"group": "a b"},
        {"group": "spend@1.1"},
        {"member": "ü"},
        {"after": "yesterday"},
        {"after": 7},
        {"types": "note.added"},
        {"agents": "agent_1"},
        {"on_parked": "drop"},
        {"attempts": 0},
        {"attempts": True},
        {"concurrency": 0},
        {"lease": 0},
        {"lease": float("nan")},
        {"backoff": -1},
        {"max_handling": "1"},
    ],
)
async def test_bad_arguments_are_refused_before_anything_is_written(
    manager: SessionManager, given: dict[str, object]
) -> None:
    """By `join` itself, which sends nothing."""
    with pytest.raises(InvalidArgument):
        manager.consumers.join(**{"group": "g", **given})  # type: ignore[arg-type]
    assert await manager.consumers.groups() == []


async def test_a_consumer_with_a_handler_is_not_iterated_over(manager: SessionManager) -> None:
    """And one without is not run: each says what to do."""
    async with manager.consumers.join("g", Seen()) as consumer:
        with pytest.raises(InvalidArgument):
            await anext(consumer)
    async with manager.consumers.join("g") as consumer:
        with pytest.raises(InvalidArgument):
            await consumer.run()


async def test_what_is_read_ahead_is_bounded_in_events(make_manager: MakeManager) -> None:
    """However many each append has: members that are behind do not fill their memory."""
    manager = make_manager(partitions=1)
    session_id = (await manager.create_session("u", "a")).session_id
    notes = [NoteAdded(text="x")] * 400
    for _ in range(12):
        await manager.append(session_id, notes)
    async with manager.consumers.join("g", lease=600.0) as consumer:
        await anext(consumer)
        lanes = consumer._held[0].lanes
        await until(lambda: lanes.count >= 1_000)
        for _ in range(20):
            await manager.store.now_ms()
        assert lanes.count <= 2_000
