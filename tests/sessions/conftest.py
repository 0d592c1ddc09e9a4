"""A manager of a fresh namespace, managers with other settings beside it, and all that the namespace holds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import Session, SessionManager

MakeManager = Callable[..., SessionManager]
Dump = Callable[[], Awaitable[dict[bytes, bytes]]]


@pytest.fixture
def make_manager(open_manager: MakeManager) -> MakeManager:
    """Make one more manager of the test's namespace, as another process would have: ``make_manager(retention=0)``."""
    return open_manager


@pytest.fixture
def manager(make_manager: MakeManager) -> SessionManager:
    """The manager of most tests; its sessions do not expire."""
    return make_manager()


@pytest.fixture
async def session_id(manager: SessionManager) -> str:
    """An active session of nothing but its creation."""
    return (await manager.create_session("user_1", "agent_1")).session_id


@pytest.fixture
def dump(client: Redis, namespace: str) -> Dump:
    """Read everything that the namespace holds, to see that nothing was written."""

    async def read() -> dict[bytes, bytes]:
        keys = [key async for key in client.scan_iter(match=f"{namespace}:*", count=1000)]
        return {key: await client.dump(key) for key in keys}

    return read


@pytest.fixture
async def session(manager: SessionManager) -> Session:
    """A session as it was read."""
    given = {"language": "zh-CN", "count": 1, "list": [1]}
    return await manager.create_session("user_1", "agent_1", given, session_id="sess_1", ttl=3600)


async def read_session(manager: SessionManager) -> Session:
    """Return that session as it is now."""
    session = await manager.get_session("sess_1")
    assert session is not None
    return session


async def events_since(manager: SessionManager) -> list[Any]:
    """Return what happened to that session since it was created."""
    return [event.data async for event in manager.history("sess_1", from_version=2)]
