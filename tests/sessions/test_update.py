"""`update_session`: what the caller changed is appended, and nothing that somebody else changed is lost (G6)."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import datetime, timedelta
from typing import Any

import pytest

from sessionstream import Session, SessionEnded, SessionManager, SessionNotFound, SessionState
from sessionstream.errors import InvalidArgument, InvalidData
from tests.sessions.conftest import Dump, events_since, read_session


async def test_only_the_difference_is_appended(manager: SessionManager, session: Session) -> None:
    """Changed and new keys are set, absent ones removed; the others are not mentioned."""
    session.metadata["count"] = 2
    session.metadata["new"] = None
    del session.metadata["language"]
    await manager.update_session("sess_1", session)
    [event] = await events_since(manager)
    assert (event.set, event.unset) == ({"count": 2, "new": None}, ["language"])
    assert (await read_session(manager)).metadata == {"count": 2, "list": [1], "new": None}


async def test_a_change_deep_inside_is_a_difference(manager: SessionManager, session: Session) -> None:
    """A list that was changed in place is set as a whole."""
    session.metadata["list"].append(2)
    await manager.update_session("sess_1", session)
    [event] = await events_since(manager)
    assert event.set == {"list": [1, 2]}


@pytest.mark.parametrize("value", [True, 1.0])
async def test_another_type_of_an_equal_value_is_a_difference(
    manager: SessionManager, session: Session, value: Any
) -> None:
    """Python holds 1, 1.0 and True equal; JSON does not, and what is read is what was given."""
    session.metadata["count"] = value
    await manager.update_session("sess_1", session)
    assert type((await read_session(manager)).metadata["count"]) is type(value)


async def test_no_difference_appends_nothing(manager: SessionManager, session: Session, dump: Dump) -> None:
    """Though somebody else has changed the session meanwhile: that is not undone."""
    await manager.update_session_metadata("sess_1", {"count": 7})
    before = await dump()
    await manager.update_session("sess_1", session)
    assert await dump() == before


async def test_the_session_is_given_back_as_it_is_then(manager: SessionManager, session: Session) -> None:
    """And the one that was given is brought up to it, so that it can be changed and given again."""
    session.metadata["count"] = 2
    after = await manager.update_session("sess_1", session)
    assert after == session == await read_session(manager)
    assert after.version == 2
    session.metadata["count"] = 3
    await manager.update_session("sess_1", session)
    assert (await read_session(manager)).metadata["count"] == 3


@pytest.mark.parametrize("name", ["session_id", "user_id", "agent_id"])
async def test_identity_cannot_be_changed(manager: SessionManager, session: Session, dump: Dump, name: str) -> None:
    """It is an error, not a silent loss of the change."""
    before = await dump()
    with pytest.raises(InvalidArgument, match=name):
        await manager.update_session("sess_1", dataclasses.replace(session, **{name: "another"}))
    assert await dump() == before


async def test_the_time_of_creation_cannot_be_changed(manager: SessionManager, session: Session) -> None:
    """It is part of what the session is."""
    session.created_at += timedelta(seconds=1)
    with pytest.raises(InvalidArgument, match="created_at"):
        await manager.update_session("sess_1", session)


async def test_a_session_is_not_another_one(manager: SessionManager, session: Session) -> None:
    """The id and the session have to agree."""
    await manager.create_session("user_1", "agent_1", session_id="sess_2")
    session.metadata["count"] = 2
    with pytest.raises(InvalidArgument, match="session_id"):
        await manager.update_session("sess_2", session)


@pytest.mark.parametrize("given", [None, {"metadata": {}}, "sess_1"])
async def test_what_is_no_session_is_a_type_error(manager: SessionManager, session: Session, given: Any) -> None:
    """None comes of an update function that forgets to return."""
    with pytest.raises(TypeError, match="Session"):
        await manager.update_session("sess_1", given)


async def test_the_state_is_changed(manager: SessionManager, session: Session) -> None:
    """By an event of its own, in the same step as the metadata."""
    session.state = SessionState.ARCHIVED
    session.metadata["why"] = "done"
    await manager.update_session("sess_1", session)
    events = [(event.type, event.at) async for event in manager.history("sess_1", from_version=2)]
    assert [kind for kind, _ in events] == ["session.metadata_updated", "session.state_changed"]
    assert events[0][1] == events[1][1]
    assert await manager.get_session_state("sess_1") is SessionState.ARCHIVED


async def test_a_session_is_not_ended_by_an_update(manager: SessionManager, session: Session) -> None:
    """There are methods for that."""
    session.state = SessionState.EXPIRED
    with pytest.raises(InvalidArgument, match="state"):
        await manager.update_session("sess_1", session)
    assert await manager.session_exists("sess_1")


@pytest.mark.parametrize("hours", [0.5, 2, None])
async def test_the_expiry_is_changed(manager: SessionManager, session: Session, hours: float | None) -> None:
    """To an earlier moment, to a later one, or to none; to within the time that the call takes."""
    wanted = None if hours is None else session.created_at + timedelta(hours=hours)
    session.expires_at = wanted
    after = await manager.update_session("sess_1", session)
    if wanted is None:
        assert after.expires_at is None
    else:
        assert after.expires_at is not None
        assert timedelta(0) <= after.expires_at - wanted < timedelta(seconds=5)
    assert (await read_session(manager)).expires_at == after.expires_at == session.expires_at
    assert [event.type async for event in manager.history("sess_1")] == ["session.created", "session.refreshed"]


async def test_an_expiry_that_is_past_or_naive_is_refused(
    manager: SessionManager, session: Session, dump: Dump
) -> None:
    """What it would mean is not guessed."""
    before = await dump()
    for moment in (session.created_at - timedelta(seconds=1), datetime.now() + timedelta(hours=1)):
        session.expires_at = moment
        with pytest.raises(InvalidArgument, match="expires_at"):
            await manager.update_session("sess_1", session)
    assert await dump() == before


async def test_metadata_that_json_would_change_is_refused(
    manager: SessionManager, session: Session, dump: Dump
) -> None:
    """With its path, and nothing is written."""
    before = await dump()
    session.metadata["list"] = [1, {"deep": (1, 2)}]
    with pytest.raises(InvalidData, match=r"list\[1\]\.deep"):
        await manager.update_session("sess_1", session)
    assert await dump() == before


async def test_a_session_made_by_hand_is_compared_with_what_is(manager: SessionManager, session: Session) -> None:
    """It was never read, so all of it is meant."""
    mine = Session("sess_1", "user_1", "agent_1", session.created_at, session.expires_at, {"count": 5})
    await manager.update_session("sess_1", mine)
    assert (await read_session(manager)).metadata == {"count": 5}


async def test_the_session_may_be_changed_while_it_is_written(manager: SessionManager, session: Session) -> None:
    """What was given is taken as it was at the call."""

    async def change() -> None:
        session.metadata["list"].append("late")

    session.metadata["list"].append("in time")
    await asyncio.gather(manager.update_session("sess_1", session), change())
    assert (await read_session(manager)).metadata["list"] == [1, "in time"]


async def test_a_session_that_is_not_there_cannot_be_updated(manager: SessionManager, session: Session) -> None:
    """A deleted one has ended, and an unknown one is not found."""
    await manager.delete_session("sess_1")
    session.metadata["count"] = 2
    with pytest.raises(SessionEnded, match="deleted"):
        await manager.update_session("sess_1", session)
    with pytest.raises(SessionNotFound):
        await manager.update_session("sess_2", dataclasses.replace(session, session_id="sess_2"))
