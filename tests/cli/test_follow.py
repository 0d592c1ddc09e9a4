"""`follow` and `stats --watch`: what happens, as it happens. (G23, G24)"""

from __future__ import annotations

import asyncio
import json
import signal
from typing import Any

import pytest

from sessionstream import NoteAdded, SessionManager
from tests.cli.conftest import Cli, Process


async def _lines(command: asyncio.subprocess.Process, count: int) -> list[str]:
    assert command.stdout is not None
    async with asyncio.timeout(30):
        return [(await command.stdout.readline()).decode().rstrip("\n") for _ in range(count)]


async def _records(command: asyncio.subprocess.Process, count: int) -> list[Any]:
    return [json.loads(line) for line in await _lines(command, count)]


async def _interrupted(command: asyncio.subprocess.Process) -> str:
    command.send_signal(signal.SIGINT)
    _, err = await command.communicate()
    assert command.returncode == 130
    assert b"Traceback" not in err
    return err.decode()


async def test_a_session_is_told_from_its_beginning_and_then_as_it_goes_on(
    process: Process, manager: SessionManager, session: str
) -> None:
    """Each event at once, with what is published in between; it ends with the session if asked."""
    command = await process("follow", session, "--until-end", "--json")
    assert [record["version"] for record in await _records(command, 5)] == [1, 2, 3, 4, 5]
    await manager.append(session, NoteAdded(text="x"))
    assert (await _records(command, 1))[0]["data"] == {"text": "x"}
    await manager.publish(session, {"token": "Hel"})
    [delta] = await _records(command, 1)
    assert (delta["session_id"], delta["delta"]) == (session, {"token": "Hel"})
    await manager.delete_session(session)
    assert (await _records(command, 1))[0]["type"] == "session.deleted"
    assert await command.wait() == 0


async def test_ctrl_c_tells_where_to_go_on(process: Process, manager: SessionManager, session: str) -> None:
    """Behind the last event that was shown; from there nothing comes twice."""
    command = await process("follow", session)
    assert [line.split()[1] for line in await _lines(command, 5)] == ["1", "2", "3", "4", "5"]
    err = await _interrupted(command)
    position = err.split("--after ")[1].split()[0]
    assert err.splitlines() == [f"go on with --after {position}", "sessionstream: interrupted"]
    appended = await manager.append(session, NoteAdded(text="later"))
    again = await process("follow", session, "--after", position, "--json")
    assert [record["offset"] for record in await _records(again, 1)] == [appended.offset]


async def test_all_sessions_are_told_from_now_on(process: Process, manager: SessionManager, session: str) -> None:
    """With the session in each line; Ctrl-C tells a cursor to go on from."""
    command = await process("follow", "--after", "beginning", "--type", "session.created", "--agent", "agent-1")
    await _lines(command, 1)
    await manager.create_session("user-2", "agent-2", session_id="other")
    await manager.create_session("user-2", "agent-1", session_id="third")
    [line] = await _lines(command, 1)
    assert line.split()[1:4] == ["third", "1", "session.created"]
    cursor = (await _interrupted(command)).split("--after ")[1].split()[0]
    again = await process("follow", "--after", cursor, "--json")
    appended = await manager.append(session, NoteAdded(text="x"))
    found = await _records(again, 1)
    assert found[0]["offset"] == appended.offset


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--until-end"], 2),
        (["s", "--agent", "agent-1"], 2),
        (["s", "--after", "x"], 2),
        (["s", "--after", "9999999999999-9"], 2),
        (["--after", "x"], 2),
        (["nobody"], 1),
    ],
)
async def test_what_cannot_be_followed_is_said(cli: Cli, session: str, words: list[str], code: int) -> None:
    """By the exit code, and by one line."""
    result = await cli("follow", *words)
    assert (result.code, result.out) == (code, "")


async def test_figures_are_told_again_and_again(process: Process, manager: SessionManager, session: str) -> None:
    """A line a time, with the appends since the line before."""
    command = await process("stats", "--watch", "0.2", "--json")
    [first] = await _records(command, 1)
    assert (first["sessions"], first["active"], first["appends"]) == (1, 1, 4)
    await manager.append(session, NoteAdded(text="x"))
    records = []
    while not any(record["appends"] == 5 for record in records):
        records += await _records(command, 1)
    assert records[-1]["per_s"] > 0
    await _interrupted(command)
    plain = await process("stats", "--watch", "0.2")
    assert "sessions 1  active 1" in (await _lines(plain, 1))[0]
    await _interrupted(plain)


async def test_how_often_is_said_only_when_watching(cli: Cli, session: str) -> None:
    """It is wrong usage otherwise."""
    assert (await cli("stats", "5")).code == 2
    assert (await cli("stats", "--watch", "0")).code == 2
