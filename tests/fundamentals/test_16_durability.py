"""What an append is kept by is what the server says of itself, on one server and on many.

G36. More of it, on servers of the tests' own, is in ``tests/durability``.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sessionstream import NoteAdded, SessionManager
from sessionstream.errors import DurabilityUnavailable

pytestmark = pytest.mark.guarantee


async def test_an_append_is_kept_by_what_was_asked_for(open_manager: Callable[..., SessionManager]) -> None:
    """Whichever node it lies on; the servers of the tests have an append-only file."""
    manager = open_manager(durability="process")
    for _ in range(8):
        session_id = (await manager.create_session("user", "agent")).session_id
        assert (await manager.append(session_id, NoteAdded(text="x"))).durability == "process"


async def test_a_server_that_gives_less_is_refused(open_manager: Callable[..., SessionManager]) -> None:
    """The append-only file of theirs reaches the disk once a second."""
    with pytest.raises(DurabilityUnavailable) as caught:
        await open_manager(durability="fsync").create_session("user", "agent", session_id="s")
    assert (caught.value.wanted, caught.value.found) == ("fsync", "process")
    assert not await open_manager().session_exists("s")
