"""`restore_or_create_session`: the newest session, or a new one; one, however many ask at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import SessionManager, SessionState
from sessionstream.errors import InvalidArgument, InvalidData
from sessionstream.recipes import restore_or_create_session
from tests.recipes.conftest import MakeActor, MakeManager
from tests.sessions.waiting import expired_session


async def _listed(manager: SessionManager) -> list[str]:
    return [session.session_id for session in await manager.get_sessions_by_user("user_1")]


async def test_without_a_session_one_is_created(manager: SessionManager) -> None:
    """With the options that were given, and it is found like any other."""
    made = await restore_or_create_session(manager, "user_1", "agent_1", metadata={"a": 1}, ttl=60)
    assert (made.user_id, made.agent_id, made.metadata) == ("user_1", "agent_1", {"a": 1})
    assert made.expires_at is not None
    assert await manager.get_session(made.session_id) == made
    assert await _listed(manager) == [made.session_id]


async def test_the_manager_s_ttl_is_the_default(make_manager: MakeManager) -> None:
    """As for any other session."""
    made = await restore_or_create_session(make_manager(ttl=60), "user_1", "agent_1")
    assert made.expires_at is not None
    assert (made.expires_at - made.created_at).total_seconds() == 60


async def test_the_newest_session_is_restored(manager: SessionManager) -> None:
    """Of the user and of the agent; the options are for a new one only."""
    for session_id, user_id, agent_id in [
        ("sess_1", "user_1", "agent_1"),
        ("sess_2", "user_1", "agent_1"),
        ("sess_3", "user_1", "agent_2"),
        ("sess_4", "user_2", "agent_1"),
    ]:
        await manager.create_session(user_id, agent_id, session_id=session_id)
    restored = await restore_or_create_session(manager, "user_1", "agent_1", metadata={"a": 1})
    assert restored == await manager.get_session("sess_2")


async def test_an_idle_session_is_restored(manager: SessionManager) -> None:
    """It is neither archived nor over."""
    await manager.create_session("user_1", "agent_1", session_id="sess_1")
    await manager.set_session_state("sess_1", "idle")
    assert (await restore_or_create_session(manager, "user_1", "agent_1")).session_id == "sess_1"


async def test_an_archived_session_is_passed_over(manager: SessionManager) -> None:
    """An older one that is not archived is restored instead, and none is created."""
    for session_id in ("sess_1", "sess_2"):
        await manager.create_session("user_1", "agent_1", session_id=session_id)
    await manager.set_session_state("sess_2", "archived")
    assert (await restore_or_create_session(manager, "user_1", "agent_1")).session_id == "sess_1"
    assert await _listed(manager) == ["sess_2", "sess_1"]


@pytest.mark.parametrize("end", ["delete", "purge", "archive", "expire"])
async def test_a_new_session_follows_one_that_is_over(manager: SessionManager, end: str) -> None:
    """Again and again: each time another id."""
    made: list[str] = []
    for _ in range(5):
        session = await restore_or_create_session(manager, "user_1", "agent_1")
        assert session.state is SessionState.ACTIVE
        made.append(session.session_id)
        if end == "archive":
            await manager.set_session_state(session.session_id, "archived")
        elif end == "expire":
            await manager.set_session_state(session.session_id, "expired")
        else:
            await manager.delete_session(session.session_id, purge=end == "purge")
    assert len(set(made)) == 5


async def test_a_session_whose_time_is_over_is_not_restored(manager: SessionManager, client: Redis) -> None:
    """Nobody has swept it yet."""
    over = await expired_session(manager, client)
    assert (await restore_or_create_session(manager, "user_1", "agent_1")).session_id != over.session_id


async def test_many_tasks_get_one_session(make_manager: MakeManager) -> None:
    """Four managers with connections of their own, 25 tasks each; also after that session has ended, and again."""
    managers = [make_manager() for _ in range(4)]
    seen = set()
    for _ in range(10):
        sessions = await asyncio.gather(
            *(restore_or_create_session(manager, "user_1", "agent_1") for manager in managers for _ in range(25))
        )
        assert len({session.session_id for session in sessions}) == 1
        assert await _listed(managers[0]) == [sessions[0].session_id]
        seen.add(sessions[0].session_id)
        await managers[0].delete_session(sessions[0].session_id, purge=True)
    assert len(seen) == 10


async def test_many_processes_get_one_session(manager: SessionManager, make_actor: MakeActor) -> None:
    """Four processes ask at once, for one session after the other."""
    actors = [await make_actor() for _ in range(4)]
    for _ in range(20):
        for actor in actors:
            actor.say("restore", "user_1", "agent_1")
        found = {await actor.hear() for actor in actors}
        assert len(found) == 1
        assert await _listed(manager) == list(found)
        await manager.delete_session(found.pop())


async def test_agents_do_not_disturb_one_another(make_manager: MakeManager) -> None:
    """Ten agents of one user, ten tasks each: ten sessions."""
    managers = [make_manager() for _ in range(2)]
    agents = [f"agent_{number}" for number in range(10)]
    sessions = await asyncio.gather(
        *(restore_or_create_session(managers[n % 2], "user_1", agent) for n in range(10) for agent in agents)
    )
    assert len({session.session_id for session in sessions}) == 10
    assert {(session.session_id, session.agent_id) for session in sessions} == {
        (session.session_id, session.agent_id) for session in await managers[0].get_sessions_by_user("user_1")
    }


async def test_creating_sessions_beside_does_not_disturb_it(make_manager: MakeManager) -> None:
    """The user's list changes all the time, and one session with the agent is made nevertheless."""
    asking, creating = make_manager(), make_manager()
    created = asyncio.gather(*(creating.create_session("user_1", "agent_2") for _ in range(200)))
    sessions = await asyncio.gather(*(restore_or_create_session(asking, "user_1", "agent_1") for _ in range(20)))
    await created
    assert len({session.session_id for session in sessions}) == 1


async def test_a_claim_whose_maker_died_is_taken_up(manager: SessionManager, make_manager: MakeManager) -> None:
    """Nothing but the claim was left: the next two who ask create that session, once."""

    class Dying(SessionManager):
        async def create_session(self, *args: Any, **options: Any) -> Any:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await restore_or_create_session(make_manager(Dying), "user_1", "agent_1")
    [claim] = await manager.store.server.call("ZRANGE", manager.store.keys.user("user_1"), 0, -1)
    other = await restore_or_create_session(manager, "user_1", "agent_2")
    found = await asyncio.gather(*(restore_or_create_session(manager, "user_1", "agent_1") for _ in range(2)))
    assert {session.session_id for session in found} == {claim.decode()}
    assert await _listed(manager) == [claim.decode(), other.session_id]


@pytest.mark.parametrize(
    ("given", "options", "error"),
    [
        (("", "agent_1"), {}, InvalidArgument),
        (("user_1", ""), {}, InvalidArgument),
        (("user_1", "agent_1"), {"metadata": {"a": {1, 2}}}, InvalidData),
        (("user_1", "agent_1"), {"metadata": [1]}, InvalidArgument),
        (("user_1", "agent_1"), {"ttl": -1}, InvalidArgument),
    ],
)
async def test_bad_arguments_are_refused_before_anything_is_written(
    manager: SessionManager, client: Redis, given: tuple[str, str], options: dict[str, Any], error: type[Exception]
) -> None:
    """Not even a claim is left."""
    with pytest.raises(error):
        await restore_or_create_session(manager, *given, **options)
    assert await client.dbsize() == 0
