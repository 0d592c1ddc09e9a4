"""Managers of a namespace of one partition, with projections of the test's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sessionstream import Projection, SessionManager

MakeManager = Callable[..., SessionManager]


@pytest.fixture
def make_manager(open_manager: MakeManager) -> MakeManager:
    """Make a manager of the test's namespace: ``make_manager(projection, ttl=60)``."""

    def make(*projections: Projection, **settings: Any) -> SessionManager:
        return open_manager(projections=projections, **{"partitions": 1} | settings)

    return make


@pytest.fixture
def manager(make_manager: MakeManager) -> SessionManager:
    """A manager with the built-in projections alone."""
    return make_manager()
