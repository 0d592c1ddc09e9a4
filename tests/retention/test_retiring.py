"""G35: an ended session that is archived before it is retired can still be replayed, and its checkpoints are there.

G14, G34.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sessionstream import ArchiveDamaged, SessionManager, SessionNotFound
from sessionstream.errors import ArchiveFailed
from tests.retention.conftest import MakeManager, said, talk
from tests.retention.test_archives import lines_of

pytestmark = pytest.mark.guarantee


async def ended(manager: SessionManager, session: str) -> list[tuple[str, list[bytes]]]:
    """End the session, with a checkpoint, and return its entries."""
    await manager.save_checkpoint(session, {"turn": 1, "text": "é"}, checkpoint_id="one")
    await manager.delete_session(session)
    return [(event.offset, list(event.words)) async for event in manager.history(session)]


async def replayed(manager: SessionManager, session: str, folder: Path) -> list[tuple[str, list[bytes]]]:
    """Return the entries that a replay gives."""
    return [(event.offset, list(event.words)) async for event in manager.retention.replay(session, folder)]


async def test_a_session_is_archived_before_it_is_retired(
    make_manager: MakeManager, manager: SessionManager, session: str, folder: Path
) -> None:
    """All of it: every event, and the data of its checkpoints."""
    before = await ended(manager, session)
    await make_manager(retention=0, archive=folder).cleanup_expired_sessions()
    with pytest.raises(SessionNotFound):
        await said(manager)
    assert await replayed(manager, session, folder) == before
    [path] = folder.rglob("checkpoints*")
    _, line, foot = lines_of(path)
    assert json.loads(line) == {"checkpoint_id": "one", "body": '{"turn":1,"text":"é"}'}
    assert json.loads(foot)["last"] == before[-1][0]


async def test_what_was_trimmed_before_is_part_of_it(
    make_manager: MakeManager, manager: SessionManager, session: str, folder: Path
) -> None:
    """The files of both follow on each other."""
    await manager.retention.trim(session, folder, keep_events=2)
    await talk(manager, 2)
    await manager.delete_session(session)
    before = await replayed(manager, session, folder)
    await make_manager(retention=0, archive=folder).cleanup_expired_sessions()
    assert await replayed(manager, session, folder) == before
    assert len(before) == 14


async def test_without_the_setting_nothing_is_archived(
    make_manager: MakeManager, manager: SessionManager, session: str, folder: Path
) -> None:
    """It is removed as ever; so is one that is purged."""
    await ended(manager, session)
    await make_manager(retention=0).cleanup_expired_sessions()
    await manager.create_session("user_1", "agent_1", session_id="other")
    await make_manager(archive=folder).delete_session("other", purge=True)
    assert not folder.exists()


async def test_a_session_that_cannot_be_archived_stays_and_does_not_hold_up_the_others(
    make_manager: MakeManager, manager: SessionManager, session: str, folder: Path
) -> None:
    """The error is told when all else is done; later it is archived and removed."""
    await ended(manager, session)
    await manager.create_session("user_1", "agent_1", session_id="other")
    await manager.delete_session("other")
    folder.mkdir()
    in_the_way = folder / session
    in_the_way.write_text("in the way")
    keeping = make_manager(retention=0, archive=folder)
    with pytest.raises(ArchiveFailed, match=session):
        await keeping.cleanup_expired_sessions()
    assert len(await said(manager)) == 12
    with pytest.raises(SessionNotFound):
        await said(manager, "other")
    in_the_way.unlink()
    await keeping.cleanup_expired_sessions()
    with pytest.raises(SessionNotFound):
        await said(manager)
    assert len(await replayed(manager, session, folder)) == 12


async def test_creating_sessions_never_removes_what_is_to_be_archived(
    make_manager: MakeManager, manager: SessionManager, session: str, folder: Path
) -> None:
    """Nobody who creates a session waits for the disk; the sweeper does it."""
    await ended(manager, session)
    keeping = make_manager(retention=0, archive=folder)
    for number in range(300):
        await keeping.create_session("user_1", "agent_1", session_id=f"new_{number}")
    assert len(await said(manager)) == 12


async def test_a_held_session_is_neither_archived_nor_removed(
    make_manager: MakeManager, manager: SessionManager, session: str, folder: Path
) -> None:
    """It is, once the hold is released; that is part of its history too."""
    await ended(manager, session)
    hold_id = await manager.retention.hold(session, "audit")
    keeping = make_manager(retention=0, archive=folder)
    await keeping.cleanup_expired_sessions()
    assert not folder.exists()
    await manager.retention.release(session, hold_id)
    before = [(event.offset, list(event.words)) async for event in manager.history(session)]
    await keeping.cleanup_expired_sessions()
    assert await replayed(manager, session, folder) == before


async def test_what_comes_between_the_archive_and_the_removal_keeps_the_session(
    make_manager: MakeManager, manager: SessionManager, session: str, folder: Path
) -> None:
    """A session is removed only as it was archived."""
    await ended(manager, session)
    keeping = make_manager(retention=0, archive=folder)
    archive = keeping.store.archive_first
    assert archive is not None

    async def archive_and_be_overtaken(session_id: str) -> str | None:
        offset = await archive(session_id)
        await manager.clear_checkpoints(session_id)
        return offset

    keeping.store.archive_first = archive_and_be_overtaken
    await keeping.cleanup_expired_sessions()
    assert (await said(manager))[-1] == 13
    keeping.store.archive_first = archive
    await keeping.cleanup_expired_sessions()
    assert len(await replayed(manager, session, folder)) == 13


async def test_an_archive_of_a_removed_session_that_is_not_whole_says_so(
    manager: SessionManager, session: str, folder: Path
) -> None:
    """What there is is given, then the error: what followed is in neither."""
    await manager.retention.archive(session, folder)
    await manager.delete_session(session, purge=True)
    given = []
    with pytest.raises(ArchiveDamaged, match="not closed"):
        async for event in manager.retention.replay(session, folder):
            given.append(event.version)
    assert given == list(range(1, 11))
