"""Managers of one fresh namespace, of any class, and how many commands the server has done."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import CachedSessionManager, SessionManager
from tests.recipes.processes import Actor
from tests.servers import Server

MakeManager = Callable[..., Any]
Commands = Callable[[], Awaitable[int]]
MakeActor = Callable[[], Awaitable[Actor]]


@pytest.fixture
async def make_manager(client: Redis, namespace: str) -> AsyncIterator[MakeManager]:
    """Make a manager of the test's namespace with connections of its own: ``make_manager(CachedSessionManager)``."""
    async with AsyncExitStack() as stack:

        def make(kind: type[SessionManager] = SessionManager, **settings: Any) -> Any:
            manager = kind(conn=client, **{"namespace": namespace, **settings})
            stack.push_async_callback(manager.aclose)
            return manager

        yield make


@pytest.fixture
def manager(make_manager: MakeManager) -> SessionManager:
    """The manager of most tests."""
    made: SessionManager = make_manager()
    return made


@pytest.fixture
def cached(make_manager: MakeManager) -> CachedSessionManager:
    """A manager that caches, beside the other one."""
    made: CachedSessionManager = make_manager(CachedSessionManager)
    return made


@pytest.fixture
def commands(client: Redis) -> Commands:
    """Return how many commands the server has done for others than this count."""

    async def count() -> int:
        stats = await client.info("commandstats")
        return sum(stat["calls"] for name, stat in stats.items() if name != "cmdstat_info")

    return count


@pytest.fixture
async def make_actor(server: Server, namespace: str) -> AsyncIterator[MakeActor]:
    """Start another process that has a manager of the test's namespace."""
    async with AsyncExitStack() as stack:

        async def start() -> Actor:
            return await stack.enter_async_context(Actor(server.url, namespace))

        yield start
