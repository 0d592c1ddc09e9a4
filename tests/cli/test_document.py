"""docs/cli.md names what there is: every command, every shared option with its variable."""

from __future__ import annotations

import re

from sessionstream.cli.app import application
from tests.cli.conftest import Cli
from tests.docs.pages import page, rows, section


def commands() -> list[str]:
    """Return the names of the commands, in the order of the help."""
    return [str(one.name) for one in application.registered_commands]


def test_the_document_lists_every_command() -> None:
    """In the order in which the help has them."""
    listed = [row[0].strip("`") for row in rows(section(page("docs/cli.md"), "Commands"))]
    assert listed == commands()


async def test_the_document_lists_every_shared_option(cli: Cli) -> None:
    """With its variable."""
    listed = {row[0].split("`")[1]: row[1].strip("`") for row in rows(section(page("docs/cli.md"), "Which store"))}
    text = (await cli("doctor", "--help", COLUMNS="200")).out.partition("The store")[2]
    assert re.findall(r"(?<=│ )--[a-z]+", text) == list(listed)
    assert re.findall(r"SESSIONSTREAM_[A-Z]+", text) == list(listed.values())


async def test_every_command_explains_itself(cli: Cli) -> None:
    """In a sentence of help, with the options that all of them share."""
    for name in commands():
        result = await cli(name, "--help", COLUMNS="200")
        assert result.code == 0
        assert re.search(r"^ ?[A-Z][^\n]*\.", result.out, re.MULTILINE)
        assert all(option in result.out for option in ("--url", "--namespace", "--json"))


async def test_the_help_tells_the_exit_codes(cli: Cli) -> None:
    """So that scripts can be written without the document."""
    text = " ".join((await cli("--help", COLUMNS="200")).out.split())
    assert "Exit codes: 0 done · 1 nothing there" in text
    assert "130 interrupted" in text


async def test_the_commands_of_the_document_are_understood(cli: Cli, session: str) -> None:
    """Each of the lines under its title, with a session that is there."""
    lines = re.findall(r"^sessionstream (.*?)(?: *#.*)?$", page("docs/cli.md"), re.MULTILINE)
    assert len(lines) == 9
    for line in lines:
        words = line.split(" | ")[0].replace("lamp-refund", session).split()
        if words[0] not in ("demo", "import", "export"):
            assert (await cli(*words)).code in (0, 1)
