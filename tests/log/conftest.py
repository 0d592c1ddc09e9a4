"""What these tests start from: managers, and how many commands the server has run."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import SessionManager
from tests.servers import Server

CountCommands = Callable[[], Awaitable[dict[str, int]]]


@pytest.fixture
async def open_manager(server: Server, namespace: str) -> AsyncIterator[Callable[..., SessionManager]]:
    """Open a manager on a fresh namespace: ``open_manager(partitions=1)``."""
    async with contextlib.AsyncExitStack() as stack:

        def make(**settings: Any) -> SessionManager:
            manager = SessionManager(url=server.unix_url, namespace=namespace, **settings)
            stack.push_async_callback(manager.aclose)
            return manager

        yield make


@pytest.fixture
def manager(open_manager: Callable[..., SessionManager]) -> SessionManager:
    """A manager on a fresh namespace."""
    return open_manager()


@pytest.fixture
def count_commands(client: Redis) -> CountCommands:
    """Read how often the server ran each command since the last time it was asked, those inside scripts too."""

    async def count() -> dict[str, int]:
        stats = await client.info("commandstats")
        await client.config_resetstat()
        return {name.removeprefix("cmdstat_"): stat["calls"] for name, stat in stats.items()}

    return count
