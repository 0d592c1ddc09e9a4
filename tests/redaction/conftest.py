"""A session, and all that the namespace holds, to be searched for a secret."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import SessionManager

SECRET = "hunter2-hunter2-hunter2"
MARK = "[redacted: password]"

Search = Callable[[str], Awaitable[list[str]]]


@pytest.fixture
async def session_id(manager: SessionManager) -> str:
    """A session of nothing but its creation."""
    return (await manager.create_session("user_1", "agent_1")).session_id


@pytest.fixture
def keys_with(client: Redis, namespace: str) -> Search:
    """Name the keys whose values have a text in them; nothing in these tests is so long that a server compresses it."""

    async def search(text: str) -> list[str]:
        keys = [key async for key in client.scan_iter(match=f"{namespace}:*", count=1000)]
        return [key.decode() for key in keys if text.encode() in await client.dump(key)]

    return search


@pytest.fixture
def last_of(manager: SessionManager) -> Callable[[str], Awaitable[Any]]:
    """Read the last event of a session."""

    async def read(session_id: str) -> Any:
        [last] = [event.data async for event in manager.history(session_id, backward=True, limit=1)]
        return last

    return read
