"""Exit codes and errors: one line on standard error, and a number that scripts can go by."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sessionstream import SessionManager
from sessionstream.cli.exits import Code
from tests.cli.conftest import Cli
from tests.docs.pages import page, rows, section
from tests.servers import Server

OF_A_SESSION = (["show"], ["history"], ["as-of", "--version", "1"], ["checkpoints"], ["resume"], ["rebuild"])


@pytest.mark.parametrize("words", OF_A_SESSION, ids=lambda words: words[0])
async def test_a_session_that_is_not_there_is_exit_code_1(cli: Cli, words: list[str]) -> None:
    """Whatever is asked of it."""
    result = await cli(*words, "nobody")
    assert (result.code, result.out) == (1, "")
    assert result.err == "sessionstream: session 'nobody' not found\n"


@pytest.mark.parametrize("words", [["checkpoints"], ["resume"]], ids=lambda words: words[0])
async def test_a_session_that_is_over_is_exit_code_1(
    cli: Cli, session: str, manager: SessionManager, words: list[str]
) -> None:
    """Where only a running one will do."""
    await manager.delete_session(session)
    result = await cli(*words, session)
    assert (result.code, result.err) == (1, "sessionstream: session 's' has ended: deleted\n")


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["show"],
        ["sessions", "--limit", "-1"],
        ["sessions", "--state", "asleep"],
        ["as-of", "s"],
        ["as-of", "s", "--version", "1", "--time", "now"],
        ["as-of", "s", "--time", "yesterday"],
        ["as-of", "s", "--time", "2025-01-31T09:30:00"],
        ["as-of", "s", "--offset", "x"],
        ["history", "s", "--since", "2025-01-31T09:30:00"],
        ["export", "--as", "nonsense"],
        ["sessions", "--url", "http://localhost"],
        ["sessions", "--namespace", "a b"],
        ["sessions", "--partitions", "0"],
        ["sessions", "--deadline", "-1"],
    ],
    ids=" ".join,
)
async def test_wrong_usage_is_exit_code_2(cli: Cli, session: str, words: list[str]) -> None:
    """It is said on standard error, and nothing is done."""
    result = await cli(*words)
    assert (result.code, result.out) == (2, "")
    assert result.err


@pytest.mark.parametrize("command", [["sessions"], ["stats"], ["doctor"], ["show", "s"], ["import", "-"], ["demo"]])
async def test_a_server_that_is_away_is_exit_code_3(cli: Cli, command: list[str]) -> None:
    """After the deadline that was asked for."""
    result = await cli(*command, "--url", "redis://127.0.0.1:1", "--deadline", "0.1", "--json")
    assert (result.code, result.out) == (3, "")
    assert result.err.startswith("sessionstream: the server cannot be reached")
    assert len(result.err.splitlines()) == 1


async def test_a_wrong_password_is_exit_code_3(cli: Cli, make_server: Callable[..., Server]) -> None:
    """At once, and without repeating it."""
    server = make_server(requirepass="right")
    result = await cli("sessions", "--url", server.url.replace("right", "wrong"))
    assert (result.code, len(result.err.splitlines())) == (3, 1)
    assert "password" in result.err
    assert "wrong" not in result.err


async def test_a_namespace_made_otherwise_is_exit_code_5(cli: Cli, session: str) -> None:
    """Where the number of partitions is insisted on."""
    result = await cli("sessions", "--partitions", "8")
    assert (result.code, "partitions 16" in result.err) == (5, True)


async def test_a_namespace_tells_its_partitions_by_itself(
    cli: Cli, server: Server, make_namespace: Callable[..., str]
) -> None:
    """Whoever looks at it need not know."""
    namespace = make_namespace()
    async with SessionManager.open(server.url, namespace=namespace, partitions=7) as manager:
        await manager.create_session("u", "a", session_id="s")
    assert (await cli("show", "s", "-n", namespace)).code == 0
    assert (await cli("import", "-", "-n", namespace, given=b'{"messages": []}')).code == 0
    assert (await cli("stats", "-n", namespace, "--json")).record["total"] == 2


async def test_variables_lead_to_the_store_and_options_win(cli: Cli, session: str) -> None:
    """What is given on the line itself counts."""
    assert (await cli("show", session)).code == 0
    assert (await cli("show", session, SESSIONSTREAM_NAMESPACE="other")).code == 1
    assert (await cli("show", session, "--url", "redis://127.0.0.1:1", "--deadline", "0.1")).code == 3


async def test_the_document_lists_every_exit_code() -> None:
    """With its number."""
    listed = [int(row[0]) for row in rows(section(page("docs/cli.md"), "Exit codes"))]
    assert listed == [int(code) for code in Code]
