"""What these tests start from: managers that are closed after the test, and servers whose settings a test changes."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import SessionManager
from tests.servers import Server

Open = Callable[..., SessionManager]


@pytest.fixture
async def open_manager() -> AsyncIterator[Open]:
    """Open a manager of a URL or a client: ``open_manager(url, durability="fsync")``; it is closed after the test."""
    async with contextlib.AsyncExitStack() as stack:

        def make(server: str | Redis, **settings: Any) -> SessionManager:
            place = {"url": server} if isinstance(server, str) else {"conn": server}
            manager = SessionManager(**{"namespace": "durability", **place, **settings})
            stack.push_async_callback(manager.aclose)
            return manager

        yield make


async def ask(server: Server, *words: str | int) -> Any:
    """Send a server one command, as somebody else would."""
    async with Redis(unix_socket_path=str(server.socket)) as client:
        return await client.execute_command(*words)
