"""What these tests start from: managers on a fresh namespace, and a hub of a manager's store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from sessionstream import SessionManager
from sessionstream.feed.hub import Hub

Open = Callable[..., SessionManager]


@pytest.fixture
async def hub(manager: SessionManager) -> AsyncIterator[Hub]:
    """A hub of the manager's server."""
    hub = Hub(manager.store.server)
    yield hub
    await hub.aclose()
