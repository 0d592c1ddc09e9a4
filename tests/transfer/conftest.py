"""A manager of a fresh namespace, and managers of others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import SessionManager
from sessionstream.log.store import Store

MakeManager = Callable[..., SessionManager]


@pytest.fixture
async def make_manager(client: Redis, make_namespace: Callable[..., str]) -> AsyncIterator[MakeManager]:
    """Make one more manager, of a namespace of its own unless one is given: ``make_manager(ttl=5)``."""
    async with AsyncExitStack() as stack:

        def make(namespace: str | None = None, **settings: Any) -> SessionManager:
            one = SessionManager(conn=client, namespace=make_namespace(namespace), **settings)
            stack.push_async_callback(one.aclose)
            return one

        yield make


@pytest.fixture
def manager(make_manager: MakeManager) -> SessionManager:
    """The manager of most tests."""
    return make_manager()


@pytest.fixture
def store(manager: SessionManager) -> Store:
    """What imports write to and exports read from."""
    return manager.store
