"""Managers of a namespace of one partition, with projections of the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from sessionstream import Projection, SessionManager

MakeManager = Callable[..., SessionManager]


@pytest.fixture
async def make_manager(reach: dict[str, Any], namespace: str) -> AsyncIterator[MakeManager]:
    """Make a manager of the test's namespace: ``make_manager(projection, ttl=60)``."""
    async with AsyncExitStack() as stack:

        def make(*projections: Projection, **settings: Any) -> SessionManager:
            given = {"namespace": namespace, "partitions": 1, **settings}
            manager = SessionManager(**reach, projections=projections, **given)
            stack.push_async_callback(manager.aclose)
            return manager

        yield make


@pytest.fixture
def manager(make_manager: MakeManager) -> SessionManager:
    """A manager with the built-in projections alone."""
    return make_manager()
