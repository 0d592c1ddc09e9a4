"""Managers with a key for seals, and a user who has said things that must not stay."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from sessionstream import MessageAdded, SessionManager
from tests.sessions.conftest import MakeManager

__all__ = ["KEY", "PLAIN", "SESSION", "USER", "MakeManager", "talk"]

USER = "alice-of-wonderland"
SESSION = "sess_alice"
PLAIN = "the rabbit is late"
"""Is said in everything that the user has."""

KEY = "k" * 40


@pytest.fixture
def make_manager(open_manager: MakeManager) -> MakeManager:
    """Make one more manager of the test's namespace, as another process would have."""
    return partial(open_manager, partitions=4)


@pytest.fixture
def manager(make_manager: MakeManager) -> SessionManager:
    """The manager of most tests; it seals."""
    return make_manager(seal_key=KEY)


@pytest.fixture
async def session(manager: SessionManager) -> str:
    """A session of seven events: its creation, five messages, a checkpoint."""
    await manager.create_session(USER, "agent_1", {"said": PLAIN}, session_id=SESSION)
    await talk(manager, 5)
    await manager.save_checkpoint(SESSION, {"history": [PLAIN]}, label=PLAIN)
    return SESSION


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where archives go; it is not there yet."""
    return tmp_path / "archive"


async def talk(manager: SessionManager, count: int, session_id: str = SESSION) -> None:
    """Append so many messages that say the plain text."""
    for number in range(count):
        await manager.append(session_id, MessageAdded(role="user", content=f"{number}: {PLAIN}"))
