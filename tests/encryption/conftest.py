"""Managers that encrypt, with a key store of the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import SessionManager

MakeManager = Callable[..., SessionManager]
MASTER = "0123456789abcdef0123456789abcdef"
ANOTHER = "fedcba9876543210fedcba9876543210"
USER, SESSION = "user_1", "sess_1"


@pytest.fixture
def key_store(tmp_path: Path) -> Path:
    """The folder of the key store."""
    return tmp_path / "keys"


@pytest.fixture
async def make_manager(client: Redis, namespace: str, key_store: Path) -> AsyncIterator[MakeManager]:
    """Make one more manager of the test's namespace: ``make_manager(encryption_key=None, key_store=None)``."""
    async with AsyncExitStack() as stack:

        def make(**settings: Any) -> SessionManager:
            given = {"namespace": namespace, "encryption_key": MASTER, "key_store": key_store, **settings}
            if "encryption" in settings:
                given |= {"encryption_key": None, "key_store": None}
            manager = SessionManager(conn=client, **given)
            stack.push_async_callback(manager.aclose)
            return manager

        yield make


@pytest.fixture
def manager(make_manager: MakeManager) -> SessionManager:
    """A manager that encrypts."""
    return make_manager()


@pytest.fixture
def keyless(make_manager: MakeManager) -> SessionManager:
    """A manager of the same namespace that was given no keys."""
    return make_manager(encryption_key=None, key_store=None)
