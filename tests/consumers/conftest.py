"""A manager of a fresh namespace of few partitions, and more of them, as other processes would have."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import SessionManager
from tests.consumers.forks import Forks

MakeManager = Callable[..., SessionManager]

PARTITIONS = 4
DYING, NOTING = "tests.consumers.dying", "tests.consumers.noting"
QUICK: dict[str, Any] = {"lease": 0.6, "backoff": 0.005, "longest_backoff": 0.02}
"""How members join where a test waits for what takes time otherwise."""


@pytest.fixture(scope="package")
def forks() -> Iterator[Forks]:
    """What starts a process that is to die."""
    with Forks(DYING, NOTING) as forks:
        yield forks


@pytest.fixture
async def make_manager(client: Redis, namespace: str) -> AsyncIterator[MakeManager]:
    """Make one more manager of the test's namespace, as another process would have."""
    async with AsyncExitStack() as stack:

        def make(**settings: Any) -> SessionManager:
            given = {"namespace": namespace, "partitions": PARTITIONS, **settings}
            manager = SessionManager(conn=client, **given)
            stack.push_async_callback(manager.aclose)
            return manager

        yield make


@pytest.fixture
def manager(make_manager: MakeManager) -> SessionManager:
    """The manager of most tests."""
    return make_manager()


@pytest.fixture
async def session_id(manager: SessionManager) -> str:
    """A session of nothing but its creation."""
    return (await manager.create_session("user_1", "agent_1", session_id="sess_1")).session_id
