"""Waiting for a condition, never for a time; where time is the condition, by the server's clock."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from datetime import datetime
from typing import Any

from redis.asyncio import Redis

from sessionstream import Session, SessionManager

__all__ = ["expired_session", "now_ms", "until", "until_past"]

_DEADLINE = 30.0


async def until(condition: Callable[[], Any]) -> Any:
    """Return what the condition gives as soon as that is true; an async one is awaited."""
    async with asyncio.timeout(_DEADLINE):
        while True:
            found = condition()
            if inspect.isawaitable(found):
                found = await found
            if found:
                return found
            await asyncio.sleep(0.002)


async def now_ms(client: Redis) -> int:
    """Return the server's clock in milliseconds."""
    seconds, microseconds = await client.time()
    return int(seconds) * 1000 + int(microseconds) // 1000


async def until_past(client: Redis, moment: datetime | None) -> None:
    """Return when the server's clock has passed a moment: what expires then has expired."""
    assert moment is not None
    ms = round(moment.timestamp() * 1000)

    async def passed() -> bool:
        return await now_ms(client) > ms

    await until(passed)


async def expired_session(manager: SessionManager, client: Redis, **given: Any) -> Session:
    """Create a session and return it when its time is over; nobody has swept it."""
    arguments = {"user_id": "user_1", "agent_id": "agent_1", "ttl": 0.01, **given}
    session = await manager.create_session(**arguments)
    await until_past(client, session.expires_at)
    return session
