"""`erase`, and what other commands say of an erased session (G40)."""

from __future__ import annotations

from pathlib import Path

from sessionstream import SessionManager
from tests.cli.conftest import Cli
from tests.cli.conftest import cli as cli
from tests.erasure.conftest import KEY, PLAIN, USER


async def test_a_user_is_erased(manager: SessionManager, session: str, cli: Cli, folder: Path) -> None:
    """In a line that says what was done, and as a record; what it cannot reach is said."""
    await manager.retention.archive(session, folder)
    done = await cli(
        "erase", USER, "--yes", "--archive", str(folder), "--actor", "the operator", SESSIONSTREAM_SEAL_KEY=KEY
    )
    assert (done.code, done.out) == (0, "1 session erased: 8 events, 1 checkpoint, 1 file of archives\n")
    assert "BGREWRITEAOF" in done.err
    assert [event.actor async for event in manager.history(session)][-1] == "the operator"
    again = await cli("erase", USER, "--yes", "--json")
    assert again.record == {
        "user_id": USER,
        "sessions": 0,
        "events": 0,
        "checkpoints": 0,
        "files": 0,
        "keys": 0,
        "forks": [],
        "unreached": [],
    }


async def test_nobody_is_erased_unasked(manager: SessionManager, session: str, cli: Cli) -> None:
    """A script has to say that it is meant."""
    refused = await cli("erase", USER)
    assert refused.code == 2
    assert "--yes" in refused.err
    assert await manager.get_session(session)


async def test_a_hold_is_told(manager: SessionManager, session: str, cli: Cli) -> None:
    """In one line, with another exit code."""
    await manager.retention.hold(session, "lawsuit 17")
    refused = await cli("erase", USER, "--yes")
    assert refused.code == 5
    assert session in refused.err


async def test_commands_tell_of_an_erased_session(manager: SessionManager, session: str, cli: Cli) -> None:
    """Its history, what it stands at, what verifies, and nothing that was said."""
    await manager.erase_user(USER)
    history = await cli("history", session)
    assert (history.code, history.out.count("event.erased")) == (0, 8)
    assert "8 events of a session with agent_1" in history.out
    shown = await cli("show", session)
    assert shown.code == 0
    verified = await cli("verify", session, SESSIONSTREAM_SEAL_KEY=KEY)
    assert verified.code == 0
    assert "9 events, 8 of them erased, sealed to version 9" in verified.out
    every = await cli("verify", "--all", SESSIONSTREAM_SEAL_KEY=KEY)
    assert "9 events (8 erased), all of them sealed: nothing was found" in every.out
    for command in (("stats",), ("doctor",), ("sessions", "--all"), ("trace", session), ("export", "--all")):
        told = await cli(*command)
        assert told.code in (0, 1), (command, told.err)
        assert PLAIN not in told.out + history.out + shown.out
        assert USER not in told.out + history.out + shown.out
