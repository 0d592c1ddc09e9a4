"""What becomes of events whose handling fails: tried again, parked, caught up, let go (G29)."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionstream import NoteAdded, SessionManager
from sessionstream.consumers import Item
from sessionstream.consumers.options import Options
from sessionstream.errors import GroupNotFound, InvalidType
from tests.consumers.conftest import QUICK
from tests.consumers.joining import Seen, add_notes, caught_up, caught_up_but
from tests.sessions.waiting import until


@given(attempts=st.integers(1, 500), backoff=st.floats(0, 10), longest=st.floats(0, 100))
def test_each_delay_is_half_sure_and_half_jitter(attempts: int, backoff: float, longest: float) -> None:
    """It is doubled with each failure, and never exceeds the longest."""
    options = Options(backoff=backoff, longest_backoff=longest)
    full = min(longest, backoff * 2.0 ** min(attempts - 1, 60))
    assert full / 2 <= options.delay(attempts) <= full


async def test_an_event_that_fails_is_tried_again_until_it_is_parked(manager: SessionManager, session_id: str) -> None:
    """Point 3: after N failures it is parked with its error, and the partition goes on."""
    other = (await manager.create_session("user_1", "agent_1", session_id="sess_2")).session_id
    seen = Seen(2)
    await add_notes(manager, session_id, "a")
    async with manager.consumers.join("g", seen, attempts=3, **QUICK):
        status = await caught_up(manager)
    assert [item.attempt for item in seen.items if item.event.version == 2] == [1, 2, 3]
    assert other in {item.session_id for item in seen.items}
    [parked] = await manager.consumers.parked("g")
    assert (parked.session_id, parked.type, parked.error, parked.message) == (
        *(session_id, "note.added", "ValueError", "no 2"),
    )
    assert "raise ValueError" in parked.trace
    assert (parked.attempts, parked.waits, parked.asked) == (3, True, "")
    assert (status.count("failures"), status.count("parked"), status.parked) == (3, 1, 1)


async def test_later_events_of_the_session_wait(manager: SessionManager, session_id: str) -> None:
    """``on_parked="wait"``: they come when the event is replayed, behind it, and in order."""
    seen = Seen(2)
    await manager.append(session_id, [NoteAdded(text="a"), NoteAdded(text="b")])
    async with manager.consumers.join("g", seen, attempts=1, **QUICK):
        await caught_up(manager)
        await add_notes(manager, session_id, "c")
        await caught_up(manager)
        assert seen.versions == [1, 2]
        seen.failing.clear()
        assert await manager.consumers.replay("g") == 1
        await until(lambda: len(seen.items) == 5)
        await add_notes(manager, session_id, "d")
        await until(lambda: len(seen.items) == 6)
        await caught_up(manager)
    assert seen.versions == [1, 2, 2, 3, 4, 5]
    assert await manager.consumers.parked("g") == []


async def test_they_wait_for_members_that_join_later_too(manager: SessionManager, session_id: str) -> None:
    """Who waits is kept with the group; what somebody asked while nobody was there is done by the next member."""
    seen = Seen(2)
    await add_notes(manager, session_id, "a", "b")
    async with manager.consumers.join("g", seen, attempts=1, **QUICK):
        await caught_up(manager)
    await add_notes(manager, session_id, "c")
    seen = Seen()
    async with manager.consumers.join("g", seen, **QUICK):
        await caught_up(manager)
    assert seen.items == []
    assert await manager.consumers.replay("g", session_id=session_id) == 1
    async with manager.consumers.join("g", seen, **QUICK):
        await until(lambda: len(seen.items) == 3)
        await until(lambda: _nothing_parked(manager))
    assert seen.versions == [2, 3, 4]


async def _nothing_parked(manager: SessionManager) -> bool:
    return not await manager.consumers.parked("g")


async def test_later_events_go_on_if_so_chosen(manager: SessionManager, session_id: str) -> None:
    """``on_parked="continue"``: only the event itself is parked, and replayed alone."""
    seen = Seen(2)
    await add_notes(manager, session_id, "a", "b")
    async with manager.consumers.join("g", seen, attempts=1, on_parked="continue", **QUICK):
        await caught_up(manager)
        assert seen.versions == [1, 2, 3]
        [parked] = await manager.consumers.parked("g")
        assert not parked.waits
        seen.failing.clear()
        assert await manager.consumers.replay("g", offset=parked.offset) == 1
        await until(lambda: _nothing_parked(manager))
    assert seen.versions == [1, 2, 3, 2]


async def test_what_fails_again_is_parked_again(manager: SessionManager, session_id: str) -> None:
    """With the new error; what came before it in the session's stream is not handled once more."""
    seen = Seen(2, 4)
    await add_notes(manager, session_id, "a", "b", "c", "d")
    async with manager.consumers.join("g", seen, attempts=2, **QUICK):
        await caught_up(manager)
        seen.failing.discard(2)
        await manager.consumers.replay("g")

        async def parked_again() -> bool:
            return [one.message for one in await manager.consumers.parked("g")] == ["no 4"]

        await until(parked_again)
        seen.failing.clear()
        await manager.consumers.replay("g")
        await until(lambda: _nothing_parked(manager))
    assert seen.versions == [1, 2, 2, 2, 3, 4, 4, 4, 5]


