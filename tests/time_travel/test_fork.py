"""G31: a fork goes on from a moment of another session, and says where it came from."""

from __future__ import annotations

from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import (
    ForkedFrom,
    IdempotencyConflict,
    InvalidArgument,
    NoteAdded,
    SessionExists,
    SessionManager,
    SessionNotFound,
    SessionState,
)
from sessionstream.conversation.messages import newest_messages
from sessionstream.errors import CorruptEvent
from tests.time_travel.conftest import OpenManager, bases_of, talk


def message(text: str) -> dict[str, Any]:
    """A message of the user."""
    return {"role": "user", "content": text}


@pytest.fixture
async def origin(manager: SessionManager, session_id: str) -> str:
    """A session that has said one to four, with a checkpoint behind the second, and was idle meanwhile."""
    await manager.add_messages(session_id, [message("one"), message("two")])
    await manager.save_checkpoint(session_id, {"said": 2}, checkpoint_id="two", label="good")
    await manager.add_messages(session_id, message("three"))
    await manager.set_session_state(session_id, "idle")
    await manager.update_session_metadata(session_id, {"topic": "news"})
    await manager.add_messages(session_id, message("four"))
    await manager.save_checkpoint(session_id, {"said": 4}, checkpoint_id="four")
    return session_id


async def _said(manager: SessionManager, session_id: str, **window: Any) -> list[str]:
    return [one["content"] for one in await manager.messages(session_id, **window)]


async def _offset(manager: SessionManager, session_id: str, version: int) -> str:
    return (await anext(manager.history(session_id, from_version=version))).offset


async def test_a_fork_is_as_the_session_was(manager: SessionManager, origin: str) -> None:
    """State, metadata, user and agent are those of the moment, and it says where it came from."""
    fork = await manager.audit.fork(origin, at=6)
    assert (fork.user_id, fork.agent_id) == ("user_1", "assistant")
    assert (fork.state, fork.metadata) == (SessionState.IDLE, {"topic": "weather"})
    assert fork.forked_from is not None
    assert fork.forked_from.session_id == origin
    assert fork.forked_from.offset == await _offset(manager, origin, 6)
    assert await manager.get_session(fork.session_id) == fork
    assert fork.session_id in [one.session_id for one in await manager.get_sessions_by_user("user_1")]


async def test_its_first_event_says_where_it_came_from(manager: SessionManager, origin: str) -> None:
    """An ordinary session's does not, and is stored as it was before there were forks."""
    fork = await manager.audit.fork(origin, at=3)
    created = await anext(manager.history(fork.session_id))
    assert created.type == "session.created"
    assert created.data.forked_from == ForkedFrom(session_id=origin, offset=await _offset(manager, origin, 3))
    ordinary = await anext(manager.history(origin))
    assert b"forked_from" not in ordinary.raw


@pytest.mark.parametrize(("version", "said"), [(1, []), (2, ["one"]), (3, ["one", "two"]), (9, None)])
async def test_its_conversation_is_that_of_the_moment(
    manager: SessionManager, origin: str, version: int, said: list[str] | None
) -> None:
    """Whatever is said in the origin later."""
    fork = (await manager.audit.fork(origin, at=version)).session_id
    await manager.set_session_state(origin, "active")
    await manager.add_messages(origin, message("five"))
    expected = ["one", "two", "three", "four"] if said is None else said
    assert await _said(manager, fork) == expected
    await manager.add_messages(fork, message("other"))
    assert await _said(manager, fork) == [*expected, "other"]
    assert "other" not in await _said(manager, origin)


async def test_its_conversation_is_paged_across_the_border(manager: SessionManager, origin: str) -> None:
    """By number, and by offsets of the fork and of its origin."""
    fork = (await manager.audit.fork(origin, at=5)).session_id
    made = await manager.add_messages(fork, [message("a"), message("b")])
    assert await _said(manager, fork, limit=1) == ["b"]
    assert await _said(manager, fork, limit=3) == ["three", "a", "b"]
    assert await _said(manager, fork, before=made.offsets[1]) == ["one", "two", "three", "a"]
    assert await _said(manager, fork, before=made.offsets[0], limit=2) == ["two", "three"]
    assert await _said(manager, fork, before=await _offset(manager, origin, 5)) == ["one", "two"]
    assert await _said(manager, fork, before=await _offset(manager, origin, 3), limit=1) == ["one"]
    assert await _said(manager, fork, before=await _offset(manager, origin, 2)) == []


