"""G40: what is kept of an erased user, what each read gives, and who may not be erased."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import (
    Erased,
    EventErased,
    InvalidArgument,
    MessageAdded,
    NoteAdded,
    OutcomeUnknown,
    Projection,
    SessionEnded,
    SessionErased,
    SessionExists,
    SessionManager,
    SessionNotFound,
    acting,
)
from sessionstream.errors import HistoryErased, SessionsHeld
from sessionstream.lifecycle.retirement import retire
from sessionstream.projection import Put, view
from tests.erasure.conftest import PLAIN, SESSION, USER, MakeManager, talk
from tests.sessions.waiting import expired_session

Method = Callable[[SessionManager], Awaitable[Any]]


async def test_the_result_says_what_was_erased(manager: SessionManager, session: str) -> None:
    """The event that ended the session counts too; of a user that is erased already it is nothing."""
    assert await manager.erase_user(USER) == Erased(USER, sessions=1, events=8, checkpoints=1)
    assert await manager.erase_user(USER) == Erased(USER)
    assert await manager.erase_user("nobody") == Erased("nobody")


@pytest.mark.guarantee
async def test_each_event_leaves_its_place(manager: SessionManager, session: str) -> None:
    """At the same offsets, and behind them the event that tells of the erasure, with who did it."""
    before = [event.offset async for event in manager.history(session)]
    with acting(actor="the operator"):
        await manager.erase_user(USER)
    after = [event async for event in manager.history(session)]
    assert [event.version for event in after] == list(range(1, 10))
    assert [event.offset for event in after[:7]] == before
    assert {type(event.data) for event in after[:8]} == {EventErased}
    told = after[8]
    assert told.actor == "the operator"
    assert (told.type, told.data.agent_id, told.data.events) == ("session.erased", "agent_1", 8)


@pytest.mark.guarantee
async def test_reads_give_what_they_give_of_an_ended_session(manager: SessionManager, session: str) -> None:
    """Nothing, or that it has ended by erasure; a moment before it can be asked for no more."""
    await manager.erase_user(USER)
    assert await manager.get_session(session) is None
    assert await manager.get_session_state(session) is None
    assert await manager.get_latest_checkpoint(session) is None
    assert await manager.list_checkpoints(session) == []
    assert await manager.messages(session) == []
    assert await manager.get_sessions_by_user(USER) == []
    assert await manager.get_active_session_count() == 0
    assert not await manager.delete_session(session)
    with pytest.raises(SessionEnded) as ended:
        await manager.resume(session)
    assert ended.value.reason == "erased"
    with pytest.raises(HistoryErased):
        await manager.audit.as_of(session, version=3)
    with pytest.raises(HistoryErased):
        await manager.audit.diff(session, 2, 9)
    with pytest.raises(HistoryErased):
        await manager.audit.fork(session, at=9, user_id="somebody")
    now = await manager.audit.as_of(session, version=9)
    assert (now.session.user_id, now.metadata, now.checkpoint) == ("", {}, None)


WRITES: dict[str, Method] = {
    "append": lambda m: m.append(SESSION, NoteAdded(text="late")),
    "add a message": lambda m: m.add_messages(SESSION, {"role": "user", "content": "late"}),
    "metadata": lambda m: m.update_session_metadata(SESSION, {"late": True}),
    "checkpoint": lambda m: m.save_checkpoint(SESSION, {"late": True}),
    "state": lambda m: m.set_session_state(SESSION, "idle"),
    "publish": lambda m: m.publish(SESSION, {"late": True}),
    "lock": lambda m: m.acquire_lock(SESSION, timeout=0.1),
    "under a key": lambda m: m.append(SESSION, NoteAdded(text="late"), idempotency_key="late"),
}


@pytest.mark.parametrize("name", WRITES)
async def test_an_erased_session_takes_nothing(manager: SessionManager, session: str, name: str) -> None:
    """Each write is told that the session was erased."""
    await manager.erase_user(USER)
    with pytest.raises(SessionEnded, match="erased"):
        await WRITES[name](manager)
    assert len([event async for event in manager.history(session)]) == 9


async def test_the_session_of_an_erased_user_keeps_its_id_until_it_is_retired(
    manager: SessionManager, session: str
) -> None:
    """As that of any ended session; retirement removes the rest of it."""
    await manager.erase_user(USER)
    with pytest.raises(SessionExists):
        await manager.create_session(USER, "agent_1", session_id=session)
    assert await retire(manager.store, session)
    with pytest.raises(SessionNotFound):
        await anext(manager.history(session))
    assert await manager.get_total_session_count() == 0
    assert await manager.get_avg_session_duration() == 0.0


async def test_erased_sessions_are_retired_when_their_retention_is_over(make_manager: MakeManager) -> None:
    """By the same sweep as all others."""
    manager = make_manager(retention=0)
    await manager.create_session(USER, "agent_1", session_id=SESSION)
    await manager.erase_user(USER)
    await manager.create_session("bob", "agent_1", session_id="bobs")
    await manager.cleanup_expired_sessions()
    assert await manager.get_total_session_count() == 1
    assert await manager.get_session("bobs")


async def test_who_comes_back_is_a_new_user(manager: SessionManager, session: str) -> None:
    """Sessions of the same user that begin later are as those of anybody, and are erased by another call."""
    await manager.erase_user(USER)
    again = await manager.create_session(USER, "agent_1", {"new": True})
    assert [one.session_id for one in await manager.get_sessions_by_user(USER)] == [again.session_id]
    assert (await manager.erase_user(USER)).sessions == 1


@pytest.mark.guarantee
async def test_sessions_of_all_states_are_erased_and_those_of_others_are_not(
    manager: SessionManager, client: Redis, session: str
) -> None:
    """Live, archived, ended and lapsed ones; no list of the user has those that have ended."""
    for state in ("idle", "archived", "deleted"):
        await manager.create_session(USER, "agent_1", {"said": PLAIN}, session_id=state)
        await (manager.delete_session(state) if state == "deleted" else manager.set_session_state(state, state))
    await expired_session(manager, client, user_id=USER, session_id="lapsed")
    await manager.create_session("bob", "agent_1", {"said": "hello"}, session_id="bobs")
    done = await manager.erase_user(USER)
    assert done.sessions == 5
    for session_id in (session, "idle", "archived", "deleted", "lapsed"):
        last = [event async for event in manager.history(session_id)][-1]
        assert isinstance(last.data, SessionErased)
    bobs = await manager.get_session("bobs")
    assert bobs is not None
    assert bobs.metadata == {"said": "hello"}
    assert [event.type async for event in manager.history("bobs")] == ["session.created"]


async def test_a_hold_is_stronger_than_an_erasure(manager: SessionManager, session: str) -> None:
    """While one stands on any of the user's sessions nothing is erased; the error names it."""
    await manager.create_session(USER, "agent_1", session_id="other")
    hold = await manager.retention.hold("other", "lawsuit 17")
    with pytest.raises(SessionsHeld) as refused:
        await manager.erase_user(USER)
    assert refused.value.held == {"other": ("lawsuit 17",)}
    assert len(await manager.messages(session)) == 5
    assert len(await manager.get_sessions_by_user(USER)) == 2
    await manager.retention.release("other", hold)
    assert (await manager.erase_user(USER)).sessions == 2


