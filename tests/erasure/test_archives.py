"""G40: what archives hold of an erased user is written anew, of sessions that are removed as well."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sessionstream import HistoryTrimmed, RecordedEvent, SessionManager
from sessionstream.errors import HistoryErased
from tests.erasure.conftest import KEY, PLAIN, SESSION, USER, MakeManager, talk
from tests.erasure.searching import found_in_files


@pytest.fixture
async def archiving(make_manager: MakeManager, folder: Path) -> SessionManager:
    """A manager whose ended sessions are archived before they are removed."""
    return make_manager(seal_key=KEY, archive=folder, retention=0)


async def _talked(manager: SessionManager, user_id: str = USER, session_id: str = SESSION) -> None:
    await manager.create_session(user_id, "agent_1", {"said": PLAIN}, session_id=session_id)
    await talk(manager, 5, session_id)
    await manager.save_checkpoint(session_id, {"said": PLAIN})


async def test_the_archive_of_a_removed_session_is_erased(archiving: SessionManager, folder: Path) -> None:
    """Its events' places stay, so it is replayed without a gap; the data of its checkpoints is gone."""
    await _talked(archiving)
    await archiving.delete_session(SESSION)
    await archiving.cleanup_expired_sessions()
    assert len(found_in_files(folder, PLAIN)) == 2
    done = await archiving.erase_user(USER)
    assert (done.sessions, done.files) == (0, 2)
    assert found_in_files(folder, PLAIN, USER) == []
    replayed = [event async for event in archiving.retention.replay(SESSION, folder)]
    assert [event.version for event in replayed] == list(range(1, 9))
    assert {event.type for event in replayed} == {"event.erased"}
    assert (await archiving.erase_user(USER)).files == 0


async def test_archives_of_others_stay_as_they_are(archiving: SessionManager, folder: Path) -> None:
    """And so do those of another namespace in the same folder."""
    await _talked(archiving)
    await _talked(archiving, "bob", "sess_bob")
    for session_id in (SESSION, "sess_bob"):
        await archiving.retention.archive(session_id, folder)
    kept = {path: path.read_bytes() for path in (folder / "sess_bob").rglob("*") if path.is_file()}
    assert (await archiving.erase_user(USER)).files == 1
    assert kept
    assert {path: path.read_bytes() for path in kept} == kept


async def test_folders_beside_that_of_the_settings_are_named(
    manager: SessionManager, session: str, folder: Path
) -> None:
    """Nobody else knows of them."""
    await manager.retention.archive(session, folder)
    assert (await manager.erase_user(USER)).files == 0
    assert found_in_files(folder, PLAIN)
    assert (await manager.erase_user(USER, archives=[folder])).files == 1
    assert found_in_files(folder, PLAIN, USER) == []


async def test_the_archive_of_a_fork_is_erased_with_its_origin(archiving: SessionManager, folder: Path) -> None:
    """Also where both are removed."""
    await _talked(archiving)
    fork = await archiving.audit.fork(SESSION, at=4, user_id="bob")
    for session_id in (fork.session_id, SESSION):
        await archiving.delete_session(session_id)
    await archiving.cleanup_expired_sessions()
    assert await archiving.get_total_session_count() == 0
    assert (await archiving.erase_user(USER)).files == 3
    assert found_in_files(folder, PLAIN, USER) == []


@pytest.fixture
async def trimmed(manager: SessionManager, session: str, folder: Path) -> SessionManager:
    """A session of which the first four events are in the archive alone, and which was erased."""
    await manager.audit.seal(session)
    done = await manager.retention.trim(session, folder, keep_events=3)
    assert done.trimmed == 4
    await manager.erase_user(USER, archives=[folder])
    return manager


async def test_a_trimmed_session_is_erased_in_the_stream_and_in_the_archive(
    trimmed: SessionManager, folder: Path
) -> None:
    """Replayed it is whole; without the archive its beginning is as little there as it was."""
    assert found_in_files(folder, PLAIN, USER) == []
    replayed = [event async for event in trimmed.retention.replay(SESSION, folder)]
    assert [event.version for event in replayed] == list(range(1, 11))
    assert {event.type for event in replayed[:9]} == {"event.erased"}
    with pytest.raises(HistoryTrimmed):
        await anext(trimmed.history(SESSION))
    with pytest.raises(HistoryErased):
        await trimmed.audit.as_of(SESSION, version=6)
    assert (await trimmed.audit.as_of(SESSION, version=10)).metadata == {}


async def test_a_trimmed_and_erased_session_verifies_with_its_archive(trimmed: SessionManager, folder: Path) -> None:
    """The archive's files prove what they stand for as the stream does; without them what begins later is verified."""

    def archived(session_id: str) -> AsyncIterator[RecordedEvent]:
        return trimmed.retention.replay(session_id, folder)

    found = await trimmed.audit.verify(SESSION, archived=archived)
    assert found.ok, found.findings
    assert (found.version, found.erased, found.unproven_erased) == (10, 9, 0)
    assert all(one.checked for one in found.claims if one.name in ("order", "events", "views", "erasure"))
    found = await trimmed.audit.verify(SESSION)
    assert found.ok, found.findings
    assert "beginning" in {one.name for one in found.unchecked}


async def test_a_trimmed_and_erased_session_is_rebuilt(trimmed: SessionManager) -> None:
    """There is nothing to fold in front of its erasure."""
    before = await trimmed.store.head(SESSION)
    assert (await trimmed.rebuild()).sessions == 1
    assert (await trimmed.store.head(SESSION))[0] == before[0]
    assert await trimmed.rebuild(SESSION)


async def test_a_damaged_file_is_removed(manager: SessionManager, session: str, folder: Path) -> None:
    """Nobody can say what is in it."""
    await manager.retention.archive(session, folder, compress=False)
    [path] = folder.rglob("*.jsonl")
    path.write_bytes(path.read_bytes()[:-40])
    assert (await manager.erase_user(USER, archives=[folder])).files == 1
    assert found_in_files(folder, PLAIN, USER) == []
    assert not [path for path in folder.rglob("*") if path.is_file()]
