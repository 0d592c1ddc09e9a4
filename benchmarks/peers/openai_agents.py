"""openai-agents: ``RedisSession.add_items``, one item a call, on the very server that the store uses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from agents.extensions.memory import RedisSession
from redis.asyncio import Redis

from benchmarks.payloads import Payload
from benchmarks.stage import TASKS

__all__ = ["opened"]


@asynccontextmanager
async def opened(folder: Path, url: str, sessions: int) -> AsyncIterator[Callable[[int, Payload], Awaitable[object]]]:
    """Open sessions that share one client, and give the function that appends a message to one of them."""
    client = Redis.from_url(url, max_connections=TASKS)
    running = [RedisSession(f"session-{number}", redis_client=client) for number in range(sessions)]

    def append(number: int, payload: Payload) -> Awaitable[object]:
        return running[number].add_items([payload.message])  # type: ignore[list-item]

    yield append
    await client.aclose()
