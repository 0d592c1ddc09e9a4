"""G39: the command line takes keys from the variables, renews them, and says what it cannot decrypt."""

from __future__ import annotations

from pathlib import Path

import pytest

from sessionstream import MessageAdded, SessionManager
from sessionstream.cli.exits import Code
from tests.cli.conftest import Cli, cli
from tests.encryption.conftest import ANOTHER, MASTER, SESSION, USER

__all__ = ["cli"]


@pytest.fixture
async def variables(manager: SessionManager, key_store: Path) -> dict[str, str]:
    """The variables that give the keys of a session in which something was said."""
    await manager.create_session(USER, "agent_1", {"a": "private"}, session_id=SESSION)
    await manager.append(SESSION, MessageAdded(role="user", content="hello"))
    return {"SESSIONSTREAM_ENCRYPTION_KEY": MASTER, "SESSIONSTREAM_KEY_STORE": str(key_store)}


async def test_commands_show_plain_text_with_the_keys(cli: Cli, variables: dict[str, str]) -> None:
    """As of a store that does not encrypt."""
    shown = (await cli("show", SESSION, "--json", **variables)).record
    assert shown["metadata"] == {"a": "private"}
    events = (await cli("history", SESSION, "--json", **variables)).records
    assert events[1]["data"]["content"] == "hello"
    assert "hello" in (await cli("export", "--as", "messages", **variables)).out
    exported = (await cli("export", "--as", "events", **variables)).out
    assert exported
    assert "hello" not in exported


async def test_commands_without_the_keys_say_so(cli: Cli, variables: dict[str, str]) -> None:
    """The history is shown as far as it goes; what would be less than it should be is refused."""
    events = (await cli("history", SESSION, "--json")).records
    assert [event["data"] for event in events] == [None, None]
    assert all("no keys are given" in event["error"] for event in events)
    assert "encrypted" in (await cli("history", SESSION)).out
    refused = await cli("show", SESSION)
    assert (refused.code, refused.out) == (Code.REFUSED, "")
    assert "encryption_key" in refused.err


async def test_keys_are_renewed(cli: Cli, variables: dict[str, str]) -> None:
    """A user's, and the master key of all."""
    made = (await cli("keys", "--rotate", USER, "--json", **variables)).record
    assert len(made["key_id"]) == 32
    new = {**variables, "SESSIONSTREAM_ENCRYPTION_KEY": ANOTHER, "SESSIONSTREAM_ENCRYPTION_KEYS_OLD": MASTER}
    assert "2 data keys" in (await cli("keys", "--rewrap", **new)).out
    del new["SESSIONSTREAM_ENCRYPTION_KEYS_OLD"]
    assert (await cli("show", SESSION, "--json", **new)).record["metadata"] == {"a": "private"}


async def test_only_a_store_that_encrypts_has_keys(cli: Cli, variables: dict[str, str]) -> None:
    """And one thing is done at a time."""
    assert (await cli("keys", "--rewrap")).code == Code.USAGE
    assert (await cli("keys", **variables)).code == Code.USAGE
    assert (await cli("keys", "--rewrap", "--rotate", USER, **variables)).code == Code.USAGE


async def test_doctor_says_what_is_missing(cli: Cli, variables: dict[str, str]) -> None:
    """Who has no keys can read and not write; who has them is in order."""
    told = (await cli("doctor")).out
    assert "give encryption_key and key_store" in told
    assert "give encryption_key" not in (await cli("doctor", **variables)).out
