"""A handle touches one user's sessions alone: another's is as one that is not there, by every method (G38)."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import NoteAdded, SessionManager, UserSessions
from sessionstream.errors import InvalidArgument, SessionNotFound, SessionStreamError
from sessionstream.log.fencing import only_of
from sessionstream.owned.ownership import Ownership

Call = Callable[[UserSessions, str], Awaitable[Any]]


async def _history(mine: UserSessions, session_id: str) -> list[int]:
    return [event.version async for event in mine.history(session_id)]


async def _follow(mine: UserSessions, session_id: str) -> int:
    async with mine.follow(session_id, deltas=False) as events:
        first = await anext(events)
    return getattr(first, "version", 0)


async def _lock(mine: UserSessions, session_id: str) -> bool:
    async with mine.lock(session_id, timeout=0):
        return True


async def _update(mine: UserSessions, session_id: str) -> int:
    session = (await mine.get_sessions())[0]
    session.session_id, session.metadata = session_id, {"changed": 1}
    return (await mine.update_session(session_id, session)).version


CALLS: dict[str, Call] = {
    "add_messages": lambda mine, of: mine.add_messages(of, {"role": "user", "content": "x"}),
    "append": lambda mine, of: mine.append(of, NoteAdded(text="x"), expected_version=None, idempotency_key="k"),
    "as_of": lambda mine, of: mine.as_of(of, 1),
    "clear_checkpoints": lambda mine, of: mine.clear_checkpoints(of),
    "delete_checkpoint": lambda mine, of: mine.delete_checkpoint(of, "first"),
    "delete_session": lambda mine, of: mine.delete_session(of),
    "diff": lambda mine, of: mine.diff(of, 1, 2),
    "follow": _follow,
    "get_checkpoint": lambda mine, of: mine.get_checkpoint(of, "first"),
    "get_latest_checkpoint": lambda mine, of: mine.get_latest_checkpoint(of),
    "get_session": lambda mine, of: mine.get_session(of),
    "get_session_state": lambda mine, of: mine.get_session_state(of),
    "get_sessions": lambda mine, of: mine.get_sessions(after=of),
    "history": _history,
    "list_checkpoints": lambda mine, of: mine.list_checkpoints(of),
    "lock": _lock,
    "messages": lambda mine, of: mine.messages(of),
    "pop_messages": lambda mine, of: mine.pop_messages(of),
    "publish": lambda mine, of: mine.publish(of, "x"),
    "refresh_session": lambda mine, of: mine.refresh_session(of),
    "resume": lambda mine, of: mine.resume(of),
    "save_checkpoint": lambda mine, of: mine.save_checkpoint(of, {"turn": 2}),
    "session_exists": lambda mine, of: mine.session_exists(of),
    "set_session_state": lambda mine, of: mine.set_session_state(of, "idle"),
    "update_session": _update,
    "update_session_metadata": lambda mine, of: mine.update_session_metadata(of, {"a": 1}),
}
OF_THE_USER = {"create_session", "delete_sessions", "get_active_session_count"}


@pytest.fixture
def manager(open_manager: Callable[..., SessionManager]) -> SessionManager:
    """A manager whose one partition is marked by the first session."""
    return open_manager(partitions=1)


@pytest.fixture
async def mine(manager: SessionManager) -> UserSessions:
    """The handle of a user who has a session."""
    mine = manager.for_user("me")
    await mine.create_session("agent_1", ttl=1_000)
    return mine


async def _session_of(manager: SessionManager, user_id: str, session_id: str | None = None) -> str:
    session = await manager.create_session(user_id, "agent_1", ttl=1_000, session_id=session_id)
    await manager.add_messages(session.session_id, {"role": "user", "content": f"of {user_id}"})
    await manager.append(session.session_id, NoteAdded(text="x"), idempotency_key="k")
    await manager.save_checkpoint(session.session_id, {"turn": 1}, checkpoint_id="first")
    return session.session_id


async def _outcome(call: Awaitable[Any], session_id: str) -> tuple[type, str]:
    try:
        given = await call
    except SessionStreamError as error:
        return type(error), str(error).replace(session_id, "<id>")
    return type(given), repr(given)


async def _all_keys(client: Redis, manager: SessionManager) -> dict[bytes, bytes]:
    found = [key async for key in client.scan_iter(match=f"{manager.settings.namespace}:*", count=1000)]
    return {key: await client.dump(key) for key in found}


def test_every_method_of_the_handle_is_tried() -> None:
    """None is forgotten here."""
    methods = {name for name, _ in inspect.getmembers(UserSessions, callable) if not name.startswith("_")}
    assert methods == {*CALLS, *OF_THE_USER}


@pytest.mark.parametrize("name", sorted(set(CALLS) - {"as_of", "diff", "follow", "append", "add_messages", "history"}))
def test_a_method_is_called_as_the_managers_is(name: str) -> None:
    """With the same arguments and defaults, but for the user."""
    of_manager = "get_sessions_by_user" if name == "get_sessions" else name
    theirs = inspect.signature(getattr(SessionManager, of_manager)).parameters
    ours = inspect.signature(getattr(UserSessions, name)).parameters
    assert [str(one) for one in ours.values()] == [str(one) for key, one in theirs.items() if key != "user_id"]


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.guarantee
async def test_a_session_of_somebody_else_is_one_that_is_not_there(
    client: Redis, manager: SessionManager, mine: UserSessions, name: str
) -> None:
    """The same answer or error as for an id that nobody has, whether it lives or has ended; nothing changes."""
    theirs = await _session_of(manager, "you")
    unknown = await _outcome(CALLS[name](mine, "nobodys"), "nobodys")
    before = await _all_keys(client, manager)
    assert await _outcome(CALLS[name](mine, theirs), theirs) == unknown
    assert await _all_keys(client, manager) == before
    await manager.delete_session(theirs)
    before = await _all_keys(client, manager)
    assert await _outcome(CALLS[name](mine, theirs), theirs) == unknown
    assert await _all_keys(client, manager) == before


@pytest.mark.parametrize("name", CALLS)
async def test_a_session_of_the_users_own_is_there(manager: SessionManager, mine: UserSessions, name: str) -> None:
    """Each method does what it does for a session that is there."""
    own = await _session_of(manager, "me")
    unknown = await _outcome(CALLS[name](mine, "nobodys"), "nobodys")
    assert await _outcome(CALLS[name](mine, own), own) != unknown


@pytest.mark.guarantee
async def test_what_is_of_the_user_alone(manager: SessionManager, mine: UserSessions) -> None:
    """Creating, listing, counting and deleting look at nobody else's."""
    theirs = await _session_of(manager, "you")
    session = await mine.create_session("agent_2", {"a": 1})
    assert session.user_id == "me"
    assert {one.user_id for one in await mine.get_sessions()} == {"me"}
    assert await mine.get_active_session_count() == 2
    assert [one.session_id for one in await mine.get_sessions(limit=1)] == [session.session_id]
    assert await mine.delete_sessions() == 2
    assert await manager.session_exists(theirs)


