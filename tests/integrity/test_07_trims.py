"""Trimmed sessions: what is left is verified from where it begins, and with the archive all of it (G32)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sessionstream import NoteAdded, RecordedEvent, SessionManager
from sessionstream.integrity.keyring import Keyring
from sessionstream.integrity.offline import verify_evidence
from sessionstream.integrity.reporting import Kind
from tests.integrity.attacks import Attacker
from tests.integrity.conftest import KEY, SESSION, MakeManager
from tests.integrity.test_01_histories import told


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the archive is."""
    return tmp_path / "archive"


@pytest.fixture
async def trimmed(sealed: SessionManager, folder: Path) -> SessionManager:
    """The session with its first 6 events in the archive alone; the trim's own event is sealed too."""
    done = await sealed.retention.trim(SESSION, folder, keep_events=6)
    assert done.trimmed == 6
    await sealed.audit.seal(SESSION)
    return sealed


async def test_what_is_left_of_a_trimmed_session_verifies(trimmed: SessionManager) -> None:
    """And it is said what that leaves open."""
    found = await trimmed.audit.verify(SESSION)
    assert found.ok
    assert (found.version, found.sealed_to) == (13, 13)
    assert {"beginning", "views"} <= {one.name for one in found.unchecked}


async def test_with_its_archive_all_of_a_trimmed_session_is_verified(trimmed: SessionManager, folder: Path) -> None:
    """Of one, and of all."""

    def archived(session_id: str) -> AsyncIterator[RecordedEvent]:
        return trimmed.retention.replay(session_id, folder)

    found = await trimmed.audit.verify(SESSION, archived=archived)
    assert found.ok
    assert [one.name for one in found.unchecked] == ["counters", "anchor"]
    assert all([one.ok async for one in trimmed.audit.verify_all(archived=archived)])


async def test_what_is_altered_behind_a_trim_is_named(trimmed: SessionManager, attacker: Attacker) -> None:
    """In the run of events of which some are trimmed, too."""
    offset, _ = (await attacker.entries())[2]
    await attacker.client.xdel(attacker.events, offset)
    found = await trimmed.audit.verify(SESSION)
    assert told(found) == [(Kind.REMOVED, int(offset.partition(b"-")[2]))]


async def test_what_is_altered_in_an_archive_is_named(trimmed: SessionManager, folder: Path) -> None:
    """By somebody who made its sums right again, which the seals are not."""

    async def forged(session_id: str) -> AsyncIterator[RecordedEvent]:
        async for event in trimmed.retention.replay(session_id, folder):
            words = [word.replace(b"0 b", b"0 c") for word in event.words]
            yield RecordedEvent(session_id, event.offset, words)

    found = await trimmed.audit.verify(SESSION, archived=forged)
    assert told(found) == [(Kind.CONTENT_EDITED, 3)]


async def test_a_damaged_archive_is_a_finding(trimmed: SessionManager, folder: Path) -> None:
    """It names the file; the stream is verified all the same."""
    [file] = list(folder.rglob("*.jsonl*"))
    file.write_bytes(file.read_bytes()[:-10])
    found = await trimmed.audit.verify(SESSION, archived=lambda name: trimmed.retention.replay(name, folder))
    assert found.findings[0].kind is Kind.FILE_ALTERED
    assert str(file) in found.findings[0].detail


async def test_events_that_are_gone_without_a_trim_are_removed_events(
    sealed: SessionManager, attacker: Attacker
) -> None:
    """Whatever the head is made to say."""
    await attacker.remove(1, 2, 3)
    assert (Kind.REMOVED, 1) in told(await sealed.audit.verify(SESSION))
    upto = (await attacker.entries())[0][0].replace(b"-4", b"-3")
    await attacker.client.hset(attacker.keys.head(SESSION), "trimmed", upto)
    assert (Kind.REMOVED, 1) in told(await sealed.audit.verify(SESSION))


