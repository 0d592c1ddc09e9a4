"""G34: while a hold stands, nothing of a session is removed; it is placed and released by events."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import (
    HoldPlaced,
    HoldReleased,
    InvalidArgument,
    NoteAdded,
    SessionHeld,
    SessionManager,
    SessionNotFound,
    acting,
)
from sessionstream.errors import SessionsHeld
from sessionstream.lifecycle import ending
from sessionstream.lifecycle.retirement import retire
from sessionstream.recipes import batch_delete_sessions, enforce_session_limit
from tests.retention.conftest import SESSION, MakeManager, said
from tests.sessions.waiting import expired_session

Method = Callable[[SessionManager], Awaitable[Any]]

REMOVALS: dict[str, Method] = {
    "delete": lambda m: m.delete_session(SESSION),
    "purge": lambda m: m.delete_session(SESSION, purge=True),
    "delete a user's": lambda m: m.delete_user_sessions("user_1"),
    "delete an agent's": lambda m: m.delete_agent_sessions("agent_1"),
    "delete many": lambda m: batch_delete_sessions(m, [SESSION]),
    "delete a checkpoint": lambda m: m.delete_checkpoint(SESSION, "one"),
    "clear the checkpoints": lambda m: m.clear_checkpoints(SESSION),
}


@pytest.mark.parametrize("name", REMOVALS)
async def test_nothing_is_removed_while_a_hold_stands(manager: SessionManager, session: str, name: str) -> None:
    """Refused with the reason of every hold; nothing is appended, and once they are released it is done."""
    await manager.save_checkpoint(session, {"turn": 1}, checkpoint_id="one")
    first = await manager.retention.hold(session, "lawsuit 17")
    second = await manager.retention.hold(session, "audit")
    before = await said(manager)
    with pytest.raises(SessionHeld, match="sess_kept") as refused:
        await REMOVALS[name](manager)
    assert refused.value.session_id == session
    assert refused.value.reasons == ("lawsuit 17", "audit")
    assert await manager.retention.release(session, first)
    with pytest.raises(SessionHeld):
        await REMOVALS[name](manager)
    assert await manager.retention.release(session, second)
    assert await said(manager) == [*before, *(before[-1] + n for n in (1, 2))]
    assert await REMOVALS[name](manager)


async def test_many_are_deleted_but_for_those_that_are_held(manager: SessionManager, session: str) -> None:
    """The error names them, and says how many have ended."""
    for number in range(3):
        await manager.create_session("user_1", "agent_1", session_id=f"other_{number}")
    await manager.retention.hold("other_1", "audit")
    await manager.retention.hold(session, "lawsuit")
    with pytest.raises(SessionsHeld) as refused:
        await manager.delete_user_sessions("user_1")
    assert refused.value.held == {"other_1": ("audit",), session: ("lawsuit",)}
    assert refused.value.ended == 2
    assert {one.session_id for one in await manager.get_sessions_by_user("user_1")} == {"other_1", session}


async def test_a_limit_passes_over_what_is_held(manager: SessionManager, session: str) -> None:
    """The next one is deleted in its place."""
    await manager.create_session("user_1", "agent_1", session_id="younger")
    await manager.create_session("user_1", "agent_1", session_id="youngest")
    await manager.retention.hold(session, "audit")
    assert await enforce_session_limit(manager, "user_1", 2) == ["younger"]


async def test_a_hold_that_comes_between_the_look_and_the_deletion_refuses_it(
    make_manager: MakeManager, manager: SessionManager, session: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deletion is refused in the step that would append it, by what stands at that moment."""
    other = make_manager()
    look = manager.store.head
    placed = []

    async def look_and_be_overtaken(session_id: str, **options: Any) -> Any:
        seen = await look(session_id, **options)
        if not placed:
            placed.append(await other.retention.hold(session, "just now"))
        return seen

    monkeypatch.setattr(manager.store, "head", look_and_be_overtaken)
    with pytest.raises(SessionHeld) as refused:
        await ending.delete(manager.store, session)
    assert refused.value.reasons == ("just now",)
    assert await manager.session_exists(session)