async def test_keys_of_two_users_are_two_keys(manager: SessionManager) -> None:
    """The same idempotency key, and names that could be taken for one another."""
    users = ["me", "you", "me:k", "2:me"]
    sessions = [await manager.for_user(user).create_session("a", idempotency_key="k") for user in users]
    assert len({session.session_id for session in sessions}) == len(users)
    again = await manager.for_user("me").create_session("a", idempotency_key="k")
    assert again.session_id == sessions[0].session_id


READS = ("as_of", "get_checkpoint", "history", "list_checkpoints", "messages", "resume", "get_session_state", "follow")
WRITES = ("append", "add_messages", "save_checkpoint", "update_session_metadata", "refresh_session", "delete_session")


@pytest.mark.parametrize("name", [*READS, *WRITES, "lock", "set_session_state"])
async def test_an_id_that_went_to_somebody_else_meanwhile_is_seen(
    manager: SessionManager, mine: UserSessions, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the question whose it is and the call, the session is purged, and its id used again."""
    own = await _session_of(manager, "me", "reused")
    unknown = await _outcome(CALLS[name](mine, "nobodys"), "nobodys")
    life_of = Ownership.life_of
    asked: list[str] = []

    async def use_again() -> None:
        await manager.delete_session(own, purge=True)
        await _session_of(manager, "you", "reused")

    async def life_then_another(self: Ownership, session_id: str) -> bytes | None:
        found = await life_of(self, session_id)
        asked.append(session_id)
        if len(asked) == 1:
            assert found is not None
            # Somebody else does it: what this task carries to its writes is not carried there.
            await asyncio.create_task(use_again(), context=contextvars.Context())
        return found

    monkeypatch.setattr(Ownership, "life_of", life_then_another)
    assert await _outcome(CALLS[name](mine, own), own) == unknown
    theirs = await manager.get_session("reused")
    assert theirs is not None
    assert (theirs.user_id, theirs.version, theirs.metadata) == ("you", 4, {})


@pytest.mark.guarantee
async def test_a_purge_removes_nobody_elses(manager: SessionManager) -> None:
    """What ends and removes carries the owner as every write does."""
    theirs = await _session_of(manager, "you")
    await manager.delete_session(theirs)
    with only_of("me"):
        assert not await manager.delete_session(theirs, purge=True)
    assert await manager.delete_session(theirs, purge=True)


async def test_the_lock_of_a_block_fences_the_handles_writes(manager: SessionManager, mine: UserSessions) -> None:
    """It is carried by the writes in the block, and not behind it."""
    own = await _session_of(manager, "me")
    async with mine.lock(own):
        await mine.append(own, NoteAdded(text="in"))
        await mine.update_session_metadata(own, {"a": 1})
    await mine.append(own, NoteAdded(text="behind"))
    assert (await mine.messages(own)) == [{"role": "user", "content": "of me"}]


async def test_what_a_task_writes_elsewhere_is_as_ever(manager: SessionManager, mine: UserSessions) -> None:
    """Calls of the handle and of the manager side by side, in one task and in many."""
    own, theirs = await _session_of(manager, "me"), await _session_of(manager, "you")
    await asyncio.gather(*(mine.append(own, NoteAdded(text="x")) for _ in range(20)))
    await mine.append(own, NoteAdded(text="x"))
    await manager.append(theirs, NoteAdded(text="x"))
    session = await mine.get_session(own)
    assert session is not None
    assert session.version == 25


async def test_following_gives_history_and_what_comes(manager: SessionManager, mine: UserSessions) -> None:
    """Deltas too, and says where it is."""
    own = await _session_of(manager, "me")
    async with mine.follow(own, after="now") as events:
        await mine.publish(own, "Hel")
        await mine.append(own, NoteAdded(text="x"))
        given = [await anext(events), await anext(events)]
        assert [type(one).__name__ for one in given] == ["Delta", "RecordedEvent"]
        assert events.offset == given[1].offset
        assert not events.caught_up


def test_a_malformed_user_is_refused(manager: SessionManager) -> None:
    """When the handle is made."""
    with pytest.raises(InvalidArgument, match="user_id"):
        manager.for_user("")


@pytest.mark.parametrize("name", sorted(set(CALLS) - {"get_sessions"}))
@pytest.mark.parametrize("malformed", [None, b"s", "", "\ud800"], ids=["none", "bytes", "empty", "surrogate"])
async def test_a_malformed_session_is_refused(
    client: Redis, manager: SessionManager, mine: UserSessions, name: str, malformed: Any
) -> None:
    """As by the manager's methods, with nothing written."""
    before = await _all_keys(client, manager)
    with pytest.raises(InvalidArgument, match="session_id"):
        await CALLS[name](mine, malformed)
    assert await _all_keys(client, manager) == before


async def test_a_follower_says_at_once_what_is_malformed(mine: UserSessions) -> None:
    """As the manager's does."""
    with pytest.raises(InvalidArgument):
        mine.follow("s", after="x")
    with pytest.raises(SessionNotFound):
        async with mine.follow("nobodys"):
            pass
