"""`diff` and `fork`: what they tell, and how moments are written."""

from __future__ import annotations

import pytest

from sessionstream import SessionManager
from tests.cli.conftest import Cli


@pytest.fixture
async def changed(manager: SessionManager, session: str) -> str:
    """The session with two events more: its metadata was changed twice."""
    await manager.update_session_metadata(session, {"stage": "two", "prefs": {"tone": "dry"}})
    await manager.update_session_metadata(session, {"stage": "three"}, unset=["prefs"])
    return session


async def test_a_diff_is_one_object(cli: Cli, changed: str) -> None:
    """Each field with what it was, what it is, and the events that did it."""
    record = (await cli("diff", changed, "3", "6", "--json")).record
    assert (record["session_id"], record["from"]["version"], record["to"]["version"]) == (changed, 3, 6)
    assert record["types"] == {"checkpoint.saved": 1, "message.added": 1, "session.metadata_updated": 1}
    assert record["events"] == 3
    by_path = {".".join(one["path"]): one for one in record["changes"]}
    assert list(by_path) == ["metadata.stage", "metadata.prefs", "checkpoint"]
    stage = by_path["metadata.stage"]
    assert (stage["kind"], stage["before"], stage["after"]) == ("changed", "one", "two")
    assert [cause["type"] for cause in stage["events"]] == ["session.metadata_updated"]
    assert stage["events"][0]["offset"].endswith("-6")


async def test_a_diff_is_a_line_for_each_field(cli: Cli, changed: str) -> None:
    """Up to now, unless another moment is given."""
    lines = (await cli("diff", changed, "6")).out.splitlines()
    assert [line.split() for line in lines[-2:]] == [
        ["metadata.stage", "session.metadata_updated", "7", "two", "three"],
        ["metadata.prefs", "session.metadata_updated", "7", '{"tone":', '"dry"}', "-"],
    ]


async def test_where_nothing_differs_it_says_so(cli: Cli, changed: str) -> None:
    """On standard error."""
    result = await cli("diff", changed, "2", "3")
    assert (result.code, result.err) == (0, "no field differs\n")


async def test_moments_are_written_in_any_form(cli: Cli, changed: str) -> None:
    """A version, an offset, a time, how long ago."""
    offset = (await cli("history", changed, "--from-version", "6", "--limit", "1", "--json")).record["offset"]
    expected = (await cli("diff", changed, "6", "7", "--json")).record
    for a, b in ((offset, "7"), (offset, "now")):
        assert (await cli("diff", changed, a, b, "--json")).record == expected
    assert (await cli("as-of", changed, "--at", offset, "--json")).record["version"] == 6
    assert (await cli("as-of", changed, "--at", "0s", "--json")).record["version"] == 7


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("diff", "s", "7", "2"), 2, "give the earlier moment first"),
        (("diff", "s", "2", "99"), 2, "has 7 versions, not 99"),
        (("diff", "s", "0"), 1, "did not exist"),
        (("diff", "nobody", "1", "2"), 1, "not found"),
        (("fork", "s", "--at", "nonsense"), 2, "is no time"),
        (("fork", "s", "--at", "99999999999999-9"), 2, "past the end"),
        (("fork", "s", "--id", "s"), 5, "exists"),
        (("as-of", "s", "--at", "1", "--version", "1"), 2, "exactly one"),
    ],
)
async def test_what_cannot_be_is_an_error(cli: Cli, changed: str, words: tuple[str, ...], code: int, says: str) -> None:
    """With its code, in one line."""
    result = await cli(*words)
    assert result.code == code
    assert says in " ".join(result.err.split())


async def test_a_fork_is_a_session(cli: Cli, changed: str) -> None:
    """It says where it comes from, and who made it."""
    made = (await cli("fork", changed, "--at", "6", "--id", "f", "--user", "u2", "--ttl", "60", "--json")).record
    assert (made["session_id"], made["user_id"], made["metadata"]["stage"]) == ("f", "u2", "two")
    assert made["forked_from"]["session_id"] == changed
    assert made["expires_at"] is not None
    first = (await cli("history", "f", "--limit", "1", "--json")).record
    assert (first["type"], first["actor"]) == ("session.created", "fork")
    again = (await cli("fork", changed, "--at", "6", "--id", "f", "--user", "u2", "--ttl", "60", "--json")).record
    assert again == made


async def test_a_fork_is_shown_with_its_origin(cli: Cli, changed: str) -> None:
    """Its conversation goes on from there."""
    assert "forked from" in (await cli("fork", changed, "--id", "f")).out
    shown = (await cli("show", "f")).out
    assert f"forked from        {changed} at " in shown
    assert "Hello" in shown
    assert "covers none of its events" in shown
    assert f"forked from {changed} at" in (await cli("history", "f")).out
