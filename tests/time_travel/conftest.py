"""What these tests start from: managers, sessions long enough for base snapshots, and what the server was asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis

from sessionstream import MessageAdded, SessionManager
from sessionstream.bases.encoding import BaseName
from sessionstream.bases.reading import base_names

OpenManager = Callable[..., SessionManager]
BytesRead = Callable[[], Awaitable[int]]


@pytest.fixture
async def session_id(manager: SessionManager) -> str:
    """A session with one event, ``session.created``."""
    return (await manager.create_session("user_1", "assistant", {"topic": "weather"})).session_id


@pytest.fixture
def bytes_read(client: Redis) -> BytesRead:
    """Read how many bytes the server has sent to anybody since the last time it was asked."""
    last = 0

    async def count() -> int:
        nonlocal last
        sent = int((await client.info("stats"))["total_net_output_bytes"])
        since, last = sent - last, sent
        return since

    return count


async def settled(manager: SessionManager) -> None:
    """Return when the bases that are due are made."""
    await manager._bases.aclose()
    await manager._chores.aclose()


async def talk(manager: SessionManager, session_id: str, events: int) -> None:
    """Append so many messages."""
    for start in range(0, events, 1_000):
        count = min(1_000, events - start)
        await manager.append(session_id, [MessageAdded(role="user", content=f"{start + one}") for one in range(count)])


async def bases_of(manager: SessionManager, session_id: str) -> list[BaseName]:
    """The bases of a session, latest first, when the chores are done."""
    await settled(manager)
    return await base_names(manager.store, session_id)
