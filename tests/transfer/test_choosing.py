"""Which sessions are chosen, and in which order."""

from __future__ import annotations

import asyncio

import pytest

from sessionstream import SessionManager
from sessionstream.log.store import Store
from sessionstream.transfer import import_messages
from sessionstream.transfer.choosing import Choice, chosen_sessions, kept_session
from tests.transfer.conftest import MakeManager
from tests.transfer.recorded import line


async def ids(store: Store, choice: Choice | None = None, *, newest_first: bool = False) -> list[str]:
    """Return the ids of the sessions that are chosen."""
    chosen = chosen_sessions(store, choice or Choice(), newest_first=newest_first)
    return [kept.session.session_id async for kept in chosen]


async def tick(store: Store) -> None:
    """Wait for the server's next millisecond."""
    now = await store.now_ms()
    while await store.now_ms() == now:
        await asyncio.sleep(0)


@pytest.mark.parametrize("partitions", [1, 5])
async def test_more_sessions_than_a_page_come_once_each_in_order(make_manager: MakeManager, partitions: int) -> None:
    """Thousands of one millisecond among them, forward and backward."""
    manager = make_manager(partitions=partitions)
    for start in range(0, 1500, 500):
        await import_messages(manager.store, [line(session_id=f"{start + n:04}") for n in range(500)], concurrency=64)
        await tick(manager.store)
    for newest_first in (False, True):
        found = [
            (kept.session.created_at, kept.session.session_id)
            async for kept in chosen_sessions(manager.store, Choice(), newest_first=newest_first)
        ]
        times = [created for created, _ in found]
        assert times == sorted(times, reverse=newest_first)
        assert sorted(name for _, name in found) == [f"{n:04}" for n in range(1500)]


async def test_users_and_agents_are_told_apart(store: Store, manager: SessionManager) -> None:
    """By user, by agent, by both."""
    for user, agent in (("u1", "a1"), ("u1", "a2"), ("u2", "a1")):
        await manager.create_session(user, agent, session_id=f"{user}-{agent}")
        await tick(store)
    assert await ids(store, Choice(user_id="u1")) == ["u1-a1", "u1-a2"]
    assert await ids(store, Choice(agent_id="a1"), newest_first=True) == ["u2-a1", "u1-a1"]
    assert await ids(store, Choice(user_id="u2", agent_id="a2")) == []


async def test_states_are_told_apart(store: Store, manager: SessionManager) -> None:
    """Those that are over are chosen only if they are asked for."""
    for name in ("active", "idle", "archived", "expired", "deleted"):
        await manager.create_session("u", "a", session_id=name)
        await tick(store)
    await manager.set_session_state("idle", "idle")
    await manager.set_session_state("archived", "archived")
    await manager.set_session_state("expired", "expired")
    await manager.delete_session("deleted")
    assert await ids(store) == ["active", "idle", "archived"]
    assert await ids(store, Choice(states=["idle", "archived"])) == ["idle", "archived"]
    assert await ids(store, Choice(ended=True)) == ["active", "idle", "archived", "expired", "deleted"]
    assert await ids(store, Choice(user_id="u", states=["deleted"], ended=True)) == ["deleted"]


async def test_a_session_past_its_expiry_is_over_before_any_sweep(store: Store, manager: SessionManager) -> None:
    """As every other read has it."""
    await manager.create_session("u", "a", session_id="s", ttl=0.001)
    await tick(store)
    await tick(store)
    kept = await kept_session(store, "s")
    assert kept is not None
    assert (kept.end, kept.state) == ("expired", "expired")
    assert await ids(store) == []


async def test_nothing_is_kept_of_an_unknown_session(store: Store) -> None:
    """None, not an empty session."""
    assert await kept_session(store, "nobody") is None
    assert await ids(store) == []
