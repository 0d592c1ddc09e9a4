"""What these tests start from: managers on a fresh namespace, and a hub of a manager's store."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from sessionstream import SessionManager
from sessionstream.feed.hub import Hub
from tests.servers import Server

Open = Callable[..., SessionManager]


@pytest.fixture
async def open_manager(server: Server, namespace: str) -> AsyncIterator[Open]:
    """Open a manager on a fresh namespace: ``open_manager(partitions=1)``."""
    async with contextlib.AsyncExitStack() as stack:

        def make(url: str | None = None, **settings: Any) -> SessionManager:
            manager = SessionManager(url=url or server.unix_url, namespace=namespace, **settings)
            stack.push_async_callback(manager.aclose)
            return manager

        yield make


@pytest.fixture
def manager(open_manager: Open) -> SessionManager:
    """A manager on a fresh namespace."""
    return open_manager()


@pytest.fixture
async def hub(manager: SessionManager) -> AsyncIterator[Hub]:
    """A hub of the manager's server."""
    hub = Hub(manager.store.server)
    yield hub
    await hub.aclose()
