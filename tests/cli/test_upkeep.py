"""`stats`, `rebuild`, `cleanup`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sessionstream import SessionManager
from tests.cli.conftest import Cli
from tests.nodes import keys_of


async def lapsed(manager: SessionManager, session_id: str) -> None:
    """Make a session, and wait until its time is over."""
    session = await manager.create_session("u", "a", session_id=session_id, ttl=0.001)
    assert session.expires_at is not None
    while await manager.store.now_ms() <= session.expires_at.timestamp() * 1000:
        await asyncio.sleep(0)


async def test_sessions_are_counted_by_state(cli: Cli, manager: SessionManager) -> None:
    """Swept or not, and what the ended ones hold."""
    for name in ("active", "idle", "archived", "expired", "deleted"):
        await manager.create_session("u", "a", session_id=name)
    await manager.set_session_state("idle", "idle")
    await manager.set_session_state("archived", "archived")
    await manager.set_session_state("expired", "expired")
    await manager.delete_session("deleted")
    await lapsed(manager, "lapsed")
    counted = (await cli("stats", "--json")).record
    assert {name: counted[name] for name in ("total", "active", "idle", "archived", "expired", "deleted")} == {
        "total": 6,
        "active": 1,
        "idle": 1,
        "archived": 1,
        "expired": 2,
        "deleted": 1,
    }
    assert (counted["unswept"], counted["ended_sessions_measured"], counted["feed_length"]) == (1, 2, 10)
    assert counted["ended_bytes"] > 1000


async def test_the_memory_of_ended_sessions_is_what_the_server_says(cli: Cli, manager: SessionManager) -> None:
    """The sum over the keys of each of them."""
    for number in range(5):
        await manager.create_session("u", "a", session_id=f"s{number}")
        await manager.save_checkpoint(f"s{number}", {"x": "y" * 1000 * number})
    before = (await cli("stats", "--json")).record["ended_bytes"]
    await manager.delete_session("s4")
    sizes = []
    async for key in manager_keys(manager, "s4"):
        sizes.append(await manager.store.server.call("MEMORY", "USAGE", key) or 0)
    assert before == 0
    assert (await cli("stats", "--json")).record["ended_bytes"] == sum(sizes)


async def manager_keys(manager: SessionManager, session_id: str):  # type: ignore[no-untyped-def]
    """Yield the names of all keys of a session."""
    for name in await keys_of(manager.store, f"*:{session_id}"):
        yield name


async def test_many_ended_sessions_are_sampled(cli: Cli, manager: SessionManager) -> None:
    """A thousand of them, and the whole is estimated from these."""
    names = [f"s{number}" for number in range(1300)]
    for start in range(0, len(names), 100):
        part = names[start : start + 100]
        await asyncio.gather(*(manager.create_session("u", "a", session_id=name) for name in part))
        await asyncio.gather(*(manager.delete_session(name) for name in part))
    counted = (await cli("stats", "--json")).record
    assert 900 <= counted["ended_sessions_measured"] <= 1000
    each = counted["ended_bytes"] / 1300
    one = sum(
        [await manager.store.server.call("MEMORY", "USAGE", key) or 0 async for key in manager_keys(manager, "s7")]
    )
    assert 0.9 * one < each < 1.1 * one
    assert "estimated from" in (await cli("stats")).out


async def test_a_cleanup_ends_what_is_over(cli: Cli, manager: SessionManager) -> None:
    """Once; its event says who did it."""
    await lapsed(manager, "s")
    assert (await cli("cleanup", "--json")).record == {"ended": 1, "kept": 1, "kept_ended": 1}
    assert (await cli("cleanup", "--json")).record["ended"] == 0
    last = (await cli("history", "s", "--json")).records[-1]
    assert (last["type"], last["actor"]) == ("session.expired", "cleanup")


async def test_a_cleanup_removes_what_is_past_its_retention(cli: Cli, manager: SessionManager) -> None:
    """As the variable of the setting has it."""
    await manager.create_session("u", "a", session_id="s")
    await manager.delete_session("s")
    assert (await cli("cleanup", "--json")).record["kept"] == 1
    assert (await cli("cleanup", "--json", SESSIONSTREAM_RETENTION="0")).record["kept"] == 0


async def test_lost_views_are_rebuilt(cli: Cli, session: str, manager: SessionManager) -> None:
    """Of one session, or of all."""
    keys = manager.store.keys
    for words in ([], [session]):
        await manager.store.server.call("HDEL", keys.head(session), "user_id", "m:stage")
        rebuilt = await cli("rebuild", *words, "--json")
        assert (rebuilt.code, rebuilt.record["sessions"], rebuilt.record["events"]) == (0, 1, 5)
        assert (await cli("show", session, "--json")).record["metadata"] == {"stage": "one"}
    assert "1 session rebuilt from 5 events" in (await cli("rebuild")).out


async def test_a_namespace_is_adopted_as_a_whole(cli: Cli, session: str) -> None:
    """Not by one session."""
    assert (await cli("rebuild", session, "--adopt")).code == 2


PROJECTION = """
from sessionstream import Projection
from sessionstream.events.runtime import MessageAdded
from sessionstream.projection import Increment, counters

talk = Projection("talk")

@talk.on(MessageAdded)
def said(session_id, event):
    yield Increment(counters("messages"), event.role, 1)

all_of_them = [talk]
"""


@pytest.mark.parametrize("name", ["talk", "all_of_them"])
async def test_own_projections_are_named_and_adopted(
    cli: Cli, session: str, manager: SessionManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Without them the namespace refuses every write from then on, and says what to do."""
    (tmp_path / f"own_{name}.py").write_text(PROJECTION)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    own = ("--projections", f"own_{name}:{name}")
    assert (await cli("rebuild", *own)).code == 5
    assert (await cli("rebuild", *own, "--adopt")).code == 0
    assert (await cli("cleanup", *own)).code == 0
    refused = await cli("import", "-", given=b'{"messages": []}')
    assert (refused.code, "projections" in refused.err) == (5, True)
    assert (await cli("show", session)).code == 0


@pytest.mark.parametrize("name", ["nonsense", "no_such_module:x", "json:no_such_name", "json:dumps"])
async def test_what_is_no_projection_is_wrong_usage(cli: Cli, name: str) -> None:
    """Named in one line."""
    result = await cli("stats", "--projections", name)
    assert (result.code, len(result.err.splitlines())) == (2, 1)
    assert name in result.err or name.split(":")[0] in result.err
