"""Evidence: one file that tells all of a session, and is verified without a server, by what cannot speak to one.

G33.
"""

from __future__ import annotations

import enum
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sessionstream import MessageAdded, NoteAdded, SessionManager, SessionNotFound
from sessionstream.errors import InvalidEvidence
from sessionstream.integrity.__main__ import main
from sessionstream.integrity.keyring import Keyring
from sessionstream.integrity.offline import verify_evidence
from sessionstream.integrity.reporting import Kind
from tests.integrity.attacks import Attacker
from tests.integrity.conftest import KEY, SESSION
from tests.integrity.test_01_histories import told

OTHER_KEY = "f" * 32
Lines = list[bytes]


@pytest.fixture
async def file(sealed: SessionManager, tmp_path: Path) -> Path:
    """The evidence of a sealed session of 12 events, and of one more that is not sealed."""
    await sealed.append(SESSION, NoteAdded(text="more"))
    path = tmp_path / "evidence.jsonl"
    assert await sealed.audit.evidence(SESSION, path) == 13
    return path


def changed(path: Path, change: Callable[[Lines], Lines]) -> Any:
    """Change the file's lines, and return what is found of it then."""
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))
    return verify_evidence(path, Keyring(KEY)).verification


def line_of(lines: Lines, version: int) -> int:
    """Return the place of an event's line."""
    return next(at for at, line in enumerate(lines) if b'-%d","words"' % version in line)


def test_evidence_verifies_by_itself(file: Path) -> None:
    """All that one file can tell is checked."""
    found = verify_evidence(file, Keyring(KEY))
    assert found.verification.ok
    assert (found.verification.session_id, found.verification.version, found.verification.sealed_to) == (
        SESSION,
        13,
        12,
    )
    assert {one.name for one in found.verification.unchecked} == {"tail", "views", "anchor"}


async def test_it_holds_everything_as_it_is_stored(file: Path, attacker: Attacker) -> None:
    """Every entry, every seal, every body, byte for byte; and the head."""
    records = [json.loads(line) for line in file.read_bytes().splitlines()]
    entries = [(one["event"].encode(), [word.encode() for word in one["words"]]) for one in records if "event" in one]
    assert entries == [
        (offset, [word for pair in fields.items() for word in pair]) for offset, fields in await attacker.entries()
    ]
    assert [one["seal"].encode() for one in records if "seal" in one] == await attacker.client.lrange(
        attacker.seals, 0, -1
    )
    assert [(one["checkpoint"], one["body"]) for one in records if "checkpoint" in one] == [("one", '{"turn":3}')]
    assert [one["head"] for one in records if "head" in one]


