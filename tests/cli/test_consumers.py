"""`consumers` and `parked`."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from sessionstream import NoteAdded, SessionManager
from sessionstream.consumers import Item
from tests.cli.conftest import Cli
from tests.sessions.waiting import until

# Commands run in threads of their own; what a group's members have done is there when they have committed it.


@pytest.fixture
async def group(manager: SessionManager) -> AsyncIterator[str]:
    """A group that has handled one session, and parked an event of another."""
    for session_id in ("good", "bad"):
        await manager.create_session("u", "a", session_id=session_id)

    async def handle(item: Item) -> None:
        if item.session_id == "bad":
            raise ValueError("no\nway")

    async with manager.consumers.join("billing", handle, attempts=1, member="worker-1"):
        await until(lambda: _parked(manager))
        yield "billing"


async def _parked(manager: SessionManager) -> bool:
    return bool(await manager.consumers.parked("billing")) and not (await manager.consumers.status("billing")).lag


async def test_the_groups_are_listed(cli: Cli, group: str) -> None:
    """One line each; as objects with all figures."""
    result = await cli("consumers")
    title, line = result.out.splitlines()
    assert title.split()[:2] == ["GROUP", "HEALTH"]
    assert line.split()[:4] == ["billing", "active", "1", "0"]
    record = (await cli("consumers", "--json")).record
    assert (record["group"], record["lag"], record["parked"]) == ("billing", 0, 1)
    assert record["members"][0]["name"] == "worker-1"
    assert "partitions" not in record


async def test_one_group_is_shown_by_partition(cli: Cli, group: str, manager: SessionManager) -> None:
    """Each with who holds it and how far behind it is."""
    result = await cli("consumers", "--group", group)
    assert "worker-1 (16)" in result.out
    record = (await cli("consumers", "-g", group, "--json")).record
    assert [one["partition"] for one in record["partitions"]] == list(range(16))
    assert {one["member"] for one in record["partitions"]} == {"worker-1"}


async def test_where_there_are_no_groups_that_is_said(cli: Cli, manager: SessionManager) -> None:
    """And an unknown one is nothing there."""
    assert (await cli("consumers")).code == 1
    result = await cli("consumers", "--group", "never")
    assert (result.code, "'never'" in result.err) == (1, True)
    assert (await cli("parked", "never")).code == 1


async def test_what_is_parked_is_listed(cli: Cli, group: str) -> None:
    """With its error in one line, or with the end of its traceback."""
    result = await cli("parked", group)
    assert "bad" in result.out
    assert "ValueError: no way" in result.out
    assert (await cli("parked", group, "--json")).record["error"] == "ValueError"
    assert 'raise ValueError("no\\nway")' in (await cli("parked", group, "--trace")).out
    assert (await cli("parked", group, "--session", "good")).code == 1


async def test_it_is_replayed_and_discarded(cli: Cli, group: str, manager: SessionManager) -> None:
    """By the members; to discard everything has to be said."""
    await manager.append("bad", NoteAdded(text="waits"))
    result = await cli("parked", "replay", group, "--json")
    assert result.record == {"asked": "replay", "events": 1, "members": 1}
    await until(lambda: _attempts(manager, 2))
    assert (await cli("parked", "discard", group)).code == 2
    assert (await cli("parked", "discard", group, "--all")).out == "1 parked event to discard: its members do it now\n"
    await until(lambda: _is_parked_at(manager, "note.added"))
    assert (await cli("parked", "discard", group, "--session", "good")).code == 1
    assert (await cli("parked", "drop", group)).code == 2


async def _attempts(manager: SessionManager, failures: int) -> bool:
    return (await manager.consumers.status("billing")).count("failures") == failures and await _parked(manager)


async def _is_parked_at(manager: SessionManager, kind: str) -> bool:
    return [one.type for one in await manager.consumers.parked("billing")] == [kind]
