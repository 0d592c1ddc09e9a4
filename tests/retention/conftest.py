"""A manager of a fresh namespace, others beside it, and the folder of an archive."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sessionstream import MessageAdded, SessionManager
from tests.sessions.conftest import MakeManager

__all__ = ["SESSION", "MakeManager", "said", "talk"]

SESSION = "sess_kept"


@pytest.fixture
def make_manager(open_manager: MakeManager) -> MakeManager:
    """Make one more manager of the test's namespace, as another process would have."""
    return open_manager


@pytest.fixture
def manager(make_manager: MakeManager) -> SessionManager:
    """The manager of most tests."""
    return make_manager()


@pytest.fixture
async def session(manager: SessionManager) -> str:
    """A session of ten events: its creation, and nine messages."""
    await manager.create_session("user_1", "agent_1", {"stage": 1}, session_id=SESSION)
    await talk(manager, 9)
    return SESSION


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where archives go; it is not there yet."""
    return tmp_path / "archive"


async def talk(manager: SessionManager, count: int, session_id: str = SESSION) -> None:
    """Append so many messages, each saying which version it is."""
    current = await manager.get_session(session_id)
    assert current is not None
    first = current.version + 1
    for version in range(first, first + count):
        await manager.append(session_id, MessageAdded(role="user", content=f"message {version}"))


async def said(manager: SessionManager, session_id: str = SESSION, **window: Any) -> list[int]:
    """Return the versions that the history gives."""
    return [event.version async for event in manager.history(session_id, **window)]