async def test_its_newest_messages_are_found_behind_an_offset(manager: SessionManager, origin: str) -> None:
    """Of the fork or of its origin; what lies before is not asked for, though it were gone."""
    fork = (await manager.audit.fork(origin, at=5)).session_id
    made = await manager.add_messages(fork, [message("a"), message("b")])
    second, third = [await _offset(manager, origin, version) for version in (3, 5)]
    await manager.store.server.call("XTRIM", manager.store.keys.events(origin), "MINID", second)

    async def behind(offset: str) -> list[str]:
        found = await newest_messages(manager.store, fork, after=offset)
        return [event.data.content for event in found]

    assert await behind(made.offsets[0]) == ["b"]
    assert await behind(third) == ["a", "b"]
    assert await behind(second) == ["three", "a", "b"]


async def test_a_fork_takes_back_what_its_origin_said(manager: SessionManager, origin: str) -> None:
    """For itself: the origin's conversation stays. What the origin had taken back is not there."""
    await manager.pop_messages(origin)
    fork = (await manager.audit.fork(origin, at=10)).session_id
    assert await _said(manager, fork) == ["one", "two", "three"]
    await manager.add_messages(fork, message("x"))
    assert [one["content"] for one in await manager.pop_messages(fork, 2)] == ["three", "x"]
    assert await _said(manager, fork) == ["one", "two"]
    assert await _said(manager, origin) == ["one", "two", "three"]


async def test_its_history_is_its_own(manager: SessionManager, origin: str) -> None:
    """Offsets are a session's own, so what the origin did is read there."""
    fork = (await manager.audit.fork(origin, at=6)).session_id
    await manager.append(fork, NoteAdded(text="x"))
    events = [event async for event in manager.history(fork)]
    assert [event.type for event in events] == [
        "session.created", "checkpoint.saved", "session.state_changed", "note.added",
    ]  # fmt: skip
    assert [event.version for event in events] == [1, 2, 3, 4]


async def test_it_has_the_checkpoint_of_the_moment(manager: SessionManager, origin: str) -> None:
    """With its data, which is its own from now on."""
    fork = (await manager.audit.fork(origin, at=6)).session_id
    await manager.clear_checkpoints(origin)
    checkpoint = await manager.get_latest_checkpoint(fork)
    assert checkpoint is not None
    assert (checkpoint.checkpoint_id, checkpoint.data, checkpoint.label) == ("two", {"said": 2}, "good")
    assert [one.checkpoint_id for one in await manager.list_checkpoints(fork)] == ["two"]


async def test_a_resume_goes_on_behind_the_checkpoint(manager: SessionManager, origin: str) -> None:
    """First what the origin did up to the moment, then what the fork did."""
    fork = (await manager.audit.fork(origin, at=6)).session_id
    await manager.append(fork, NoteAdded(text="x"))
    resumed = await manager.resume(fork)
    assert resumed.checkpoint is not None
    assert resumed.checkpoint.data == {"said": 2}
    assert [(event.session_id == fork, event.type) for event in resumed.events] == [
        (False, "message.added"),
        (False, "session.state_changed"),
        (True, "session.created"),
        (True, "session.state_changed"),
        (True, "note.added"),
    ]
    assert resumed.offset == resumed.events[-1].offset


async def test_a_resume_without_a_checkpoint_begins_with_the_origin(manager: SessionManager, origin: str) -> None:
    """The moment lies before any checkpoint, or that is deleted."""
    early = (await manager.audit.fork(origin, at=3)).session_id
    late = (await manager.audit.fork(origin, at=6)).session_id
    await manager.delete_checkpoint(late, "two")
    for fork, count in ((early, 3), (late, 6)):
        resumed = await manager.resume(fork)
        assert resumed.checkpoint is None
        assert [event.version for event in resumed.events if event.session_id == origin] == list(range(1, count + 1))


