"""A manager of a fresh namespace, and managers of others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sessionstream import SessionManager
from sessionstream.log.store import Store

MakeManager = Callable[..., SessionManager]


@pytest.fixture
def make_manager(open_manager: MakeManager, make_namespace: Callable[..., str]) -> MakeManager:
    """Make one more manager, of a namespace of its own unless one is given: ``make_manager(ttl=5)``."""

    def make(namespace: str | None = None, **settings: Any) -> SessionManager:
        return open_manager(namespace=make_namespace(namespace), **settings)

    return make


@pytest.fixture
def manager(make_manager: MakeManager) -> SessionManager:
    """The manager of most tests."""
    return make_manager()


@pytest.fixture
def store(manager: SessionManager) -> Store:
    """What imports write to and exports read from."""
    return manager.store
