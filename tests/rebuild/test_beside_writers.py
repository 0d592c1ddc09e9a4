"""A rebuild beside writers, and one that is cancelled: no append fails, and no view is ever half made (G8)."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable

import pytest

from sessionstream import NoteAdded, Rebuilt, SessionManager
from tests.projections.views import assert_folded, beside, erase, stored
from tests.rebuild.conftest import MakeManager, noting
from tests.sessions.waiting import until

SESSIONS = [f"s{number}" for number in range(40)]

Write = Callable[[SessionManager, int], Awaitable[object]]


async def _create(manager: SessionManager, session_id: str) -> None:
    await manager.create_session("user", f"agent of {session_id}", session_id=session_id)
    await manager.append(session_id, NoteAdded(text="first"))


async def _note(manager: SessionManager, number: int) -> None:
    await manager.append(SESSIONS[number % len(SESSIONS)], NoteAdded(text=f"note {number % 7}"))


async def _live(manager: SessionManager, number: int) -> None:
    session_id = f"short life {number}"
    await manager.create_session("user", "agent", session_id=session_id)
    await manager.append(session_id, NoteAdded(text="x"))
    await manager.delete_session(session_id, purge=number % 2 == 0)


async def _live_again(manager: SessionManager, number: int) -> None:
    await manager.delete_session(SESSIONS[0], purge=True)
    await manager.create_session("user", f"agent {number % 3}", session_id=SESSIONS[0])
    await manager.append(SESSIONS[0], [NoteAdded(text=f"life {number}")] * (1 + number % 3))


async def _write_until(done: asyncio.Event, manager: SessionManager, write: Write, first: int, step: int) -> int:
    for number in itertools.count(first, step):
        await write(manager, number)
        if done.is_set():
            return (number - first) // step + 1
    raise AssertionError


async def _rebuild_beside(manager: SessionManager, writers: list[tuple[SessionManager, Write]]) -> list[int]:
    """Rebuild while these write without a break, and return how often each did; an append that fails is raised."""
    done = asyncio.Event()
    writing = [
        asyncio.create_task(_write_until(done, writer, write, number, len(writers)))
        for number, (writer, write) in enumerate(writers)
    ]
    try:
        await manager.rebuild()
    finally:
        done.set()
        counts = await asyncio.gather(*writing)
    return counts


@pytest.fixture
async def filled(manager: SessionManager) -> SessionManager:
    """A manager of a namespace of many sessions, each of an agent of its own."""
    await asyncio.gather(*(_create(manager, session_id) for session_id in SESSIONS))
    return manager


@pytest.fixture
async def slow(make_manager: MakeManager) -> SessionManager:
    """A manager of a namespace whose views take so long to build that a rebuild can be met in the middle."""
    manager = make_manager(noting(), partitions=1)
    await asyncio.gather(*(_create(manager, f"s{number}") for number in range(500)))
    return manager


@pytest.mark.parametrize("write", [_note, _live, _live_again], ids=["notes", "short lives", "an id that is used again"])
async def test_a_rebuild_beside_writers(filled: SessionManager, make_manager: MakeManager, write: Write) -> None:
    """Views that were lost are whole afterwards, with all that was appended meanwhile; no append failed."""
    others = [make_manager(noting()) for _ in range(3)]
    await erase(filled.store, lambda key: "}:head:" not in key)
    writers = [(filled, _note)] if write is not _live_again else []
    several = others[:1] if write is _live_again else others
    counts = await _rebuild_beside(filled, writers + [(other, write) for other in several])
    assert min(counts) > 0
    await assert_folded(filled)
    assert await beside(filled.store) == []


async def test_a_rebuild_ends_where_appends_never_cease(make_manager: MakeManager) -> None:
    """In a single partition, every try of an exchange would come too late."""
    manager = make_manager(noting(), partitions=1)
    await asyncio.gather(*(_create(manager, session_id) for session_id in SESSIONS))
    others = [make_manager(noting(), partitions=1) for _ in range(4)]
    async with asyncio.timeout(30):
        counts = await _rebuild_beside(manager, [(other, _note) for other in others for _ in range(4)])
    assert min(counts) > 1
    await assert_folded(manager)


async def test_one_session_is_rebuilt_beside_its_writers(filled: SessionManager, make_manager: MakeManager) -> None:
    """Its own views are not those of a moment before."""
    session_id = SESSIONS[0]
    done = asyncio.Event()

    async def write(manager: SessionManager, number: int) -> None:
        await manager.append(session_id, NoteAdded(text=f"note {number}"))

    others = [make_manager(noting()) for _ in range(2)]
    writing = [asyncio.create_task(_write_until(done, other, write, n, 2)) for n, other in enumerate(others)]
    for _ in range(10):
        await erase(filled.store, lambda key: key.endswith(f":{session_id}") and "}:view:" in key)
        await filled.rebuild(session_id)
    done.set()
    await asyncio.gather(*writing)
    await assert_folded(filled)


async def _with_leftovers(manager: SessionManager, other: SessionManager) -> list[str]:
    """Cancel a rebuild in the middle of its work, and return what it has left."""

    async def is_building() -> bool:
        return any("agent of" in key for key in await beside(other.store))

    rebuilding = asyncio.create_task(manager.rebuild())
    await until(is_building)
    rebuilding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await rebuilding
    return await beside(other.store)


async def test_a_cancelled_rebuild_leaves_the_old_views(slow: SessionManager, make_manager: MakeManager) -> None:
    """They are read, and written to, as if it had never begun; and the next one removes what it has left."""
    other = make_manager(noting(), partitions=1)
    before = await assert_folded(slow)
    left = await _with_leftovers(slow, other)
    assert left
    assert await stored(other.store) == before
    await _note(other, 1)
    await assert_folded(other)
    await other.rebuild()
    assert await beside(other.store) == []
    await assert_folded(other)


async def test_what_a_cancelled_rebuild_left_is_removed_also_where_its_sessions_are_gone(
    slow: SessionManager, make_manager: MakeManager
) -> None:
    """The next one does not build those views again, and removes them all the same."""
    other = make_manager(noting(), partitions=1)
    assert any("agent of" in key for key in await _with_leftovers(slow, other))
    await asyncio.gather(*(other.delete_session(f"s{number}", purge=True) for number in range(500)))
    await other.rebuild()
    assert await beside(other.store) == []
    await assert_folded(other)


async def test_a_cancelled_rebuild_has_made_some_sessions_and_left_the_others(
    slow: SessionManager, make_manager: MakeManager
) -> None:
    """Where views were lost, each of a session's is whole or lost still, and the next rebuild makes the rest."""
    other = make_manager(noting(), partitions=1)
    before = await assert_folded(slow)
    await erase(slow.store)
    rebuilding: asyncio.Task[Rebuilt]

    def cancel_after_a_hundred(done: int, _total: int) -> None:
        if done == 100:
            rebuilding.cancel()

    rebuilding = asyncio.create_task(slow.rebuild(progress=cancel_after_a_hundred))
    with pytest.raises(asyncio.CancelledError):
        await rebuilding
    there = await stored(other.store)
    assert 0 < len(there) < len(before)
    for key, content in there.items():
        assert content == before[key]
    await other.rebuild()
    assert await stored(other.store) == before


async def test_two_rebuilds_at_once_leave_the_views_whole(filled: SessionManager, make_manager: MakeManager) -> None:
    """One of them may be told that the other has taken over."""
    other = make_manager(noting())
    before = await assert_folded(filled)
    await erase(filled.store)
    results = await asyncio.gather(filled.rebuild(), other.rebuild(), return_exceptions=True)
    assert any(isinstance(result, Rebuilt) for result in results)
    assert await stored(filled.store) == before
    assert await beside(filled.store) == []
