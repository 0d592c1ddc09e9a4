"""What is done beside a change, for another occasion if need be, never makes the change look as if it had failed.

G5.
"""

from __future__ import annotations

from binascii import crc32
from collections.abc import AsyncIterator, Callable

import pytest
from redis.asyncio import Redis

from sessionstream.manager import SessionManager
from tests.servers import Server

# One create of 32 does some housekeeping; this session's does.
TIDY = next(name for name in (f"s{number}" for number in range(1000)) if crc32(name.encode()) % 32 == 0)


@pytest.fixture
async def own_server(make_server: Callable[..., Server]) -> Server:
    """A server whose users may be told what they may do."""
    return make_server()


@pytest.fixture
async def admin(own_server: Server) -> AsyncIterator[Redis]:
    """The user who may do everything."""
    async with Redis.from_url(own_server.url) as client:
        yield client


def as_worker(server: Server) -> SessionManager:
    """Return a manager of the user ``worker``."""
    return SessionManager(url=f"redis://worker:pw@127.0.0.1:{server.port}/0", namespace="h", partitions=1)


async def test_a_create_is_no_failure_when_the_housekeeping_after_it_is(own_server: Server, admin: Redis) -> None:
    """The session is there, and its creator is told so."""
    await admin.execute_command("ACL", "SETUSER", "worker", "on", ">pw", "~*", "&*", "+@all", "-zrangebyscore")
    async with as_worker(own_server) as manager:
        await manager.create_session("user", "agent", session_id=TIDY)
        assert await manager.session_exists(TIDY)


async def test_a_delete_is_no_failure_when_the_user_s_list_is_out_of_reach(own_server: Server, admin: Redis) -> None:
    """The session is over, and whoever deleted it is told so; the list's readers pass over it."""
    async with SessionManager(url=own_server.url, namespace="h", partitions=1) as manager:
        await manager.create_session("user", "agent", session_id="session")
        patterns = ["~h:{0}:[^u]*", "&*", "+@all"]
        await admin.execute_command("ACL", "SETUSER", "worker", "on", ">pw", *patterns)
        async with as_worker(own_server) as worker:
            assert await worker.delete_session("session")
        assert not await manager.session_exists("session")
        assert await manager.get_sessions_by_user("user") == []
