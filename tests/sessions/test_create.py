"""Sessions begin: ids, times to live, idempotency keys, and ids that are taken (G4, G12)."""

from __future__ import annotations

import asyncio
import math
from datetime import timedelta
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import IdempotencyConflict, SessionExists, SessionManager
from sessionstream.errors import InvalidArgument, InvalidType
from tests.sessions.conftest import Dump, MakeManager
from tests.sessions.waiting import expired_session


async def test_ids_are_made_where_none_is_given(manager: SessionManager) -> None:
    """They begin with ``sess_``, and no two are alike."""
    sessions = await asyncio.gather(*(manager.create_session("user_1", "agent_1") for _ in range(50)))
    ids = {session.session_id for session in sessions}
    assert len(ids) == 50
    assert all(session_id.startswith("sess_") for session_id in ids)


async def test_an_id_may_be_given(manager: SessionManager) -> None:
    """The session is found under it."""
    await manager.create_session("user_1", "agent_1", session_id="my own")
    assert await manager.session_exists("my own")


@pytest.mark.parametrize(
    ("given", "seconds"), [({}, 3600), ({"ttl": 60}, 60), ({"ttl": 0.5}, 0.5), ({"ttl": None}, None)]
)
async def test_the_time_to_live_is_the_managers_unless_it_is_given(
    make_manager: MakeManager, given: dict[str, Any], seconds: float | None
) -> None:
    """In seconds; None does not expire."""
    session = await make_manager(ttl=3600).create_session("user_1", "agent_1", **given)
    expected = None if seconds is None else session.created_at + timedelta(seconds=seconds)
    assert session.expires_at == expected


_HUGE = pytest.param(10**400, id="huge")


@pytest.mark.parametrize("ttl", [0, -1, math.nan, math.inf, 0.0001, 1e12, _HUGE])
async def test_a_time_to_live_that_is_none_is_refused(manager: SessionManager, dump: Dump, ttl: float) -> None:
    """Too short, too long or no number: nothing is written."""
    before = await dump()
    with pytest.raises(InvalidArgument, match="ttl"):
        await manager.create_session("user_1", "agent_1", ttl=ttl)
    assert await dump() == before


@pytest.mark.parametrize("ttl", ["60", True, timedelta(seconds=60)])
async def test_a_time_to_live_of_another_type_is_refused(manager: SessionManager, ttl: Any) -> None:
    """Seconds are a number."""
    with pytest.raises(InvalidType, match="ttl"):
        await manager.create_session("user_1", "agent_1", ttl=ttl)


async def test_the_same_key_gives_the_same_session_again(manager: SessionManager, make_manager: MakeManager) -> None:
    """From whichever process it comes, and nothing is appended."""
    first = await manager.create_session("user_1", "agent_1", {"a": 1, "b": 2}, idempotency_key="request 7")
    again = await make_manager().create_session("user_1", "agent_1", {"b": 2, "a": 1}, idempotency_key="request 7")
    assert again == first
    assert [event.type async for event in manager.history(first.session_id)] == ["session.created"]
    assert len(await manager.get_sessions_by_user("user_1")) == 1


async def test_the_same_key_at_the_same_time_makes_one_session(make_manager: MakeManager) -> None:
    """Ten callers from two processes are given one session."""
    managers = [make_manager(), make_manager()]
    sessions = await asyncio.gather(
        *(managers[n % 2].create_session("user_1", "agent_1", idempotency_key="once") for n in range(10))
    )
    assert len({session.session_id for session in sessions}) == 1
    assert await managers[0].get_total_session_count() == 1


async def test_another_key_makes_another_session(manager: SessionManager) -> None:
    """The arguments alone do not make it the same."""
    one = await manager.create_session("user_1", "agent_1", idempotency_key="1")
    other = await manager.create_session("user_1", "agent_1", idempotency_key="2")
    assert one.session_id != other.session_id


@pytest.mark.parametrize(
    "changed", [{"user_id": "user_2"}, {"agent_id": "agent_2"}, {"metadata": {"a": 2}}, {"ttl": 60}]
)
async def test_the_same_key_with_other_arguments_is_an_error(manager: SessionManager, changed: dict[str, Any]) -> None:
    """The session stays as it was."""
    given: dict[str, Any] = {"user_id": "user_1", "agent_id": "agent_1", "metadata": {"a": 1}, "idempotency_key": "k"}
    session = await manager.create_session(**given)
    with pytest.raises(IdempotencyConflict, match="'k'") as caught:
        await manager.create_session(**{**given, **changed})
    assert isinstance(caught.value, ValueError)
    assert await manager.get_session(session.session_id) == session
    assert await manager.get_sessions_by_user("user_2") == []


async def test_an_id_and_a_key_may_be_given_together(manager: SessionManager) -> None:
    """A retry gives the session; without the key the id is taken."""
    given: dict[str, Any] = {"user_id": "user_1", "agent_id": "agent_1", "session_id": "sess_1"}
    session = await manager.create_session(**given, idempotency_key="k")
    assert await manager.create_session(**given, idempotency_key="k") == session
    with pytest.raises(SessionExists):
        await manager.create_session(**given)


@pytest.mark.parametrize("state", ["active", "idle", "archived", "expired", "deleted"])
async def test_an_id_that_is_in_use_or_still_kept_is_taken(manager: SessionManager, state: str) -> None:
    """Alive or ended, it names one session for as long as that one's history is kept."""
    await manager.create_session("user_1", "agent_1", session_id="sess_1")
    if state == "deleted":
        await manager.delete_session("sess_1")
    else:
        await manager.set_session_state("sess_1", state)
    history = [event.offset async for event in manager.history("sess_1")]
    with pytest.raises(SessionExists, match="sess_1") as caught:
        await manager.create_session("user_2", "agent_2", session_id="sess_1")
    assert isinstance(caught.value, ValueError)
    assert caught.value.session_id == "sess_1"
    assert [event.offset async for event in manager.history("sess_1")] == history
    assert await manager.get_sessions_by_user("user_2") == []


async def test_the_id_of_a_session_whose_time_is_over_is_taken_before_any_sweep(
    manager: SessionManager, client: Redis
) -> None:
    """It has expired, and is kept."""
    session = await expired_session(manager, client)
    with pytest.raises(SessionExists):
        await manager.create_session("user_1", "agent_1", session_id=session.session_id)


async def test_one_of_many_gets_an_id_that_all_want(make_manager: MakeManager) -> None:
    """The others are told that it is taken."""
    managers = [make_manager() for _ in range(4)]
    wanted = [managers[n % 4].create_session(f"user_{n}", "agent_1", session_id="sess_1") for n in range(12)]
    given = await asyncio.gather(*wanted, return_exceptions=True)
    [winner] = [one for one in given if not isinstance(one, BaseException)]
    assert sum(isinstance(one, SessionExists) for one in given) == 11
    assert await managers[0].get_session("sess_1") == winner


async def test_metadata_is_taken_as_it_is_when_create_is_called(manager: SessionManager) -> None:
    """The caller may go on changing it while the session is being created."""
    given = {"list": [1]}

    async def change() -> None:
        given["list"].append(2)

    session, _ = await asyncio.gather(manager.create_session("user_1", "agent_1", given), change())
    assert given == {"list": [1, 2]}
    kept = await manager.get_session(session.session_id)
    assert kept is not None
    assert kept.metadata == session.metadata == {"list": [1]}