async def test_a_hold_that_comes_between_the_look_and_the_retirement_refuses_it(
    make_manager: MakeManager, manager: SessionManager, session: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The removal compares the last offset, and a hold is an event."""
    await manager.delete_session(session)
    other = make_manager()
    look = manager.store.head

    async def look_and_be_overtaken(session_id: str, **options: Any) -> Any:
        seen = await look(session_id, **options)
        await other.retention.hold(session, "just now")
        return seen

    monkeypatch.setattr(manager.store, "head", look_and_be_overtaken)
    assert await retire(manager.store, session) is False
    monkeypatch.undo()
    assert await said(manager) == list(range(1, 13))


async def test_holds_and_purges_at_once_never_lose_what_was_held(
    make_manager: MakeManager, manager: SessionManager
) -> None:
    """Whoever was told that the hold stands finds all of the session, in every one of many races."""
    other = make_manager()
    outcomes = []
    for number in range(60):
        session_id = f"sess_{number}"
        await manager.create_session("user_1", "agent_1", session_id=session_id)
        held, purged = await asyncio.gather(
            other.retention.hold(session_id, "audit"),
            manager.delete_session(session_id, purge=True),
            return_exceptions=True,
        )
        if isinstance(held, SessionNotFound):
            assert purged is True
        else:
            assert isinstance(purged, SessionHeld)
            assert (await said(manager, session_id))[0] == 1
        outcomes.append(type(held))
    assert len(outcomes) == 60


async def test_expiry_ends_a_held_session_and_keeps_its_history(make_manager: MakeManager, client: Redis) -> None:
    """Nothing is removed by it, and the sweeper does not retire it before the hold is released."""
    manager = make_manager(retention=0)
    session = await expired_session(manager, client, session_id=SESSION)
    hold_id = await manager.retention.hold(session.session_id, "audit")
    assert await manager.cleanup_expired_sessions() == 1
    await manager.cleanup_expired_sessions()
    assert await said(manager) == [1, 2, 3]
    await manager.retention.release(SESSION, hold_id)
    await manager.cleanup_expired_sessions()
    with pytest.raises(SessionNotFound):
        await said(manager)


@pytest.mark.parametrize("sweeping", [True, False])
async def test_held_sessions_do_not_keep_others_from_their_retirement(
    make_manager: MakeManager, manager: SessionManager, sweeping: bool
) -> None:
    """However many stand in front of them, for the sweeper and for what creates remove by themselves."""
    short = make_manager(retention=0, partitions=1, namespace=manager.settings.namespace)
    for number in range(70):
        await short.create_session("user_1", "agent_1", session_id=f"held_{number}")
        await short.delete_session(f"held_{number}")
        await short.retention.hold(f"held_{number}", "audit")
    for number in range(3):
        await short.create_session("user_1", "agent_1", session_id=f"free_{number}")
        await short.delete_session(f"free_{number}")
    if sweeping:
        await short.cleanup_expired_sessions()
    else:
        for number in range(60):
            await short.create_session("user_1", "agent_1", session_id=f"new_{number}")
    assert len(await short.retention.holds()) == 70
    for number in range(3):
        with pytest.raises(SessionNotFound):
            await said(short, f"free_{number}")


async def test_holds_are_events_with_a_reason_and_an_actor(manager: SessionManager, session: str) -> None:
    """They are in the history, and listed with who placed them, when and why."""
    with acting(actor="counsel"):
        hold_id = await manager.retention.hold(session, "lawsuit 17", hold_id="case-17")
    assert hold_id == "case-17"
    [hold] = await manager.retention.holds(session)
    placed, *_ = [event async for event in manager.history(session, backward=True, limit=1)]
    assert placed.data == HoldPlaced(hold_id="case-17", reason="lawsuit 17")
    assert (hold.hold_id, hold.reason, hold.actor) == ("case-17", "lawsuit 17", "counsel")
    assert (hold.at, hold.offset, hold.session_id) == (placed.at, placed.offset, session)
    with acting(actor="judge"):
        await manager.retention.release(session, hold_id)
    released, *_ = [event async for event in manager.history(session, backward=True, limit=1)]
    assert (released.data, released.actor) == (HoldReleased(hold_id="case-17", standing=0), "judge")
    assert await manager.retention.holds(session) == []


async def test_all_holds_of_the_namespace_are_listed(manager: SessionManager, session: str) -> None:
    """Of whatever session."""
    await manager.create_session("user_2", "agent_2", session_id="other")
    first = await manager.retention.hold("other", "one")
    second = await manager.retention.hold(session, "two")
    third = await manager.retention.hold("other", "three")
    assert {hold.hold_id for hold in await manager.retention.holds()} == {first, second, third}
    for session_id, hold_id in (("other", first), (session, second), ("other", third)):
        await manager.retention.release(session_id, hold_id)
    assert await manager.retention.holds() == []


async def test_a_hold_may_be_placed_again_with_its_id(manager: SessionManager, session: str) -> None:
    """It stands once; for another reason it is refused, and after its release it may be placed anew."""
    await manager.retention.hold(session, "audit", hold_id="a")
    version = (await said(manager))[-1]
    assert await manager.retention.hold(session, "audit", hold_id="a") == "a"
    assert (await said(manager))[-1] == version
    with pytest.raises(InvalidArgument, match="another reason"):
        await manager.retention.hold(session, "lawsuit", hold_id="a")
    assert await manager.retention.release(session, "a")
    assert not await manager.retention.release(session, "a")
    await manager.retention.hold(session, "lawsuit", hold_id="a")
    assert [hold.reason for hold in await manager.retention.holds(session)] == ["lawsuit"]


@pytest.mark.parametrize("reason", ["", " \n", "x" * 1_001, None, 7, "\ud800"])
async def test_a_hold_has_a_reason(manager: SessionManager, session: str, reason: Any) -> None:
    """Refused before anything is written."""
    with pytest.raises(InvalidArgument, match="reason"):
        await manager.retention.hold(session, reason)
    assert len(await said(manager)) == 10


async def test_an_unknown_session_cannot_be_held(manager: SessionManager) -> None:
    """Nor released, nor asked for its holds."""
    for work in (
        manager.retention.hold("nobody", "audit"),
        manager.retention.hold("nobody", "audit", hold_id="a"),
        manager.retention.release("nobody", "a"),
        manager.retention.holds("nobody"),
    ):
        with pytest.raises(SessionNotFound):
            await work


async def test_a_held_session_goes_on(make_manager: MakeManager) -> None:
    """It is appended to, changed and checkpointed; a hold does not keep it alive, as it is no event of the agent's."""
    manager = make_manager(extend_on="append", ttl=60)
    session = await manager.create_session("user_1", "agent_1", session_id=SESSION)
    await manager.retention.hold(SESSION, "audit")
    held = await manager.get_session(SESSION)
    assert held is not None
    assert held.expires_at == session.expires_at
    await manager.append(SESSION, NoteAdded(text="x"))
    await manager.update_session_metadata(SESSION, {"a": 1})
    await manager.set_session_state(SESSION, "archived")
    await manager.retention.hold(SESSION, "archived sessions too")
    current = await manager.get_session(SESSION)
    assert current is not None
    current.metadata["b"] = 2
    await manager.update_session(SESSION, current)
    assert len(await said(manager)) == 7


async def test_holds_are_rebuilt_from_the_events(manager: SessionManager, session: str, client: Redis) -> None:
    """Whatever became of the views, what was held is held."""
    kept = await manager.retention.hold(session, "audit")
    gone = await manager.retention.hold(session, "lawsuit")
    await manager.retention.release(session, gone)
    before = await manager.retention.holds()
    head, index = manager.store.keys.head(session), "retention"
    await client.hdel(head, "held", f"hold:{kept}")
    await client.delete(*[key async for key in client.scan_iter(match=f"*index:{index}:*")])
    assert await manager.retention.holds() == []
    await manager.rebuild()
    assert await manager.retention.holds() == before
    with pytest.raises(SessionHeld):
        await manager.delete_session(session)
