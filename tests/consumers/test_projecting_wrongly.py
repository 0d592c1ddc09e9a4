"""What goes wrong around a projection that is run from the feed is said, and what is removed leaves nothing."""

from __future__ import annotations

from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import SessionManager
from sessionstream.consumers.generations import Generations
from sessionstream.consumers.registry import found
from sessionstream.errors import InvalidArgument, InvalidType
from tests.consumers.conftest import PARTITIONS, MakeManager
from tests.consumers.joining import add_notes
from tests.consumers.noting import BUSY, LATEST, TOTALS, notes


@pytest.fixture
async def session_id(manager: SessionManager) -> str:
    """A session with a note."""
    session = await manager.create_session("u", "a", session_id="sess_1")
    await add_notes(manager, session.session_id, "a")
    return session.session_id


async def test_what_progress_raises_ends_the_build(manager: SessionManager, session_id: str) -> None:
    """It is raised to everybody who waits, and nothing is said to be built that is not."""

    def fail(done: int, total: int) -> None:
        raise ZeroDivisionError(f"{done} of {total}")

    with pytest.raises(ZeroDivisionError):
        await manager.consumers.rebuild(notes(), progress=fail)
    async with manager.consumers.project(notes(), progress=fail) as projector:
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                await projector.in_use()
        with pytest.raises(ZeroDivisionError):
            await projector.run()
    assert await manager.consumers.projected(notes()).version() is None


@pytest.mark.parametrize("options", [{"lease": 0}, {"lease": "1"}, {"concurrency": 0}, {"concurrency": True}])
async def test_malformed_options_are_refused(manager: SessionManager, options: dict[str, Any]) -> None:
    """As `join` refuses them: with no concurrency it would wait for ever."""
    with pytest.raises(InvalidArgument):
        manager.consumers.project(notes(), **options)


async def test_what_is_no_projection_is_refused(manager: SessionManager) -> None:
    """And what is no append or session to wait for."""
    wrong: Any = "notes"
    for method in (manager.consumers.project, manager.consumers.projected):
        with pytest.raises(InvalidType, match="projection"):
            method(wrong)
    for waited in (None, 5):
        with pytest.raises(InvalidType):
            await manager.consumers.projected(notes()).wait_until(waited)  # type: ignore[arg-type]


async def test_it_is_run_in_one_block(manager: SessionManager, session_id: str) -> None:
    """Outside of it there is nothing to wait for; a second one would leave the first one's work alone."""
    projector = manager.consumers.project(notes())
    for wait in (projector.in_use, projector.run):
        with pytest.raises(InvalidArgument, match="block"):
            await wait()
    async with projector:
        with pytest.raises(InvalidArgument, match="once"):
            await projector.__aenter__()
        await projector.in_use()


async def test_a_later_version_is_not_rebuilt_away(make_manager: MakeManager) -> None:
    """A process that is left at an earlier version does not put its views in the place of the later ones."""
    manager = make_manager()
    await manager.consumers.rebuild(notes(2))
    with pytest.raises(InvalidArgument, match="version 2"):
        await manager.consumers.rebuild(notes(1))
    assert await manager.consumers.projected(notes()).version() == 2


async def test_a_session_that_was_made_anew_while_it_was_built_is_in_it(
    manager: SessionManager, session_id: str
) -> None:
    """G28: the removal of the one before, of which the feed tells behind the build's beginning, takes nothing of it."""
    generations = Generations(manager.store, notes())
    begun, _ = await generations.choose(anew=False)
    await found(manager.store, generations.group(begun), ["now"] * PARTITIONS, "todo")
    await manager.delete_session(session_id, purge=True)
    await manager.create_session("u", "a", session_id=session_id)
    await add_notes(manager, session_id, "b", "c", "d", "e")
    async with manager.consumers.project(notes()) as projector:
        await projector.in_use()
        views = manager.consumers.projected(notes())
        assert await views.counters(TOTALS) == {"notes": 4, "sessions": 1}
        assert (await views.fields(LATEST, session_id))["text"] == b"e"
        assert [found for found, _ in await views.index(BUSY)] == [session_id]
        await manager.delete_session(session_id, purge=True)
        await views.wait_until(session_id)
        assert await views.fields(LATEST, session_id) == {}


async def test_views_of_sessions_that_are_gone_go_with_their_generation(
    manager: SessionManager, client: Redis, session_id: str
) -> None:
    """What was purged while nobody ran the projection is not left behind when its views are replaced, or dropped."""
    other = (await manager.create_session("u", "a")).session_id
    await add_notes(manager, other, "a")
    await manager.consumers.rebuild(notes())
    await manager.delete_session(session_id, purge=True)
    await manager.consumers.rebuild(notes())
    assert [key async for key in client.scan_iter("*@notes@1.1*")] == []
    await manager.delete_session(other, purge=True)
    await manager.consumers.drop(notes())
    assert [key async for key in client.scan_iter("*@notes@*")] == []
