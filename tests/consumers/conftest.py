"""A manager of a fresh namespace of few partitions, and more of them, as other processes would have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

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
def make_manager(open_manager: MakeManager) -> MakeManager:
    """Make one more manager of the test's namespace, as another process would have."""
    return partial(open_manager, partitions=PARTITIONS)


@pytest.fixture
def manager(make_manager: MakeManager) -> SessionManager:
    """The manager of most tests."""
    return make_manager()


@pytest.fixture
async def session_id(manager: SessionManager) -> str:
    """A session of nothing but its creation."""
    return (await manager.create_session("user_1", "agent_1", session_id="sess_1")).session_id