@pytest.mark.parametrize("on_parked", ["wait", "continue"])
async def test_discarded_events_are_never_handled(manager: SessionManager, session_id: str, on_parked: str) -> None:
    """Point 3: the session goes on behind its own, whichever way was chosen."""
    seen = Seen(2)
    await add_notes(manager, session_id, "a", "b")
    async with manager.consumers.join("g", seen, attempts=1, on_parked=on_parked, **QUICK):  # type: ignore[arg-type]
        await caught_up(manager)
        seen.failing.clear()
        assert await manager.consumers.discard("g") == 1
        await until(lambda: _nothing_parked(manager))
        status = await caught_up(manager)
    assert seen.versions == [1, 2, 3]
    assert status.count("discarded") == 1


async def test_only_what_fits_is_replayed(manager: SessionManager) -> None:
    """By session or by offset; of nothing that fits it is 0, and an unknown group is an error."""
    ids = [(await manager.create_session("u", "a", session_id=f"sess_{number}")).session_id for number in range(3)]
    seen = Seen(1)
    async with manager.consumers.join("g", seen, attempts=1, **QUICK):
        await caught_up(manager)
        seen.failing.clear()
        assert await manager.consumers.replay("g", session_id=ids[1]) == 1
        assert await manager.consumers.replay("g", session_id="never") == 0

        async def two_left() -> bool:
            return sorted(one.session_id for one in await manager.consumers.parked("g")) == [ids[0], ids[2]]

        await until(two_left)
    with pytest.raises(GroupNotFound):
        await manager.consumers.replay("unknown")


async def test_a_handler_that_never_returns_is_a_failure(manager: SessionManager, session_id: str) -> None:
    """Bad input: it is cancelled after ``max_handling``, and the event parked in the end."""
    cancelled = 0

    async def hang(item: Item) -> None:
        nonlocal cancelled
        with contextlib.suppress(ZeroDivisionError):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled += 1
                raise

    async with manager.consumers.join("g", hang, attempts=2, max_handling=0.02, **QUICK):
        await caught_up(manager)
    [parked] = await manager.consumers.parked("g")
    assert parked.error == "TimeoutError"
    assert "max_handling" in parked.message
    assert cancelled == 2


async def test_an_item_that_nobody_begins_is_a_failure_in_the_end(manager: SessionManager, session_id: str) -> None:
    """It is given again after ``max_handling``; its own block is refused then."""
    async with manager.consumers.join("g", max_handling=0.02, **QUICK) as consumer:
        first = await anext(consumer)
        second = await anext(consumer)
        assert (second.event.offset, second.attempt) == (first.event.offset, 2)
        with pytest.raises(Exception, match="went to another"):
            async with first:
                pass
        async with second:
            pass


async def test_attempts_count_on_over_members(manager: SessionManager, session_id: str) -> None:
    """An event that kills a process now and then is parked all the same."""
    seen = Seen(1)
    for _ in range(2):
        async with manager.consumers.join("g", seen, attempts=3, backoff=30.0):
            count = len(seen.items)
            await until(lambda known=count: len(seen.items) > known)

            async def told(known: int = count) -> bool:
                status = await manager.consumers.status("g")
                return status.count("failures") == known + 1

            await until(told)
    assert [item.attempt for item in seen.items] == [1, 2]


async def test_what_fails_is_readable_while_it_does(manager: SessionManager, session_id: str) -> None:
    """Health is ``failing`` while an event is being retried, with its error; then ``active`` again."""
    seen = Seen(1)
    async with manager.consumers.join("g", seen, backoff=0.05):
        await until(lambda: _health(manager, "failing"))
        status = await manager.consumers.status("g")
        [failing] = [one.failing for one in status.partitions if one.failing]
        assert failing[session_id][2] == "ValueError('no 1')"
        seen.failing.clear()
        await until(lambda: _health(manager, "active"))
    await caught_up_but(manager, 0)


async def _health(manager: SessionManager, wanted: str) -> bool:
    return (await manager.consumers.status("g")).health == wanted


async def test_a_handler_that_awaits_what_was_cancelled_has_failed(manager: SessionManager, session_id: str) -> None:
    """Nobody has cancelled the member: it goes on, and the event is parked like any that fails."""

    async def handle(item: Item) -> None:
        waiting = asyncio.get_running_loop().create_future()
        waiting.cancel()
        await waiting

    async with manager.consumers.join("g", handle, attempts=2, concurrency=1, **QUICK):
        await caught_up(manager)
        assert [one.attempts for one in await manager.consumers.parked("g")] == [2]


class _Worse(BaseException):
    """What no handler should raise."""


async def test_what_is_no_failure_ends_the_member_and_is_raised(manager: SessionManager, session_id: str) -> None:
    """A member whose handlers have all ended would hold its partitions, and handle nothing."""

    async def handle(item: Item) -> None:
        raise _Worse

    with pytest.raises(_Worse):
        async with manager.consumers.join("g", handle, **QUICK) as consumer:
            await consumer.run()
    status = await manager.consumers.status("g")
    assert (status.lag, status.members, status.count("failures")) == (1, [], 0)


async def test_a_handler_that_is_no_coroutine_function_is_a_clear_error(
    manager: SessionManager, session_id: str
) -> None:
    """Bad input: refused at once, or with the first event, which is neither acknowledged nor parked."""
    handler: Any = "handle"
    with pytest.raises(InvalidType, match="handler"):
        manager.consumers.join("g", handler)
    handler = print
    with pytest.raises(InvalidType, match="async def"):
        async with manager.consumers.join("g", handler, **QUICK) as consumer:
            await consumer.run()
    status = await manager.consumers.status("g")
    assert (status.lag, status.members, status.count("failures")) == (1, [], 0)
