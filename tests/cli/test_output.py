"""What goes where, and that it looks the same to every script."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rich.console import Console

from sessionstream import SessionManager
from sessionstream.cli import terminal as terminals
from sessionstream.cli.moments import parse_moment, span
from sessionstream.cli.summaries import content_of, size_of
from sessionstream.cli.terminal import visible
from sessionstream.consumers import Item
from tests.cli.conftest import Cli
from tests.sessions.waiting import until

LONG = "sess_" + "x" * 300


@pytest.fixture
def columns(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Pretend that standard output is a terminal of so many columns: ``columns(80)``."""

    def pretend(width: int) -> None:
        def console(*, stderr: bool) -> Console:
            return Console(stderr=stderr, highlight=False, emoji=False, force_terminal=True, width=width, _environ={})

        monkeypatch.setattr(terminals, "_console", console)

    return pretend


COMMANDS = (
    ["sessions"],
    ["show", LONG],
    ["history", LONG],
    ["as-of", LONG, "--version", "2"],
    ["checkpoints", LONG],
    ["resume", LONG],
    ["stats"],
    ["doctor"],
)


@pytest.fixture
async def long_session(manager: SessionManager) -> str:
    """A session with a long id, a long message, a checkpoint, and metadata that could change a terminal."""
    await manager.create_session(
        "user\x1b[31m", "agent", {"note": "\x1b]0;title\x07", "text": "y" * 500}, session_id=LONG
    )
    await manager.add_messages(LONG, {"role": "user", "content": "\x1b[2J" + "long " * 300})
    await manager.save_checkpoint(LONG, {"x": "\x1b[0m"}, label="l\x1b[0m")
    await manager.add_messages(LONG, {"role": "user", "content": "Bye\u202e"})
    return LONG


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
async def test_a_pipe_gets_no_control_characters(cli: Cli, long_session: str, words: list[str]) -> None:
    """No colours, and none from recorded texts either."""
    result = await cli(*words, FORCE_COLOR="", COLUMNS="40")
    assert result.code == 0
    assert all(line.isprintable() for line in result.out.splitlines())


@pytest.mark.parametrize(
    "words", [["sessions"], ["show", LONG], ["as-of", LONG, "--version", "1"]], ids=lambda one: one[0]
)
async def test_a_pipe_gets_ids_whole(cli: Cli, long_session: str, words: list[str]) -> None:
    """However many columns the terminal of the caller has."""
    narrow, wide = await cli(*words, COLUMNS="40"), await cli(*words, COLUMNS="200")
    assert LONG in narrow.out
    assert len(narrow.out.splitlines()) == len(wide.out.splitlines())


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
async def test_a_terminal_is_not_overrun(
    cli: Cli, long_session: str, columns: Any, words: list[str], width: int
) -> None:
    """No line is longer than it is wide, and recorded texts do nothing to it."""
    columns(width)
    result = await cli(*words)
    assert result.code == 0
    for line in result.out.splitlines():
        assert visible_length(line) <= width
    assert "\x1b[2J" not in result.out
    assert "\x1b]" not in result.out
    assert "\u202e" not in result.out


def visible_length(line: str) -> int:
    """Return the length of a line without the colours."""
    text = ""
    for part in line.split("\x1b["):
        text += part if not text and part == line else part.partition("m")[2]
    return len(text)


async def test_a_terminal_gets_colours(cli: Cli, long_session: str, columns: Any) -> None:
    """Unlike a pipe."""
    columns(80)
    assert "\x1b[1m" in (await cli("sessions")).out


@pytest.mark.parametrize("words", [*COMMANDS, ["cleanup"], ["rebuild"], ["export"]], ids=lambda words: words[0])
async def test_json_is_all_there_is_on_standard_output(cli: Cli, long_session: str, words: list[str]) -> None:
    """One object a line, also where there is nothing to tell."""
    result = await cli(*words, "--json")
    assert result.records
    assert all(isinstance(record, dict) for record in result.records)


async def test_empty_lists_are_no_output(cli: Cli) -> None:
    """That there is nothing is said on standard error."""
    result = await cli("sessions", "--json")
    assert (result.code, result.out, result.err) == (1, "", "no sessions\n")


async def test_json_holds_texts_as_they_are(cli: Cli, long_session: str) -> None:
    """Escaped by JSON itself, and nothing left out."""
    shown = (await cli("show", LONG, "--json")).record
    assert shown["metadata"]["note"] == "\x1b]0;title\x07"
    assert shown["newest_messages"][0]["content"] == "\x1b[2J" + "long " * 300


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\n\tb  c", "a b c"),
        ("\x1b[0m", "\\x1b[0m"),
        ("ü 😀 👩\u200d🚀", "ü 😀 👩\u200d🚀"),
        ("\u202eabc", "\\u202eabc"),
    ],
)
def test_text_is_made_visible_in_one_line(text: str, expected: str) -> None:
    """White space is one blank; what would steer a terminal is escaped."""
    assert visible(text) == expected


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"content": "Hi"}, "Hi"),
        ({"content": None, "tool_calls": [{"function": {"name": "f", "arguments": '{"a":1}'}}]}, '→ f({"a":1})'),
        ({"content": [{"type": "text", "text": "see"}, {"type": "image_url"}]}, "see [image_url]"),
        ({"content": {"odd": 1}}, '{"odd": 1}'),
        ({"tool_calls": ["odd", {"name": "g"}]}, "→ ?() → g()"),
        ({}, ""),
    ],
)
def test_messages_of_every_shape_have_a_line(message: dict[str, Any], expected: str) -> None:
    """Also those that no model would give."""
    assert content_of(message) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.0004, "0 ms"),
        (0.25, "250 ms"),
        (5, "5.0 s"),
        (65, "1 min 5 s"),
        (3600, "1 h"),
        (7200, "2 h"),
        (200_000, "2 d 7 h"),
    ],
)
def test_lengths_of_time_have_two_units(seconds: float, expected: str) -> None:
    """The largest ones that are not nought."""
    assert span(seconds) == expected


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, "0 bytes"), (1, "1 byte"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (3 << 30, "3.0 GiB")],
)
def test_sizes_have_binary_units(count: int, expected: str) -> None:
    """From bytes up."""
    assert size_of(count).replace(",", "") == expected


def test_times_are_read_as_people_write_them() -> None:
    """With a zone, or as so long ago."""
    now = 1_700_000_000_000
    assert parse_moment("2023-11-14T23:13:20+01:00", "--since", now).timestamp() == 1_700_000_000
    assert parse_moment("90s", "--since", now).timestamp() == 1_700_000_000 - 90
    assert parse_moment("1.5h", "--since", now).timestamp() == 1_700_000_000 - 5400
    assert json.dumps(parse_moment("now", "--since", now).timestamp()) == "1700000000.0"


async def test_a_long_error_leaves_room_for_what_names_the_event(
    cli: Cli, manager: SessionManager, columns: Any
) -> None:
    """What `parked replay` is told by ``--session`` and ``--offset`` stands whole on 80 columns."""
    session = await manager.create_session("u", "a")

    async def handle(item: Item) -> None:
        raise ValueError("long " * 100)

    async with manager.consumers.join("billing", handle, attempts=1):
        parked = await until(lambda: manager.consumers.parked("billing"))
    columns(80)
    result = await cli("parked", "billing")
    assert session.session_id in result.out
    assert parked[0].offset in result.out
    assert "ValueError" in result.out