async def test_sealing_goes_on_behind_a_trim(make_manager: MakeManager, sealed: SessionManager, folder: Path) -> None:
    """Also where what was trimmed had not been sealed before."""
    keyless = make_manager(seal_key=None)
    await keyless.append(SESSION, [NoteAdded(text=str(number)) for number in range(10)])
    await keyless.retention.trim(SESSION, folder, keep_events=3)
    await keyless.append(SESSION, NoteAdded(text="more"))
    assert (await sealed.audit.seal(SESSION)).version == 24
    found = await sealed.audit.verify(SESSION)
    assert (found.ok, found.sealed_to) == (True, 24)


async def test_what_was_trimmed_before_it_was_sealed_is_not_taken_for_a_seal_that_is_gone(
    make_manager: MakeManager, sealed: SessionManager, folder: Path
) -> None:
    """With the archive its events are there, and no seal ever covered them; it is said that they are not proven."""
    keyless = make_manager(seal_key=None)
    await keyless.append(SESSION, [NoteAdded(text=str(number)) for number in range(10)])
    await keyless.clear_checkpoints(SESSION)
    await keyless.retention.trim(SESSION, folder, keep_events=3)
    await sealed.audit.seal(SESSION)
    found = await sealed.audit.verify(SESSION, archived=lambda name: sealed.retention.replay(name, folder))
    assert (found.findings, found.sealed_to) == ((), 24)
    [why] = [one.why for one in found.unchecked if one.name == "events"]
    assert why == "versions 13 to 20 were trimmed before they were sealed"


async def test_a_seal_that_is_gone_behind_a_trim_is_found(
    make_manager: MakeManager, sealed: SessionManager, attacker: Attacker, folder: Path
) -> None:
    """The one behind it was made on it."""
    await sealed.append(SESSION, NoteAdded(text="more"))
    await sealed.audit.seal(SESSION)
    await sealed.retention.trim(SESSION, folder, keep_events=3)
    await sealed.audit.seal(SESSION)
    await attacker.client.lpop(sealed.store.keys.seals(SESSION))
    found = await sealed.audit.verify(SESSION, archived=lambda name: sealed.retention.replay(name, folder))
    assert found.findings[0].kind is Kind.SEAL_REMOVED


async def test_verifying_and_sealing_beside_trims_finds_nothing(
    make_manager: MakeManager, sealed: SessionManager, folder: Path
) -> None:
    """What is trimmed while it is read is no finding."""
    writer = make_manager()

    async def trim() -> None:
        for number in range(8):
            await writer.append(SESSION, [NoteAdded(text=f"{number}")] * 5)
            await writer.save_checkpoint(SESSION, {"number": number}, checkpoint_id=f"{number}")
            await writer.retention.keep_checkpoints(SESSION, 1)
            await writer.retention.trim(SESSION, folder, keep_events=4)

    trimming = asyncio.create_task(trim())
    while not trimming.done():
        assert (await sealed.audit.verify(SESSION)).findings == ()
        await sealed.audit.seal(SESSION)
    await trimming


async def test_evidence_of_a_trimmed_session_verifies(trimmed: SessionManager, folder: Path, tmp_path: Path) -> None:
    """From where it begins, or with the archive all of it."""
    assert await trimmed.audit.evidence(SESSION, tmp_path / "rest") == 7
    found = verify_evidence(tmp_path / "rest", Keyring(KEY)).verification
    assert found.ok
    assert "beginning" in {one.name for one in found.unchecked}
    whole = await trimmed.audit.evidence(
        SESSION, tmp_path / "whole", archived=lambda name: trimmed.retention.replay(name, folder)
    )
    assert whole == 13
    found = verify_evidence(tmp_path / "whole", Keyring(KEY)).verification
    assert (found.ok, found.sealed_to) == (True, 13)
    assert "beginning" not in {one.name for one in found.unchecked}
