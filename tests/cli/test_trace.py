"""`trace`: what led to what, as a tree."""

from __future__ import annotations

import pytest

from sessionstream import NoteAdded, SessionManager
from tests.cli.conftest import Cli


@pytest.fixture
async def caused(manager: SessionManager) -> list[str]:
    """A session ``s`` in which one event led to two others; their ids."""
    await manager.create_session("u", "a", session_id="s")
    first = (await manager.append("s", NoteAdded(text="first"), correlation_id="c")).event_ids[0]
    second = (await manager.append("s", NoteAdded(text="second"), causation_id=first)).event_ids[0]
    third = (await manager.append("s", NoteAdded(text="third\x1b[2J"), causation_id=second)).event_ids[0]
    return [first, second, third]


async def test_a_pipe_gets_lines_that_are_set_in(cli: Cli, caused: list[str]) -> None:
    """Under the correlation, with what each event is about; nothing does anything to a terminal."""
    lines = (await cli("trace", "s")).out.splitlines()
    assert [line[: len(line) - len(line.lstrip())] for line in lines] == ["", "  ", "", "  ", "    ", "      "]
    assert (lines[0], lines[2]) == ("without correlation", "correlation c")
    assert [line.split("  ")[-1] for line in lines[3:]] == ["first", "second", "third\\x1b[2J"]


async def test_json_is_one_step_a_line(cli: Cli, caused: list[str]) -> None:
    """With its depth, and what led to it."""
    records = (await cli("trace", "s", "--json")).records
    assert [(one["depth"], one["version"]) for one in records] == [(0, 1), (0, 2), (1, 3), (2, 4)]
    assert [one["cause"] for one in records] == [None, None, caused[0], caused[1]]


async def test_one_event_is_shown_alone(cli: Cli, caused: list[str]) -> None:
    """With its causes and its effects."""
    records = (await cli("trace", "s", "--event", caused[1], "--json")).records
    assert [one["id"] for one in records] == caused
    assert (await cli("trace", "s", "--event", "nothing")).code == 2


async def test_other_sessions_are_looked_at_too(cli: Cli, caused: list[str], manager: SessionManager) -> None:
    """Then each line says whose event it is."""
    await manager.create_session("u", "a", session_id="t")
    await manager.append("t", NoteAdded(text="elsewhere"), causation_id=caused[0], correlation_id="c")
    alone = await cli("trace", "t")
    assert f"{caused[0]}  not among these events" in alone.out
    both = await cli("trace", "t", "--with", "s", "--json")
    assert [one["session_id"] for one in both.records if one["correlation_id"] == "c"] == ["s", "t"]
    found = await cli("trace", "t", "--correlation", "c", "--everywhere", "--json")
    assert [one["session_id"] for one in found.records] == ["s", "t"]
    assert (await cli("trace", "t", "--everywhere")).code == 2
    assert (await cli("trace", "t", "--correlation", "nobody's")).code == 1


async def test_a_session_that_is_not_there_is_exit_code_1(cli: Cli) -> None:
    """As everywhere."""
    assert (await cli("trace", "nobody")).code == 1