def test_verifying_it_loads_nothing_that_speaks_to_a_server(file: Path) -> None:
    """Neither redis-py, nor hiredis, nor the store; and it runs where the file is all there is."""
    code = (
        "import runpy, sys\n"
        "sys.argv[1:] = [sys.argv[1]]\n"
        "try:\n    runpy.run_module('sessionstream.integrity', run_name='__main__')\n"
        "except SystemExit as end:\n"
        "    speaking = ('redis', 'hiredis', 'sessionstream.wire', 'sessionstream.log.store')\n"
        "    print(end.code, [name for name in speaking if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(file)],
        env={**os.environ, "SESSIONSTREAM_SEAL_KEY": KEY},
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines()[-1] == "0 []", done.stderr
    assert "nothing was found" in done.stdout


def test_the_module_says_what_it_finds(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1 where something was; 2 where there is no key, or no such file."""
    changed(file, lambda lines: lines[:-2])
    assert main([str(file)]) == 2
    assert "SESSIONSTREAM_SEAL_KEY" in capsys.readouterr().err
    monkeypatch.setenv("SESSIONSTREAM_SEAL_KEY", KEY)
    assert main([str(file.with_name("never"))]) == 2
    assert main([str(file)]) == 1
    assert "file altered" in capsys.readouterr().out


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: lines[:-1],
        lambda lines: [*lines[:-1], lines[-1][: len(lines[-1]) // 2]],
        lambda lines: lines[:5],
        lambda lines: [*lines[:5], lines[5][:30]],
        lambda lines: [*lines, lines[2]],
        lambda lines: [*lines[:1], b"nothing\n", *lines[1:]],
        lambda lines: [*lines[:1], b"{}\n", *lines[1:]],
        lambda lines: [lines[0].replace(b'"at":1', b'"at":2'), *lines[1:]],
    ],
)
def test_a_file_that_was_cut_or_altered_is_told_as_that(file: Path, change: Callable[[Lines], Lines]) -> None:
    """Whatever else is found in what is left."""
    found = changed(file, change)
    assert found.findings[0].kind is Kind.FILE_ALTERED
    assert found.findings[0].detail


def test_an_edited_event_is_named_in_the_file_too(file: Path) -> None:
    """With its place in the history, besides that the file was altered."""
    found = changed(file, lambda lines: [line.replace(b"sess_1 0 b", b"sess_1 0 c") for line in lines])
    assert told(found) == [(Kind.FILE_ALTERED, None), (Kind.CONTENT_EDITED, 3)]


def test_a_removed_event_is_named_in_the_file_too(file: Path) -> None:
    """By its version."""

    def without(lines: Lines) -> Lines:
        at = line_of(lines, 5)
        return [*lines[:at], *lines[at + 1 :]]

    assert (Kind.REMOVED, 5) in told(changed(file, without))


def test_an_altered_body_is_named_in_the_file_too(file: Path) -> None:
    """By its checkpoint, also where it is gone."""
    found = changed(file, lambda lines: [line.replace(b'turn\\":3', b'turn\\":4') for line in lines])
    assert [one.name for one in found.findings if one.kind is Kind.CHECKPOINT_ALTERED] == ["one"]
    found = changed(file, lambda lines: [line for line in lines if b'"checkpoint":"one"' not in line])
    assert [one.name for one in found.findings if one.kind is Kind.CHECKPOINT_ALTERED] == ["one"]


def test_an_altered_head_is_named_in_the_file_too(file: Path) -> None:
    """It is not what the events make."""
    found = changed(file, lambda lines: [line.replace(b'"user_id","user_1"', b'"user_id","user_2"') for line in lines])
    assert [one.name for one in found.findings if one.kind is Kind.VIEW_ALTERED] == ["head"]


def test_a_file_that_is_no_evidence_is_refused(file: Path, tmp_path: Path) -> None:
    """An empty one, an anchor, a folder, none."""
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "other").write_bytes(b'{"anchor":1}\n')
    (tmp_path / "bare").write_bytes(b'{"evidence":1}\n')
    for name in ("empty", "other", "bare", "never", "."):
        with pytest.raises(InvalidEvidence):
            verify_evidence(tmp_path / name, Keyring(KEY))


def test_another_key_proves_nothing(file: Path) -> None:
    """That is said, of the file and of the seals, and it is no finding."""
    found = verify_evidence(file, Keyring(OTHER_KEY)).verification
    assert found.ok
    assert {"file", "events", "seals"} <= {one.name for one in found.unchecked}
    assert verify_evidence(file, Keyring(OTHER_KEY, (KEY,))).verification.sealed_to == 12


async def test_evidence_is_held_against_an_anchor(sealed: SessionManager, file: Path, tmp_path: Path) -> None:
    """An anchor that was written later knows more than the file."""
    anchor = tmp_path / "anchor"
    assert [one.version async for one in sealed.audit.seal_all([SESSION], anchor=anchor)] == [13]
    assert told(verify_evidence(file, Keyring(KEY), anchor=anchor).verification) == [(Kind.SEAL_REMOVED, 13)]
    await sealed.audit.evidence(SESSION, file)
    found = verify_evidence(file, Keyring(KEY), anchor=anchor).verification
    assert found.ok
    assert "anchor" not in {one.name for one in found.unchecked}


async def test_evidence_of_what_was_altered_says_so(sealed: SessionManager, attacker: Attacker, tmp_path: Path) -> None:
    """The file is whole; the session is not."""
    await attacker.remove(5)
    await sealed.audit.evidence(SESSION, tmp_path / "file")
    assert told(verify_evidence(tmp_path / "file", Keyring(KEY)).verification) == [(Kind.REMOVED, 5)]


async def test_bytes_that_are_no_text_are_kept(sealed: SessionManager, attacker: Attacker, tmp_path: Path) -> None:
    """As a damaged entry may hold them."""
    ms = int((await attacker.offset(12)).partition("-")[0])
    await attacker.client.xadd(attacker.events, {b"\xff": b"\xfe"}, id=f"{ms}-13")
    await attacker.move_gate(f"{ms}-13")
    await sealed.audit.seal(SESSION)
    await sealed.audit.evidence(SESSION, tmp_path / "file")
    assert verify_evidence(tmp_path / "file", Keyring(KEY)).verification.sealed_to == 13


async def test_evidence_of_a_session_that_is_over(sealed: SessionManager, tmp_path: Path) -> None:
    """Its checkpoint was deleted, and then the session."""
    await sealed.delete_checkpoint(SESSION, "one")
    await sealed.delete_session(SESSION)
    await sealed.audit.evidence(SESSION, tmp_path / "file")
    assert verify_evidence(tmp_path / "file", Keyring(KEY)).verification.ok


async def test_an_id_may_be_a_text_of_another_type(sealed: SessionManager, tmp_path: Path) -> None:
    """As a member of an enum is."""
    written = await sealed.audit.evidence(enum.StrEnum("Ids", {"ONE": SESSION}).ONE, tmp_path / "evidence.jsonl")
    assert written == 12


async def test_evidence_that_cannot_be_written_leaves_nothing(sealed: SessionManager, tmp_path: Path) -> None:
    """No such session, no such folder; and the file that was there before is as it was."""
    path = tmp_path / "file"
    path.write_text("before")
    with pytest.raises(SessionNotFound):
        await sealed.audit.evidence("never", path)
    with pytest.raises(InvalidEvidence, match="No such file"):
        await sealed.audit.evidence(SESSION, tmp_path / "never" / "file")
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
    assert path.read_text() == "before"


async def test_a_full_disk_is_a_clear_error(
    sealed: SessionManager, namespace: str, server: Any, tmp_path: Path
) -> None:
    """Nothing appears under the name, and nothing is left beside it."""
    await sealed.append(SESSION, [MessageAdded(role="user", content="x" * 10_000) for _ in range(20)])
    code = (
        "import asyncio, resource, signal, sys\n"
        "from sessionstream import SessionManager\n"
        "from sessionstream.errors import InvalidEvidence\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "async def main(url, namespace, session_id, path, key):\n"
        "    async with SessionManager(url=url, namespace=namespace, seal_key=key) as manager:\n"
        "        try:\n            await manager.audit.evidence(session_id, path)\n"
        "        except InvalidEvidence as error:\n            print(error)\n"
        "asyncio.run(main(*sys.argv[1:]))\n"
    )
    words = [sys.executable, "-c", code, server.unix_url, namespace, SESSION, str(tmp_path / "file"), KEY]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.stdout.strip() == f"{tmp_path / 'file'}: File too large", done.stderr
    assert list(tmp_path.iterdir()) == []
