"""Sessions are listed: a user's, and all that are active; newest first, page by page (G13)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import Session, SessionManager, SessionNotFound
from sessionstream.directory.listing import active_sessions
from sessionstream.errors import InvalidArgument
from tests.sessions.conftest import MakeManager
from tests.sessions.waiting import expired_session, until_past

pytestmark = pytest.mark.guarantee


async def _one_after_the_other(manager: SessionManager, count: int) -> list[Session]:
    return [await manager.create_session("user_1", "agent_1", {"n": n}) for n in range(count)]


async def test_the_newest_comes_first(manager: SessionManager) -> None:
    """Also among sessions that were created within one millisecond."""
    created = await _one_after_the_other(manager, 130)
    assert await manager.get_sessions_by_user("user_1") == created[::-1]


async def test_only_the_users_own_are_listed(manager: SessionManager) -> None:
    """A user without any has an empty list."""
    mine = await manager.create_session("user_1", "agent_1")
    await manager.create_session("user_2", "agent_1")
    assert await manager.get_sessions_by_user("user_1") == [mine]
    assert await manager.get_sessions_by_user("user_3") == []


async def test_a_list_is_limited(manager: SessionManager) -> None:
    """To the newest so many; a larger limit than there are gives all."""
    created = await _one_after_the_other(manager, 5)
    for limit in (0, 1, 4, 5, 6):
        assert await manager.get_sessions_by_user("user_1", limit=limit) == created[::-1][:limit]


async def test_a_list_goes_on_after_a_session_or_its_id(manager: SessionManager) -> None:
    """Pages of any size together are the whole list, none twice and none missing."""
    created = await _one_after_the_other(manager, 23)
    for by_id in (False, True):
        listed: list[Session] = []
        after: Session | str | None = None
        while page := await manager.get_sessions_by_user("user_1", limit=5, after=after):
            listed += page
            after = page[-1].session_id if by_id else page[-1]
        assert listed == created[::-1]


@pytest.mark.parametrize("user_id", [f"user_{number}" for number in range(5)])
async def test_pages_go_on_though_every_session_of_a_page_is_deleted(manager: SessionManager, user_id: str) -> None:
    """The last one of a page still says where the next begins, even among sessions of one millisecond."""
    await asyncio.gather(*(manager.create_session(user_id, "agent_1") for _ in range(60)))
    seen: list[str] = []
    after: Session | None = None
    while page := await manager.get_sessions_by_user(user_id, limit=7, after=after):
        seen += [session.session_id for session in page]
        for session in page:
            assert await manager.delete_session(session.session_id)
        after = page[-1]
    assert len(seen) == len(set(seen)) == 60


async def test_a_list_does_not_go_on_after_what_is_unknown(manager: SessionManager) -> None:
    """Where that would be is not guessed."""
    await manager.create_session("user_1", "agent_1")
    with pytest.raises(SessionNotFound, match="sess_unknown"):
        await manager.get_sessions_by_user("user_1", after="sess_unknown")


@pytest.mark.parametrize("limit", [-1, "5", 1.5, True])
async def test_a_limit_is_a_number_from_0(manager: SessionManager, limit: Any) -> None:
    """Anything else is an error."""
    with pytest.raises(InvalidArgument, match="limit"):
        await manager.get_sessions_by_user("user_1", limit=limit)


async def test_ended_sessions_are_not_listed(manager: SessionManager, client: Redis) -> None:
    """Deleted, set to EXPIRED, expired and not swept: what is left is alive, in whichever state."""
    ids = [session.session_id for session in await _one_after_the_other(manager, 4)]
    await expired_session(manager, client)
    await manager.delete_session(ids[0])
    await manager.set_session_state(ids[1], "expired")
    await manager.set_session_state(ids[2], "archived")
    assert [session.session_id for session in await manager.get_sessions_by_user("user_1")] == [ids[3], ids[2]]


async def test_a_limit_counts_only_what_is_listed(manager: SessionManager) -> None:
    """Ended ones among the newest take no place."""
    created = await _one_after_the_other(manager, 20)
    for session in created[5:]:
        await manager.delete_session(session.session_id)
    assert await manager.get_sessions_by_user("user_1", limit=3) == created[:5][:1:-1]


async def test_a_session_is_listed_as_soon_as_it_is_created(make_manager: MakeManager) -> None:
    """By every process: nothing is indexed later."""
    one, other = make_manager(), make_manager()
    for _ in range(20):
        session = await one.create_session("user_1", "agent_1")
        assert (await other.get_sessions_by_user("user_1", limit=1)) == [session]
        assert session in await other.get_all_active_sessions()


async def test_all_active_sessions_of_all_users_newest_first(manager: SessionManager, client: Redis) -> None:
    """Idle and archived ones, and those whose time is over, are none; from every partition."""
    created = []
    for number in range(40):
        created.append(await manager.create_session(f"user_{number}", "agent_1"))
        await until_past(client, created[-1].created_at)
    await manager.set_session_state(created[3].session_id, "idle")
    await manager.set_session_state(created[7].session_id, "archived")
    await manager.delete_session(created[9].session_id)
    await expired_session(manager, client)
    left = [session for number, session in enumerate(created) if number not in (3, 7, 9)]
    assert await manager.get_all_active_sessions() == left[::-1]


async def test_more_active_sessions_than_a_page_holds(make_manager: MakeManager) -> None:
    """In one partition, many of one millisecond: each is there once."""
    manager = make_manager(partitions=1)
    created = await asyncio.gather(*(manager.create_session("user_1", "agent_1", ttl=60) for _ in range(650)))
    listed = await manager.get_all_active_sessions()
    assert len(listed) == 650
    assert {session.session_id for session in listed} == {session.session_id for session in created}
    assert listed == sorted(listed, key=lambda session: session.created_at, reverse=True)


async def test_a_session_that_is_refreshed_meanwhile_is_listed_once(make_manager: MakeManager) -> None:
    """The list is read page by page, in the order of expiry, and a refresh moves the session behind the others."""
    manager = make_manager(partitions=1, ttl=60)
    for _ in range(201):
        await manager.create_session("user_1", "agent_1")
    listed = []
    async for session in active_sessions(manager.store):
        if not listed:
            await manager.refresh_session(session.session_id)
        listed.append(session.session_id)
    assert len(listed) == len(set(listed)) == 201


async def test_many_sessions_that_never_expire_are_each_listed_once(manager: SessionManager) -> None:
    """They all have one score in the index of active sessions, over several pages."""
    made = await asyncio.gather(*(manager.create_session("user_1", "agent_1", ttl=None) for _ in range(700)))
    listed = [session.session_id for session in await manager.get_all_active_sessions()]
    assert len(listed) == 700
    assert set(listed) == {session.session_id for session in made}
