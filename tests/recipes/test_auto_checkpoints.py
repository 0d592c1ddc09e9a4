"""`AutoCheckpoint`: one checkpoint every N turns, and a last one on the way out."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sessionstream import Session, SessionManager, SessionNotFound
from sessionstream.errors import InvalidArgument, InvalidType
from sessionstream.recipes import AutoCheckpoint, auto_checkpoint_interval


@pytest.fixture(autouse=True)
async def session(manager: SessionManager) -> Session:
    """The session whose turns are saved."""
    return await manager.create_session("user_1", "agent_1", session_id="sess_1")


async def _saved(manager: SessionManager) -> list[Any]:
    found = await manager.list_checkpoints("sess_1", with_data=True)
    return [checkpoint.data for checkpoint in reversed(found)]


async def _talk(manager: SessionManager, count: int, every: int) -> list[str | None]:
    history: list[int] = []
    ids = []
    async with AutoCheckpoint(manager, "sess_1", lambda: {"history": history}, every=every) as turns:
        for number in range(count):
            history.append(number)
            ids.append(await turns.turn())
    return ids


async def test_every_nth_turn_saves_and_the_last_save_is_on_exit(manager: SessionManager) -> None:
    """Seven turns, every three: after the third, after the sixth, and at the end."""
    ids = await _talk(manager, 7, 3)
    assert [data["history"] for data in await _saved(manager)] == [[0, 1, 2], [0, 1, 2, 3, 4, 5], [*range(7)]]
    known = [checkpoint.checkpoint_id for checkpoint in reversed(await manager.list_checkpoints("sess_1"))]
    assert ids == [None, None, known[0], None, None, known[1], None]


@pytest.mark.parametrize("count", [0, 6])
async def test_nothing_is_saved_on_exit_if_nothing_happened_since(manager: SessionManager, count: int) -> None:
    """Neither without a turn at all, nor right after a save."""
    await _talk(manager, count, 3)
    assert len(await _saved(manager)) == count // 3


async def test_five_turns_lie_between_two_saves_unless_the_caller_says_otherwise(manager: SessionManager) -> None:
    """As in the first document, also under its name."""
    for turns in (AutoCheckpoint(manager, "sess_1", dict), auto_checkpoint_interval(manager, "sess_1", dict)):
        assert [await turns.turn() is None for _ in range(6)] == [True, True, True, True, False, True]
    two = auto_checkpoint_interval(manager, "sess_1", dict, interval=2)
    assert [await two.turn() is None for _ in range(2)] == [True, False]


async def test_the_snapshot_can_be_async_and_the_checkpoint_labelled(manager: SessionManager) -> None:
    """It is asked at each save."""

    async def snapshot() -> dict[str, int]:
        await asyncio.sleep(0)
        return {"turn": 1}

    async with AutoCheckpoint(manager, "sess_1", snapshot, label="auto") as turns:
        await turns.turn()
    latest = await manager.get_latest_checkpoint("sess_1")
    assert latest is not None
    assert (latest.data, latest.label, latest.checkpoint_id) == ({"turn": 1}, "auto", turns.checkpoint_id)


async def test_a_save_in_between_begins_the_count_anew(manager: SessionManager) -> None:
    """The caller saw a reason to save."""
    async with AutoCheckpoint(manager, "sess_1", dict, every=2) as turns:
        await turns.turn()
        await turns.save()
        assert await turns.turn() is None
    assert len(await _saved(manager)) == 2


async def test_a_block_that_raises_is_saved_and_its_exception_goes_on(manager: SessionManager) -> None:
    """The very exception."""
    boom = RuntimeError("boom")
    with pytest.raises(RuntimeError) as raised:
        async with AutoCheckpoint(manager, "sess_1", lambda: {"turn": 1}) as turns:
            await turns.turn()
            raise boom
    assert raised.value is boom
    assert await _saved(manager) == [{"turn": 1}]


async def test_a_block_that_is_cancelled_is_saved(manager: SessionManager) -> None:
    """And stays cancelled."""
    begun = asyncio.Event()

    async def talk() -> None:
        async with AutoCheckpoint(manager, "sess_1", lambda: {"turn": 1}) as turns:
            await turns.turn()
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(talk())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await _saved(manager) == [{"turn": 1}]


async def test_a_failing_last_save_does_not_hide_the_block_s_exception(manager: SessionManager) -> None:
    """It is told in a note."""
    with pytest.raises(RuntimeError, match="boom") as raised:
        async with AutoCheckpoint(manager, "sess_1", dict) as turns:
            await turns.turn()
            await manager.delete_session("sess_1")
            raise RuntimeError("boom")
    assert "was not saved: SessionEnded" in raised.value.__notes__[0]


async def test_a_failing_last_save_is_raised_where_the_block_did_not_fail(manager: SessionManager) -> None:
    """Nobody would know of it otherwise."""
    with pytest.raises(SessionNotFound):
        async with AutoCheckpoint(manager, "sess_1", dict) as turns:
            await turns.turn()
            await manager.delete_session("sess_1")


async def test_turns_that_were_not_saved_are_saved_at_the_next_occasion(manager: SessionManager) -> None:
    """A snapshot that failed is taken again with the next turn."""
    fails = True

    def snapshot() -> dict[str, int]:
        if fails:
            raise OSError
        return {"turn": 3}

    async with AutoCheckpoint(manager, "sess_1", snapshot, every=2) as turns:
        await turns.turn()
        with pytest.raises(OSError):
            await turns.turn()
        fails = False
        assert await turns.turn() is not None
    assert await _saved(manager) == [{"turn": 3}]


@pytest.mark.parametrize(
    ("snapshot", "every", "error"), [({}, 5, InvalidType), (dict, 0, InvalidArgument), (dict, 1.5, InvalidType)]
)
def test_bad_arguments_are_refused(manager: SessionManager, snapshot: Any, every: Any, error: type[Exception]) -> None:
    """When it is made."""
    with pytest.raises(error):
        AutoCheckpoint(manager, "sess_1", snapshot, every=every)
