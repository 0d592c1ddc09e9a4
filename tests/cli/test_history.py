"""`history`: what happened, one line an event."""

from __future__ import annotations

import asyncio

import pytest

from sessionstream import NoteAdded, SessionManager, acting
from tests.cli.conftest import Cli
from tests.entries import entry
from tests.gates import move_gate


async def versions(cli: Cli, *words: str) -> list[int]:
    """Return the versions that a history of the session ``s`` shows."""
    return [event["version"] for event in (await cli("history", "s", *words, "--json")).records]


async def test_every_event_is_told(cli: Cli, session: str) -> None:
    """With time, version, type, actor and data."""
    events = (await cli("history", session, "--json")).records
    assert [event["type"] for event in events] == [
        "session.created",
        "message.added",
        "message.added",
        "checkpoint.saved",
        "message.added",
    ]
    assert events[1]["data"] == {"role": "user", "content": "Hi"}
    assert events[1]["offset"].startswith(events[1]["offset"].partition("-")[0])
    assert events[1]["at"].endswith("Z")


async def test_a_line_says_when_what_who_and_about_what(cli: Cli, manager: SessionManager, session: str) -> None:
    """Each event of the text is one line."""
    with acting(actor="auditor"):
        await manager.append(session, NoteAdded(text="looked\nat it"))
    last = (await cli("history", session)).out.splitlines()[-1]
    assert last.split()[1:] == ["6", "note.added", "auditor", "looked", "at", "it"]
    assert last[:24].endswith("Z")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--type", "message.added"], [2, 3, 5]),
        (["--type", "message.added", "--type", "checkpoint.saved"], [2, 3, 4, 5]),
        (["--from-version", "4"], [4, 5]),
        (["--to-version", "2"], [1, 2]),
        (["--limit", "2"], [1, 2]),
        (["--backward"], [5, 4, 3, 2, 1]),
        (["--backward", "--limit", "2", "--type", "message.added"], [5, 3]),
        (["--since", "1h", "--until", "now"], [1, 2, 3, 4, 5]),
    ],
)
async def test_a_history_can_be_narrowed(cli: Cli, session: str, words: list[str], expected: list[int]) -> None:
    """By type, version, number, time; in either direction."""
    assert await versions(cli, *words) == expected


async def test_times_narrow_a_history_to_the_millisecond(cli: Cli, session: str, manager: SessionManager) -> None:
    """Both ends belong to it."""
    last = [event async for event in manager.history(session)][-1]
    while await manager.store.now_ms() <= last.at.timestamp() * 1000:
        await asyncio.sleep(0)
    await manager.append(session, NoteAdded(text="later"))
    later = [event async for event in manager.history(session)][-1]
    assert await versions(cli, "--since", later.at.isoformat()) == [6]
    assert 6 not in await versions(cli, "--until", last.at.isoformat())


async def test_offsets_narrow_a_history(cli: Cli, session: str, manager: SessionManager) -> None:
    """Neither end belongs to it."""
    offsets = [event.offset async for event in manager.history(session)]
    assert await versions(cli, "--after", offsets[1], "--before", offsets[4]) == [3, 4]


async def test_nothing_found_is_exit_code_1(cli: Cli, session: str) -> None:
    """And nothing is printed."""
    result = await cli("history", session, "--type", "tool.called", "--json")
    assert (result.code, result.out, result.err) == (1, "", "no events\n")


async def test_a_damaged_entry_is_named_and_the_history_goes_on(
    cli: Cli, session: str, manager: SessionManager
) -> None:
    """Its offset is on standard error, its place in the output is kept, and the exit code tells."""
    store = manager.store
    offset = [event.offset async for event in manager.history(session)][-1]
    damaged = f"{offset.partition('-')[0]}-6"
    [words] = entry("message.added", '{"role": 5}').items()
    await store.server.call("XADD", store.keys.events(session), damaged, *words)
    await move_gate(store, session, damaged)
    await manager.append(session, NoteAdded(text="after"))
    for options in ([], ["--json"]):
        result = await cli("history", session, *options)
        assert result.code == 4
        assert f"sessionstream: event {damaged} of session 's': " in result.err
        assert len(result.out.splitlines()) == 7
    assert result.records[5]["error"].startswith(f"event {damaged}")
    assert result.records[6]["data"] == {"text": "after"}


async def test_an_event_of_an_unknown_type_is_told_as_it_is(cli: Cli, session: str, manager: SessionManager) -> None:
    """Its type may be known only where it was written."""
    store = manager.store
    offset = [event.offset async for event in manager.history(session)][-1]
    following = f"{offset.partition('-')[0]}-6"
    [words] = entry("orders.refund_approved", '{"amount": 5}').items()
    await store.server.call("XADD", store.keys.events(session), following, *words)
    result = await cli("history", session, "--from-version", "6")
    assert (result.code, result.out.split()[1:]) == (0, ["6", "orders.refund_approved", "-", '{"amount":', "5}"])


async def test_a_long_history_is_printed_while_it_is_read(cli: Cli, manager: SessionManager) -> None:
    """More events than one page of the store."""
    await manager.create_session("u", "a", session_id="s")
    await manager.append("s", [NoteAdded(text=str(number)) for number in range(1200)])
    assert len((await cli("history", "s")).out.splitlines()) == 1201


async def test_the_history_of_an_ended_session_is_kept(cli: Cli, session: str, manager: SessionManager) -> None:
    """With its end as the last event."""
    await manager.delete_session(session)
    events = (await cli("history", session, "--json")).records
    assert (len(events), events[-1]["type"]) == (6, "session.deleted")