async def test_a_checkpoint_of_its_own_covers_the_origin_too(
    manager: SessionManager, open_manager: OpenManager, origin: str
) -> None:
    """Of one who had resumed; one who knew nothing of it is given all of it again."""
    fork = (await manager.audit.fork(origin, at=6)).session_id
    stranger, resuming = open_manager(), open_manager()
    await stranger.save_checkpoint(fork, {"by": "a stranger"})
    assert len([event for event in (await manager.resume(fork)).events if event.session_id == origin]) == 6
    await resuming.resume(fork)
    await resuming.save_checkpoint(fork, {"by": "one who knows"})
    resumed = await manager.resume(fork)
    assert resumed.checkpoint is not None
    assert resumed.checkpoint.data == {"by": "one who knows"}
    assert resumed.events == []


async def test_who_has_the_checkpoint_knows_all_that_it_covers(open_manager: OpenManager, origin: str) -> None:
    """In a fork of just that moment nothing is missing; in a later one what came between is given again."""
    manager = open_manager()
    for version, again in ((4, 0), (6, 6)):
        fork = (await manager.audit.fork(origin, at=version)).session_id
        agent = open_manager()
        await agent.get_latest_checkpoint(fork)
        await agent.add_messages(fork, message("x"))
        await agent.save_checkpoint(fork, {"said": "x"})
        resumed = await manager.resume(fork)
        assert len([event for event in resumed.events if event.session_id == origin]) == again


async def test_a_checkpoint_that_was_deleted_since_is_left_out(manager: SessionManager, origin: str) -> None:
    """Then it is the one before it whose data is kept, or none."""
    await manager.delete_checkpoint(origin, "four")
    fork = (await manager.audit.fork(origin, at=9)).session_id
    checkpoint = await manager.get_latest_checkpoint(fork)
    assert checkpoint is not None
    assert checkpoint.checkpoint_id == "two"
    await manager.clear_checkpoints(origin)
    bare = (await manager.audit.fork(origin, at=9)).session_id
    assert await manager.get_latest_checkpoint(bare) is None
    resumed = await manager.resume(bare)
    assert [event.version for event in resumed.events if event.session_id == origin] == list(range(1, 10))


async def test_a_later_checkpoint_with_the_same_id_is_not_taken_for_it(manager: SessionManager, origin: str) -> None:
    """It was deleted, and its id used again: the fork has the one before it."""
    await manager.delete_checkpoint(origin, "four")
    await manager.save_checkpoint(origin, {"said": 9}, checkpoint_id="four")
    fork = (await manager.audit.fork(origin, at=9)).session_id
    checkpoint = await manager.get_latest_checkpoint(fork)
    assert checkpoint is not None
    assert checkpoint.checkpoint_id == "two"


async def test_an_altered_checkpoint_is_not_copied(manager: SessionManager, origin: str, client: Redis) -> None:
    """It would look as if the fork had saved that."""
    await client.hset(manager.store.keys.bodies(origin), "four", '{"said":5}')
    with pytest.raises(CorruptEvent, match="not the one that was saved"):
        await manager.audit.fork(origin, at=9)


async def test_what_is_given_is_the_forks(manager: SessionManager, origin: str) -> None:
    """User, agent, metadata and time to live instead of the origin's."""
    fork = await manager.audit.fork(
        origin, at=8, user_id="auditor", agent_id="replayer", metadata={"why": "review"}, ttl=60
    )
    assert (fork.user_id, fork.agent_id, fork.metadata) == ("auditor", "replayer", {"why": "review"})
    assert fork.expires_at is not None
    assert (fork.expires_at - fork.created_at).total_seconds() == 60
    assert [one.session_id for one in await manager.get_sessions_by_user("auditor")] == [fork.session_id]


