"""`sessions`, `show`, `as-of`, `checkpoints`, `resume`: what they tell."""

from __future__ import annotations

import asyncio

import pytest

from sessionstream import SessionManager
from tests.cli.conftest import Cli


async def test_sessions_are_listed_newest_first(cli: Cli, manager: SessionManager) -> None:
    """One object each, with all that is known of a session."""
    for number in range(3):
        created = await manager.create_session("u", "a", {"n": number}, session_id=f"s{number}")
        while await manager.store.now_ms() <= created.created_at.timestamp() * 1000:
            await asyncio.sleep(0)
    result = await cli("sessions", "--json")
    assert [one["session_id"] for one in result.records] == ["s2", "s1", "s0"]
    assert (
        result.records[0].items() >= {"user_id": "u", "agent_id": "a", "state": "active", "metadata": {"n": 2}}.items()
    )


async def test_a_list_can_be_narrowed(cli: Cli, manager: SessionManager) -> None:
    """By user, agent and state."""
    await manager.create_session("u1", "a1", session_id="s1")
    await manager.create_session("u2", "a1", session_id="s2")
    await manager.create_session("u2", "a2", session_id="s3")
    await manager.set_session_state("s3", "idle")
    chosen = {
        ("--user", "u2"): {"s2", "s3"},
        ("--agent", "a1"): {"s1", "s2"},
        ("--state", "idle"): {"s3"},
        ("--user", "u2", "--state", "active"): {"s2"},
    }
    for words, ids in chosen.items():
        assert {one["session_id"] for one in (await cli("sessions", *words, "--json")).records} == ids


async def test_a_list_says_that_there_are_more(cli: Cli, manager: SessionManager) -> None:
    """On standard error; 0 lists all."""
    for number in range(4):
        await manager.create_session("u", "a", session_id=f"s{number}")
    short, whole = await cli("sessions", "--limit", "3"), await cli("sessions", "--limit", "0")
    assert ("more than 3" in short.err, len(short.out.splitlines())) == (True, 4)
    assert (whole.err, len(whole.out.splitlines())) == ("", 5)


async def test_ended_sessions_are_listed_when_asked_for(cli: Cli, session: str, manager: SessionManager) -> None:
    """With ``--all``, or by their state."""
    await manager.delete_session(session)
    assert (await cli("sessions")).code == 1
    assert (await cli("sessions", "--all", "--json")).record["state"] == "deleted"
    assert (await cli("sessions", "--state", "deleted", "--json")).record["session_id"] == session


async def test_a_session_is_shown_with_what_belongs_to_it(cli: Cli, session: str) -> None:
    """Metadata, latest checkpoint, newest messages."""
    shown = (await cli("show", session, "--messages", "2", "--json")).record
    assert (shown["user_id"], shown["state"], shown["version"]) == ("user-1", "active", 5)
    assert shown["metadata"] == {"stage": "one"}
    assert shown["checkpoint"]["checkpoint_id"] == "c1"
    assert [one["content"] for one in shown["newest_messages"]] == ["Hello", "Bye"]
    text = (await cli("show", session)).out
    assert all(word in text for word in ("user-1", "agent-1", "active", "stage", "“first”", "Hello"))


async def test_an_ended_session_is_shown_too(cli: Cli, session: str, manager: SessionManager) -> None:
    """With the state deleted, and the checkpoint that it had."""
    await manager.delete_session(session)
    shown = (await cli("show", session, "--json")).record
    assert (shown["state"], shown["checkpoint"]["label"]) == ("deleted", "first")


@pytest.mark.parametrize("words", [["--version", "3"], ["--offset", "{offset}"], ["--time", "{time}"]])
async def test_a_session_is_shown_as_of_a_moment(
    cli: Cli, session: str, manager: SessionManager, words: list[str]
) -> None:
    """By version, offset or time, the conversation too."""
    third = [event async for event in manager.history(session)][2]
    await manager.update_session_metadata(session, {"stage": "two"})
    when = {"offset": third.offset, "time": third.at.isoformat(timespec="milliseconds")}
    known = (await cli("as-of", session, words[0], words[1].format(**when), "--json")).record
    assert known["metadata"] == {"stage": "one"}
    assert [one["content"] for one in known["newest_messages"]][:2] == ["Hi", "Hello"]
    if words[0] != "--time":
        assert (known["version"], known["checkpoint"]) == (3, None)


async def test_a_moment_may_be_so_long_ago(cli: Cli, session: str) -> None:
    """Counted back from the server's clock."""
    assert (await cli("as-of", session, "--time", "now", "--json")).record["version"] == 5
    before = await cli("as-of", session, "--time", "1h")
    assert (before.code, before.err) == (1, "sessionstream: session 's' did not exist at that moment\n")


async def test_checkpoints_are_listed_newest_first(cli: Cli, session: str, manager: SessionManager) -> None:
    """Without their data, unless it is asked for."""
    await manager.save_checkpoint(session, {"turn": 2}, checkpoint_id="c2")
    listed = (await cli("checkpoints", session, "--json")).records
    assert [one["checkpoint_id"] for one in listed] == ["c2", "c1"]
    assert "data" not in listed[0]
    assert [one["data"] for one in (await cli("checkpoints", session, "--data", "--json")).records] == [
        {"turn": 2},
        {"turn": 1},
    ]


async def test_one_checkpoint_is_shown_with_its_data(cli: Cli, session: str) -> None:
    """By its id."""
    assert (await cli("checkpoints", session, "c1", "--json")).record["data"] == {"turn": 1}
    assert '"turn": 1' in (await cli("checkpoints", session, "c1")).out
    assert (await cli("checkpoints", session, "c9")).code == 1


async def test_a_resumption_is_checkpoint_and_tail(cli: Cli, session: str) -> None:
    """With the position from which to go on next time."""
    resumed = (await cli("resume", session, "--json")).record
    assert resumed["checkpoint"]["data"] == {"turn": 1}
    assert [event["data"]["content"] for event in resumed["events"]] == ["Bye"]
    assert resumed["version"] == 5
    text = (await cli("resume", session)).out
    assert all(word in text for word in ("“first”", "1 event", "Bye"))