@pytest.mark.guarantee
async def test_forks_of_others_are_erased_too(manager: SessionManager, session: str) -> None:
    """A fork has a copy of what its origin stood at; the result names them, and forks of forks."""
    fork = await manager.audit.fork(session, at=7, user_id="bob")
    deeper = await manager.audit.fork(fork.session_id, at=2, user_id="carol")
    own = await manager.audit.fork(session, at=3)
    await manager.create_session("bob", "agent_1", session_id="bobs own")
    done = await manager.erase_user(USER)
    assert done.sessions == 4
    assert set(done.forks) == {fork.session_id, deeper.session_id}
    assert await manager.get_session(own.session_id) is None
    assert [one.session_id for one in await manager.get_sessions_by_user("bob")] == ["bobs own"]


async def test_forks_of_others_may_be_kept(manager: SessionManager, session: str) -> None:
    """Then they are named as not reached, and reading through to their origin says that it was erased."""
    fork = await manager.audit.fork(session, at=7, user_id="bob")
    done = await manager.erase_user(USER, keep_forks=True)
    assert done.sessions == 1
    assert len(done.unreached) == 1
    assert fork.session_id in done.unreached[0]
    checkpoint = await manager.get_latest_checkpoint(fork.session_id)
    assert checkpoint is not None
    assert checkpoint.data == {"history": [PLAIN]}
    with pytest.raises(HistoryErased):
        await manager.messages(fork.session_id)


