"""What is read, decided and appended as one step is decided anew while others are faster.

G6.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from sessionstream import NoteAdded, SessionManager
from sessionstream.errors import ConflictError
from sessionstream.log.deciding import Decision, append_decided


@pytest.fixture
async def session_id(manager: SessionManager) -> str:
    """A session."""
    return (await manager.create_session("user", "agent")).session_id


def overtaken(manager: SessionManager, session_id: str, times: float) -> Callable[[], Awaitable[Decision]]:
    """Return what decides on a note, and is overtaken by somebody else's so many times."""
    left = times

    async def decide() -> Decision:
        nonlocal left
        version = (await manager.get_session(session_id)).version
        if left > 0:
            left -= 1
            await manager.append(session_id, NoteAdded(text="faster"))
        return Decision([NoteAdded(text="decided")], version)

    return decide


async def test_it_is_decided_anew_as_often_as_it_takes(manager: SessionManager, session_id: str) -> None:
    """Somebody who is always faster for a while does not make it fail."""
    appended = await append_decided(manager.store, session_id, overtaken(manager, session_id, 100))
    assert appended is not None
    assert appended.version == 102


async def test_the_deadline_ends_it(open_manager: Callable[..., SessionManager], session_id: str) -> None:
    """With the error that names the version at which the session is; nothing of it was appended."""
    hurried = open_manager(deadline=0.2)
    with pytest.raises(ConflictError) as caught:
        await append_decided(hurried.store, session_id, overtaken(hurried, session_id, float("inf")))
    assert caught.value.actual == (await hurried.get_session(session_id)).version
    assert "decided" not in [event.data.text async for event in hurried.history(session_id, types=["note.added"])]
