"""What goes wrong around a projection that is run from the feed is said, and what is removed leaves nothing."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import SessionManager
from sessionstream.consumers.generations import Generations
from sessionstream.consumers.registry import found
from sessionstream.consumers.removing import delete_group
from sessionstream.errors import InvalidArgument, InvalidType, NotProjected
from tests.consumers.conftest import PARTITIONS, MakeManager
from tests.consumers.joining import add_notes
from tests.consumers.noting import BUSY, LATEST, TOTALS, notes
from tests.sessions.waiting import until


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


async def test_a_removal_that_was_cancelled_is_gone_on_with(
    manager: SessionManager, client: Redis, session_id: str
) -> None:
    """G28: as long as anything is kept of a generation its group is known, so the next one who clears up removes it."""
    for _ in range(8):
        await add_notes(manager, (await manager.create_session("u", "a")).session_id, "a")
    await manager.consumers.rebuild(notes())
    [group] = await manager.consumers.groups()
    for turns in itertools.count(1):
        task = asyncio.create_task(delete_group(manager.store, group))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if group not in await manager.consumers.groups():
            break
    assert turns > 5
    assert [key async for key in client.scan_iter(f"*view*@{group}*")] == []


async def test_who_keeps_views_up_goes_over_to_those_in_use(manager: SessionManager, session_id: str) -> None:
    """G28: also where the process that put them in their place died before it had removed the old ones."""
    generations, views = Generations(manager.store, notes()), manager.consumers.projected(notes())
    async with manager.consumers.project(notes()) as projector:
        await projector.in_use()
        another, _ = await generations.choose(anew=True)
        await found(manager.store, generations.group(another), ["now"] * PARTITIONS)
        assert await generations.switch(another)
        await add_notes(manager, session_id, "b")
        await views.wait_until(session_id)
        assert await views.counters(TOTALS) == {"notes": 1}
        only = [generations.group(another)]
        assert await until(lambda: _groups_are(manager, only))


async def _groups_are(manager: SessionManager, names: list[str]) -> bool:
    return await manager.consumers.groups() == names


async def test_who_waits_for_views_whose_group_was_deleted_asks_now_and_then(
    manager: SessionManager, client: Redis, session_id: str
) -> None:
    """Somebody may make it again; until then the server has better things to do."""
    await manager.consumers.rebuild(notes())
    [group] = await manager.consumers.groups()
    await manager.consumers.delete(group)
    before = await _commands(client)
    with pytest.raises(NotProjected):
        await manager.consumers.projected(notes()).wait_until(session_id, timeout=0.2)
    assert await _commands(client) - before < 100


async def _commands(client: Redis) -> int:
    return int((await client.info("stats"))["total_commands_processed"])