async def test_a_fork_of_another_session_with_the_same_id_is_no_fork(manager: SessionManager, session: str) -> None:
    """The id of a session that was removed may be used again, by another user."""
    fork = await manager.audit.fork(session, at=7, user_id="bob")
    await manager.delete_session(session, purge=True)
    await manager.create_session("carol", "agent_1", session_id=session)
    assert (await manager.erase_user("carol")).sessions == 1
    assert await manager.get_session(fork.session_id) is not None


async def test_writers_that_go_on_do_not_hold_it_up(manager: SessionManager, make_manager: MakeManager) -> None:
    """Each of their appends was made before, and is erased, or is told that the session has ended."""
    ids = [(await manager.create_session(USER, "agent_1")).session_id for _ in range(4)]
    other = make_manager()
    made, reasons = 0, list[str]()

    async def write(session_id: str) -> None:
        nonlocal made
        while True:
            try:
                await other.append(session_id, MessageAdded(role="user", content=PLAIN))
                made += 1
            except SessionEnded as error:
                reasons.append(error.reason)
                return

    writing = [asyncio.create_task(write(session_id)) for session_id in ids]
    while made < 100:
        await asyncio.sleep(0)
    done = await manager.erase_user(USER)
    await asyncio.gather(*writing)
    assert set(reasons) <= {"deleted", "erased"}
    assert (len(reasons), done.sessions, done.events) == (4, 4, made + 8)


@pytest.mark.guarantee
async def test_two_erasures_at_a_time_do_it_once(make_manager: MakeManager) -> None:
    """What one has erased the other passes over."""
    manager, other = make_manager(), make_manager()
    for _ in range(12):
        session = await manager.create_session(USER, "agent_1", {"said": PLAIN})
        await talk(manager, 3, session.session_id)
    done = await asyncio.gather(manager.erase_user(USER), other.erase_user(USER))
    assert sum(one.sessions for one in done) == 12
    assert sum(one.events for one in done) == 60


async def test_a_lock_does_not_keep_a_session(manager: SessionManager, make_manager: MakeManager, session: str) -> None:
    """Whoever holds it is told at the next write that the session has ended."""
    other = make_manager()
    async with manager.lock(session):
        await other.erase_user(USER)
        with pytest.raises(SessionEnded):
            await manager.append(session, NoteAdded(text="late"))


async def test_more_events_than_one_page_are_erased(manager: SessionManager, client: Redis) -> None:
    """In several steps beside the stream, then in one step in its place."""
    await manager.create_session(USER, "agent_1", session_id=SESSION)
    await manager.append(SESSION, [MessageAdded(role="user", content=PLAIN)] * 2_500)
    done = await manager.erase_user(USER)
    assert done.events == 2_502
    events = [event async for event in manager.history(SESSION)]
    assert [event.version for event in events] == list(range(1, 2_504))
    assert not [key async for key in client.scan_iter(match="*restoring*")]


async def test_what_is_no_user_or_folder_is_refused(manager: SessionManager, session: str) -> None:
    """Before anything is erased."""
    with pytest.raises(InvalidArgument):
        await manager.erase_user("")
    with pytest.raises(InvalidArgument):
        await manager.erase_user(USER, archives="a-folder")
    with pytest.raises(InvalidArgument):
        await manager.erase_user(USER, archives=["a\0folder"])
    assert await manager.get_session(session)


def test_no_projection_of_ones_own_keeps_anything_of_an_erasure() -> None:
    """It would be there after the erasure, and no rebuild could tell why."""
    kept = Projection("kept")
    kept.on(SessionErased)(lambda session_id, event: [Put(view("erased"), {"at": "x"})])
    with pytest.raises(InvalidArgument, match="kept"):
        SessionManager(url="redis://127.0.0.1:1", projections=[kept])


async def test_only_the_erasure_appends_its_event(manager: SessionManager, session: str) -> None:
    """As with all events of a session's life."""
    event = SessionErased(agent_id="a", created_ms=1, ended_ms=2, events=3)
    with pytest.raises(InvalidArgument):
        await manager.append(session, event)


async def test_an_erasure_without_a_server_says_so(namespace: str) -> None:
    """Nothing was erased."""
    async with SessionManager(url="redis://127.0.0.1:1", namespace=namespace, deadline=0.2) as manager:
        with pytest.raises((OutcomeUnknown, ConnectionError)):
            await manager.erase_user(USER)
