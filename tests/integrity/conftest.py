"""Managers that seal, a session that is sealed, and a neighbour that nobody touches."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from redis.asyncio import Redis

from sessionstream import MessageAdded, NoteAdded, SessionManager, acting
from tests.integrity.attacks import Attacker

MakeManager = Callable[..., SessionManager]
KEY = "0123456789abcdef0123456789abcdef"
SESSION, NEIGHBOUR = "sess_1", "sess_2"


@pytest.fixture
def make_manager(open_manager: MakeManager) -> MakeManager:
    """Make one more manager of the test's namespace: ``make_manager(seal_key=None)``."""
    return partial(open_manager, seal_key=KEY)


@pytest.fixture
def manager(make_manager: MakeManager) -> SessionManager:
    """A manager that has a key."""
    return make_manager()


async def fill(manager: SessionManager, session_id: str) -> None:
    """Make a session of 12 events: its creation, 9 messages, 2 of which say who, a checkpoint, and a note."""
    await manager.create_session("user_1", "agent_1", {"a": 1}, session_id=session_id, ttl=3_600)
    for number in range(3):
        said = [f"{session_id} {number} {one}" for one in "ab"]
        await manager.append(session_id, [MessageAdded(role="user", content=text) for text in said])
        with acting(actor="agent:1"):
            await manager.append(session_id, MessageAdded(role="assistant", content=f"{session_id} {number}"))
    await manager.save_checkpoint(session_id, {"turn": 3}, checkpoint_id="one")
    await manager.append(session_id, NoteAdded(text="the last one"))


@pytest.fixture
async def sealed(manager: SessionManager) -> SessionManager:
    """The manager of a session of 12 events, all of them sealed, and of a neighbour that is the same."""
    for session_id in (SESSION, NEIGHBOUR):
        await fill(manager, session_id)
        assert (await manager.audit.seal(session_id)).version == 12
    return manager


@pytest.fixture
def attacker(client: Redis, sealed: SessionManager) -> Attacker:
    """Somebody who may do anything to the server, and has no key."""
    return Attacker(client, sealed.store.keys, SESSION)
