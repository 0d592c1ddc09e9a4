"""`archive`, `hold`, and what other commands say of holds and archives (G35)."""

from __future__ import annotations

from pathlib import Path

import pytest

from sessionstream import SessionManager
from tests.cli.conftest import Cli
from tests.cli.conftest import cli as cli
from tests.retention.conftest import SESSION, said


async def test_a_hold_is_placed_listed_and_released(manager: SessionManager, session: str, cli: Cli) -> None:
    """In lines, and as records."""
    placed = await cli("hold", session, "--reason", "lawsuit 17", "--id", "case", "--actor", "counsel")
    assert (placed.code, placed.out) == (0, "sess_kept is held: case\n")
    [hold] = await manager.retention.holds(session)
    assert (hold.reason, hold.actor) == ("lawsuit 17", "counsel")
    heading, line = (await cli("hold", "--list")).out.splitlines()
    assert heading.split() == ["HOLD", "SESSION", "REASON", "BY", "SINCE"]
    assert line.split()[:5] == ["case", session, "lawsuit", "17", "counsel"]
    record = (await cli("hold", session, "--list", "--json")).record
    assert (record["hold_id"], record["session_id"], record["actor"]) == ("case", session, "counsel")
    assert (await cli("show", session, "--json")).record["holds"] == [record]
    assert "lawsuit 17" in (await cli("show", session)).out
    released = await cli("hold", session, "--release", "case")
    assert (released.code, released.out) == (0, "case is released: none stands on sess_kept\n")
    assert (await cli("hold", session, "--release", "case")).code == 1
    assert (await cli("hold", "--list")).code == 1


@pytest.mark.parametrize(
    "words",
    [
        ("hold",),
        ("hold", SESSION),
        ("hold", "--reason", "x"),
        ("hold", SESSION, "--reason", "x", "--list"),
        ("hold", SESSION, "--reason", " "),
        ("archive", SESSION),
        ("archive", "-o", "x"),
        ("archive", SESSION, "--all", "-o", "x"),
        ("archive", "--older-than", "yesterday", "-o", "x"),
        ("history", SESSION, "--archive", "x", "--backward"),
    ],
)
async def test_wrong_usage_has_its_exit_code(session: str, cli: Cli, words: tuple[str, ...]) -> None:
    """And changes nothing."""
    assert (await cli(*words)).code == 2


async def test_sessions_are_archived_and_trimmed(manager: SessionManager, session: str, cli: Cli, folder: Path) -> None:
    """By name, with the newest events left; what was removed is still shown with the archive."""
    done = await cli("archive", session, "-o", str(folder), "--trim", "--keep", "4", "--json")
    assert done.code == 0
    assert {name: done.record[name] for name in ("version", "trimmed", "removed", "stopped_by")} == {
        "version": 6,
        "trimmed": 6,
        "removed": 6,
        "stopped_by": None,
    }
    assert Path(done.record["files"][0]).is_file()
    refused = await cli("history", session)
    assert (refused.code, "are gone" in refused.err) == (5, True)
    shown = await cli("history", session, "--archive", str(folder), "--json")
    assert [record["version"] for record in shown.records] == list(range(1, 12))
    some = await cli("history", session, "--archive", str(folder), "--json", "--from-version", "5", "--to-version", "7")
    assert [record["version"] for record in some.records] == [5, 6, 7]
    one = await cli("history", session, "--archive", str(folder), "--type", "message.added", "--limit", "1", "--json")
    assert [record["version"] for record in one.records] == [2]
    known = await cli("show", session)
    assert (known.code, "up to version 6" in known.out) == (0, True)
    assert (await cli("as-of", session, "--version", "8")).code == 0
    assert (await cli("as-of", session, "--version", "5")).code == 5


async def test_what_cannot_be_archived_is_named_and_the_others_are(
    manager: SessionManager, session: str, cli: Cli, folder: Path
) -> None:
    """A held session and one that is not there; alone they give their own exit code."""
    await manager.create_session("user_1", "agent_1", session_id="held")
    await manager.retention.hold("held", "audit")
    done = await cli("archive", session, "held", "nobody", "-o", str(folder), "--trim")
    assert done.code == 4
    assert "'held' is held: audit" in done.err
    assert "'nobody' not found" in done.err
    assert session in done.out
    assert (await cli("archive", "nobody", "-o", str(folder))).code == 1
    assert (await cli("archive", "held", "-o", str(folder), "--trim")).code == 5
    assert (await cli("archive", "held", "-o", str(folder))).code == 0


async def test_sessions_are_chosen_by_their_end_or_their_age(
    manager: SessionManager, session: str, cli: Cli, folder: Path
) -> None:
    """All that have ended; all, as far as their events are old."""
    await manager.create_session("user_1", "agent_1", session_id="over")
    await manager.delete_session("over")
    ended = await cli("archive", "--all-ended", "-o", str(folder), "--json")
    assert [(record["session_id"], record["version"]) for record in ended.records] == [("over", 2)]
    assert Path(ended.record["closed"]).is_file()
    assert (await cli("archive", "--older-than", "1d", "-o", str(folder))).code == 1
    every = await cli("archive", "--older-than", "0s", "-o", str(folder), "--json")
    assert {record["session_id"] for record in every.records} == {session, "over"}
    assert len((await cli("archive", "--all", "-o", str(folder))).out.splitlines()) == 3


async def test_a_folder_that_cannot_be_written_ends_the_command(
    manager: SessionManager, session: str, cli: Cli, folder: Path
) -> None:
    """In one line."""
    folder.write_text("in the way")
    failed = await cli("archive", session, "-o", str(folder), "--trim")
    assert (failed.code, failed.out) == (5, "")
    assert len(failed.err.splitlines()) == 1
    assert len(await said(manager)) == 10


async def test_a_rebuild_takes_what_was_trimmed_from_an_archive(
    manager: SessionManager, session: str, cli: Cli, folder: Path
) -> None:
    """Of one session, and of all."""
    await manager.retention.trim(session, folder, keep_events=2)
    assert (await cli("rebuild", session, "--archive", str(folder))).code == 0
    assert (await cli("rebuild", "--archive", str(folder))).code == 0


async def test_an_archive_that_is_damaged_ends_a_history(
    manager: SessionManager, session: str, cli: Cli, folder: Path
) -> None:
    """It names the file; nothing is shown of it."""
    [path] = (await manager.retention.trim(session, folder)).files
    path.write_bytes(path.read_bytes()[:-20])
    shown = await cli("history", session, "--archive", str(folder))
    assert (shown.code, shown.out) == (5, "")
    assert path.name in shown.err
