"""The last checkpoints are kept, and those with a label; older ones are deleted by the event that tells of it (G34)."""

from __future__ import annotations

from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import InvalidArgument, SessionHeld, SessionManager, SessionNotFound
from tests.retention.conftest import MakeManager, said
from tests.sessions.waiting import until


async def ids_of(manager: SessionManager, session: str) -> list[str]:
    """Return the ids of the checkpoints that are kept, newest first."""
    return [one.checkpoint_id for one in await manager.list_checkpoints(session)]


async def save(manager: SessionManager, session: str, count: int, labelled: tuple[int, ...] = ()) -> None:
    """Save so many checkpoints, ``c1``, ``c2`` …, some of them with a label."""
    for number in range(1, count + 1):
        label = f"label {number}" if number in labelled else None
        await manager.save_checkpoint(session, {"turn": number}, label=label, checkpoint_id=f"c{number}")


async def test_all_but_the_last_without_a_label_are_deleted(
    manager: SessionManager, session: str, client: Redis
) -> None:
    """With their bodies; those with a label stay, however old, and do not count."""
    await save(manager, session, 8, labelled=(2, 7))
    assert await manager.retention.keep_checkpoints(session, last=3) == 3
    assert await ids_of(manager, session) == ["c8", "c7", "c6", "c5", "c2"]
    assert sorted(await client.hkeys(manager.store.keys.bodies(session))) == [b"", b"c2", b"c5", b"c6", b"c7", b"c8"]
    deleted = [event async for event in manager.history(session, types=["checkpoint.deleted"])]
    assert [event.data.checkpoint_id for event in deleted] == ["c1", "c3", "c4"]
    version = (await said(manager))[-1]
    assert await manager.retention.keep_checkpoints(session, last=3) == 0
    assert (await said(manager))[-1] == version


async def test_thousands_are_deleted_in_pieces(manager: SessionManager, session: str) -> None:
    """As many as there are."""
    for number in range(1_100):
        await manager.save_checkpoint(session, number)
    assert await manager.retention.keep_checkpoints(session, last=1) == 1_099
    assert len(await ids_of(manager, session)) == 1


@pytest.mark.parametrize("last", [0, -1, None, "3", True])
async def test_what_is_no_number_of_checkpoints_is_refused(manager: SessionManager, session: str, last: Any) -> None:
    """To keep none is what `clear_checkpoints` is for."""
    await save(manager, session, 2)
    with pytest.raises(InvalidArgument):
        await manager.retention.keep_checkpoints(session, last)
    assert len(await ids_of(manager, session)) == 2


async def test_an_unknown_session_has_none(manager: SessionManager) -> None:
    """That is an error, as a mistyped id would go unnoticed."""
    with pytest.raises(InvalidArgument):
        await manager.retention.keep_checkpoints(None, last=1)  # type: ignore[arg-type]
    with pytest.raises(SessionNotFound):
        await manager.retention.keep_checkpoints("nobody", 1)


async def test_a_held_session_keeps_all(make_manager: MakeManager, manager: SessionManager, session: str) -> None:
    """It is refused where something would go; the setting waits until the hold is released."""
    keeping = make_manager(keep_checkpoints=1)
    hold_id = await manager.retention.hold(session, "audit")
    await save(keeping, session, 3)
    await keeping.aclose()
    assert await ids_of(manager, session) == ["c3", "c2", "c1"]
    with pytest.raises(SessionHeld):
        await manager.retention.keep_checkpoints(session, 1)
    assert await manager.retention.keep_checkpoints(session, 3) == 0
    await manager.retention.release(session, hold_id)
    assert await manager.retention.keep_checkpoints(session, 1) == 2


async def test_the_setting_does_it_after_each_that_is_saved(make_manager: MakeManager, session: str) -> None:
    """Beside the call, which does not wait for it."""
    keeping = make_manager(keep_checkpoints=2)
    await save(keeping, session, 6, labelled=(1,))

    async def kept() -> bool:
        return await ids_of(keeping, session) == ["c6", "c5", "c1"]

    # What was saved while the chore was under way is left to the next one.
    while not await kept():
        await keeping.retention.keep_checkpoints(session, 2)
    await keeping.save_checkpoint(session, {}, checkpoint_id="c7")

    async def oldest_is_gone() -> bool:
        return await ids_of(keeping, session) == ["c7", "c6", "c1"]

    await until(oldest_is_gone)
    resumed = await keeping.resume(session)
    assert resumed.checkpoint is not None
    assert resumed.checkpoint.checkpoint_id == "c7"