async def test_a_time_to_live_begins_anew(open_manager: OpenManager) -> None:
    """The origin's own, and sliding if it did."""
    manager = open_manager(ttl=60, extend_on="append")
    origin = await manager.create_session("user_1", "assistant")
    fork = await manager.audit.fork(origin.session_id, at=1)
    assert fork.expires_at is not None
    assert (fork.expires_at - fork.created_at).total_seconds() == 60
    assert (await anext(manager.history(fork.session_id))).data.sliding
    forever = await manager.audit.fork(origin.session_id, at=1, ttl=None)
    assert forever.expires_at is None


async def test_the_same_fork_again_is_the_same_session(manager: SessionManager, origin: str) -> None:
    """Under an id of the caller's own; one that is somebody else's is refused."""
    first = await manager.audit.fork(origin, at=6, new_session_id="mine")
    await manager.add_messages("mine", message("x"))
    assert await manager.audit.fork(origin, at=6, new_session_id="mine") == first
    with pytest.raises(IdempotencyConflict):
        await manager.audit.fork(origin, at=7, new_session_id="mine")
    with pytest.raises(SessionExists):
        await manager.audit.fork(origin, at=6, new_session_id=origin)


async def test_what_has_ended_can_be_forked(manager: SessionManager, origin: str) -> None:
    """It goes on where it was, or ACTIVE if it was over by then."""
    await manager.delete_session(origin)
    alive = await manager.audit.fork(origin, at=6)
    over = await manager.audit.fork(origin, at=10)
    assert (alive.state, over.state) == (SessionState.IDLE, SessionState.ACTIVE)
    assert await _said(manager, over.session_id) == ["one", "two", "three", "four"]
    await manager.add_messages(over.session_id, message("on"))


async def test_an_archived_session_is_forked_archived(manager: SessionManager, origin: str) -> None:
    """Its state is that of the moment."""
    await manager.set_session_state(origin, "archived")
    assert (await manager.audit.fork(origin, at=10)).state is SessionState.ARCHIVED


async def test_before_its_creation_there_was_nothing_to_fork(manager: SessionManager, origin: str) -> None:
    """Nor of a session that never was."""
    with pytest.raises(SessionNotFound):
        await manager.audit.fork(origin, at="1-1")
    with pytest.raises(SessionNotFound):
        await manager.audit.fork("nobody", at=1)
    assert await manager.get_total_session_count() == 1


async def test_bad_input_is_refused_before_anything_is_written(manager: SessionManager, origin: str) -> None:
    """A malformed id, metadata that JSON would change, a time to live that is none."""
    wrong: list[dict[str, Any]] = [
        {"new_session_id": ""}, {"user_id": ""}, {"agent_id": 5}, {"metadata": {"a": {1}}}, {"ttl": -1}, {"at": 1.5},
    ]  # fmt: skip
    for one in wrong:
        with pytest.raises(InvalidArgument):
            await manager.audit.fork(origin, **{"at": 6, **one})
    assert await manager.get_total_session_count() == 1


async def test_its_origin_may_not_be_changed(manager: SessionManager, origin: str) -> None:
    """It belongs to what a session is."""
    fork = await manager.audit.fork(origin, at=6)
    fork.forked_from = None
    with pytest.raises(InvalidArgument, match="forked_from"):
        await manager.update_session(fork.session_id, fork)


async def test_a_rebuild_makes_it_once_more(manager: SessionManager, origin: str) -> None:
    """Where it came from is a view of its first event."""
    fork = await manager.audit.fork(origin, at=6)
    await manager.store.server.call("HDEL", manager.store.keys.head(fork.session_id), "forked_from", "m:topic")
    await manager.rebuild(fork.session_id)
    assert await manager.get_session(fork.session_id) == fork
    assert (await manager.audit.as_of(fork.session_id, 3)).session == fork


async def test_nothing_of_the_past_is_copied(manager: SessionManager, session_id: str, client: Redis) -> None:
    """A fork of a long session is as small as one of a short one."""
    await talk(manager, session_id, 3_000)
    await bases_of(manager, session_id)
    fork = (await manager.audit.fork(session_id, at=2_950)).session_id
    assert await client.xlen(manager.store.keys.events(fork)) == 1
    assert len(await manager.messages(fork)) == 2_949
