"""What these tests start from: a manager on a fresh namespace, and a session in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import RecordedEvent, SessionManager
from tests.gates import last_offset, move_gate


@pytest.fixture
async def manager(reach: dict[str, Any], namespace: str) -> AsyncIterator[SessionManager]:
    """A manager on a fresh namespace."""
    async with SessionManager(**reach, namespace=namespace) as manager:
        yield manager


@pytest.fixture
async def other(reach: dict[str, Any], namespace: str) -> AsyncIterator[SessionManager]:
    """A second manager on the same namespace, as another process has it."""
    async with SessionManager(**reach, namespace=namespace) as manager:
        yield manager


@pytest.fixture
async def session_id(manager: SessionManager) -> str:
    """A session with one event, ``session.created``."""
    return (await manager.create_session("user_1", "assistant")).session_id


@pytest.fixture
def events_of(manager: SessionManager) -> Callable[[str], Awaitable[list[RecordedEvent]]]:
    """Read all events of a session."""

    async def read(session_id: str) -> list[RecordedEvent]:
        return [event async for event in manager.history(session_id)]

    return read


@pytest.fixture
def write_entry(client: Redis, manager: SessionManager) -> Callable[..., Awaitable[str]]:
    """Write an entry into a session's stream by hand, as no client of the library would, and return its offset."""

    async def write(session_id: str, fields: dict[str, str | bytes], *, at_ms: int | None = None) -> str:
        keys = manager.store.keys
        last = await last_offset(manager.store, session_id)
        ms, version = (int(part) for part in last.split("-"))
        offset = f"{at_ms or ms}-{version + 1}"
        await client.xadd(keys.events(session_id), fields, id=offset)
        await move_gate(manager.store, session_id, offset)
        return offset

    return write
