"""An append that is alone in its call is what an append among others is, and takes one call.

G1, G5.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import pytest

from sessionstream import NoteAdded, SessionManager, SessionState
from sessionstream.errors import SessionArchived, SessionEnded, SessionNotFound
from sessionstream.projection import Increment, Projection, counters
from tests.log.conftest import CountCommands

NOTE = NoteAdded(text="alone")


async def test_versions_and_positions_follow_one_another_beyond_every_ten(
    open_manager: Callable[..., SessionManager],
) -> None:
    """Up to three digits, in the session and in the feed."""
    manager = open_manager(partitions=1)
    session_id = (await manager.create_session("user", "agent")).session_id
    made = [await manager.append(session_id, NOTE) for _ in range(220)]
    assert [one.version for one in made] == list(range(2, 222))
    assert [event.offset async for event in manager.history(session_id)][1:] == [one.offset for one in made]
    entries = await manager.store.server.call("XRANGE", manager.store.keys.feed(0), "-", "+")
    positions = [int(position.partition(b"-")[2]) for position, _ in entries]
    assert positions == list(range(1, 222))


async def test_it_and_appends_among_others_may_take_turns(manager: SessionManager) -> None:
    """Each goes on where the other one has left off."""
    ids = [(await manager.create_session("user", "agent")).session_id for _ in range(12)]
    for turn in range(15):
        await manager.append(ids[0], NOTE)
        together = await asyncio.gather(*(manager.append(one, NOTE) for one in ids))
        assert {one.version for one in together[1:]} == {2 + turn}
        assert together[0].version == 3 + 2 * turn


@pytest.mark.parametrize("ttl", [None, 3600.0])
@pytest.mark.parametrize("state", ["active", "idle"])
async def test_it_takes_one_call(
    manager: SessionManager, count_commands: CountCommands, ttl: float | None, state: str
) -> None:
    """Also where the session expires some day, or is idle."""
    session_id = (await manager.create_session("user", "agent", ttl=ttl)).session_id
    await manager.set_session_state(session_id, state)
    await manager.append(session_id, NOTE)
    await count_commands()
    await manager.append(session_id, NOTE)
    assert (await count_commands())["evalsha"] == 1


async def _nothing(manager: SessionManager, session_id: str) -> None:
    await manager.delete_session(session_id, purge=True)


async def _ended(manager: SessionManager, session_id: str) -> None:
    await manager.delete_session(session_id)


async def _archived(manager: SessionManager, session_id: str) -> None:
    await manager.set_session_state(session_id, SessionState.ARCHIVED)


@pytest.mark.parametrize(
    ("before", "error"), [(_nothing, SessionNotFound), (_ended, SessionEnded), (_archived, SessionArchived)]
)
async def test_it_is_refused_as_ever(manager: SessionManager, before: Any, error: type[Exception]) -> None:
    """With the error that says why, by the script that knows all cases."""
    session_id = (await manager.create_session("user", "agent")).session_id
    await manager.append(session_id, NOTE)
    await before(manager, session_id)
    with pytest.raises(error):
        await manager.append(session_id, NOTE)


@pytest.mark.parametrize(("before", "error"), [(_ended, SessionEnded), (_archived, SessionArchived)])
async def test_it_is_refused_where_its_session_slides(
    open_manager: Callable[..., SessionManager], before: Any, error: type[Exception]
) -> None:
    """The answer that it slides, and the one that refuses it, may both be there before its caller waits."""
    other, manager = open_manager(), open_manager(extend_on="append")
    session_id = (await manager.create_session("user", "agent", ttl=60)).session_id
    assert (await manager.append(session_id, NOTE)).version == 2
    await before(other, session_id)
    async with asyncio.timeout(10):
        for _ in range(3):
            with pytest.raises(error):
                await manager.append(session_id, NOTE)


async def test_one_that_is_refused_leaves_nothing_to_the_collector(manager: SessionManager) -> None:
    """Nor does a manager live on, that was dropped, because an append of its own was refused."""
    session_id = (await manager.create_session("user", "agent")).session_id
    await _ended(manager, session_id)

    async def refused() -> None:
        with pytest.raises(SessionEnded):
            await manager.append(session_id, NOTE)

    await refused()
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            await refused()
        assert gc.collect() < 20
    finally:
        gc.enable()


async def test_what_it_gave_can_be_put_into_a_set(manager: SessionManager) -> None:
    """As what any append gave."""
    session_id = (await manager.create_session("user", "agent")).session_id
    alone = await manager.append(session_id, NOTE)
    together = await asyncio.gather(*(manager.append(session_id, NOTE) for _ in range(3)))
    several = await manager.append(session_id, [NOTE, NOTE])
    assert len({alone, *together, several}) == 5


@pytest.mark.parametrize(
    "gate", ["1712345678901-x active  ", "1712345678901-x9 active  ", "1712345678901-5", "1712345678901-  ", "nonsense"]
)
async def test_a_damaged_gate_is_the_matter_of_its_session_alone(
    open_manager: Callable[..., SessionManager], gate: str
) -> None:
    """Whether it is appended to alone or beside another one, which loses nothing by that."""
    manager = open_manager(partitions=1)
    damaged, whole = [(await manager.create_session("user", "agent")).session_id for _ in range(2)]
    await manager.store.server.call("HSET", manager.store.keys.log(0), damaged, gate)
    with pytest.raises(SessionNotFound):
        await manager.append(damaged, NOTE)
    made, refused = await asyncio.gather(
        manager.append(whole, NOTE), manager.append(damaged, NOTE), return_exceptions=True
    )
    assert isinstance(refused, SessionNotFound)
    assert not isinstance(made, BaseException)
    assert made.version == 2
    assert (await manager.append(whole, NOTE)).version == 3


async def test_it_takes_one_call_after_a_rebuild_has_held_appends_back(
    open_manager: Callable[..., SessionManager], count_commands: CountCommands
) -> None:
    """What held them back leaves nothing behind."""
    manager = open_manager(partitions=1)
    session_id = (await manager.create_session("user", "agent")).session_id
    async with manager.store.paused(0, unless=False):
        pass
    await manager.append(session_id, NOTE)
    await count_commands()
    await manager.append(session_id, NOTE)
    assert (await count_commands())["evalsha"] == 1


async def test_an_archived_session_refuses_it_beside_what_changes_views(
    open_manager: Callable[..., SessionManager],
) -> None:
    """In one call, in which each append says its form."""
    manager = open_manager(partitions=1)
    archived, other = [(await manager.create_session("user", "agent")).session_id for _ in range(2)]
    await _archived(manager, archived)
    await manager.update_session_metadata(other, {"a": 0})
    *_, refused = await asyncio.gather(
        *(manager.update_session_metadata(other, {"a": number}) for number in (1, 2)),
        manager.append(archived, NOTE),
        return_exceptions=True,
    )
    assert isinstance(refused, SessionArchived)


async def test_an_archived_session_refuses_what_a_projection_of_the_user_s_looks_at(
    open_manager: Callable[..., SessionManager],
) -> None:
    """Alone in its call, but with operations."""
    notes = Projection("notes_of_archived")

    @notes.on(NoteAdded)
    def count(session_id: str, event: NoteAdded) -> list[Any]:
        return [Increment(counters("all"), "notes", 1)]

    manager = open_manager(projections=[notes])
    session_id = (await manager.create_session("user", "agent")).session_id
    await manager.append(session_id, NOTE)
    await _archived(manager, session_id)
    with pytest.raises(SessionArchived):
        await manager.append(session_id, NOTE)
