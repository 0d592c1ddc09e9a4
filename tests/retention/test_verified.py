"""G35: what was trimmed is verified from the archive, as if it were in the stream."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from sessionstream import SessionManager
from sessionstream.integrity.reporting import Kind
from sessionstream.retention.replaying import archived_in
from tests.cli.conftest import Cli
from tests.cli.conftest import cli as cli
from tests.retention.conftest import MakeManager, talk

KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture
async def sealing(make_manager: MakeManager, session: str, folder: Path) -> SessionManager:
    """A manager that has a key; the session is sealed, and its first seven events are trimmed."""
    manager = make_manager(seal_key=KEY)
    await manager.save_checkpoint(session, {"turn": 1}, offset=(await manager.audit.as_of(session, version=9)).offset)
    await manager.audit.seal(session)
    assert (await manager.retention.trim(session, folder, keep_events=4, compress=False)).trimmed == 7
    await talk(manager, 2)
    await manager.audit.seal(session)
    return manager


async def test_with_its_archive_all_of_a_trimmed_session_is_verified(
    sealing: SessionManager, session: str, folder: Path
) -> None:
    """Nothing is left unchecked that could be checked of one that was never trimmed."""
    await sealing.create_session("user_1", "agent_1", session_id="whole")
    await sealing.audit.seal("whole")
    archived = archived_in(sealing.store, folder)
    found = await sealing.audit.verify(session, archived=archived)
    other = await sealing.audit.verify("whole")
    assert (found.ok, found.findings, found.sealed_to) == (True, (), 14)
    assert [claim.name for claim in found.unchecked] == [claim.name for claim in other.unchecked]
    every = [one async for one in sealing.audit.verify_all(archived=archived)]
    assert {one.session_id: one.ok for one in every} == {session: True, "whole": True}


async def test_without_it_what_is_left_is_verified(sealing: SessionManager, session: str) -> None:
    """And what could not be checked is named; a trim that an event tells of is no removal."""
    found = await sealing.audit.verify(session)
    assert found.ok
    assert "beginning" in {claim.name for claim in found.unchecked}


async def test_an_archive_that_was_made_anew_is_no_proof(sealing: SessionManager, session: str, folder: Path) -> None:
    """Its sums are right, but the seals tell what was appended."""
    [path] = folder.rglob("*.jsonl")
    *lines, foot = path.read_bytes().replace(b"message 5", b"message 6").splitlines(keepends=True)
    told = json.loads(foot) | {"sha256": hashlib.sha256(b"".join(lines)).hexdigest()}
    path.write_bytes(b"".join([*lines, json.dumps(told).encode() + b"\n"]))
    found = await sealing.audit.verify(session, archived=archived_in(sealing.store, folder))
    [finding] = found.findings
    assert (finding.kind, finding.version) == (Kind.CONTENT_EDITED, 5)


async def test_a_damaged_archive_is_a_finding_and_the_rest_is_verified(
    sealing: SessionManager, session: str, folder: Path
) -> None:
    """It names the file; of the stream nothing is wrong."""
    [path] = folder.rglob("*.jsonl")
    path.write_bytes(path.read_bytes()[:-30])
    found = await sealing.audit.verify(session, archived=archived_in(sealing.store, folder))
    [finding] = found.findings
    assert (finding.kind, finding.name, found.sealed_to) == (Kind.FILE_ALTERED, str(path), 14)


async def test_commands_verify_with_an_archive(
    sealing: SessionManager, session: str, folder: Path, cli: Cli, tmp_path: Path
) -> None:
    """`verify`, and `evidence`, into which the archived events go."""
    env = {"SESSIONSTREAM_SEAL_KEY": KEY}
    fine = await cli("verify", session, "--archive", str(folder), "--json", **env)
    assert (fine.code, fine.record["ok"]) == (0, True)
    file = tmp_path / "evidence.jsonl"
    written = await cli("evidence", session, "-o", str(file), "--archive", str(folder), "--json", **env)
    assert (written.code, written.record["events"]) == (0, 14)
    assert (await cli("evidence", "--verify", str(file), **env)).code == 0
    [path] = folder.rglob("*.jsonl")
    path.unlink()
    lost = await cli("verify", session, "--archive", str(folder), **env)
    assert lost.code == 1
    assert "are missing" in lost.out + lost.err
