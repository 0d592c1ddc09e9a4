"""G31: forks of forks read through all of their origins, and say so where one of these is gone."""

from __future__ import annotations

from typing import Any

import pytest

from sessionstream import InvalidArgument, SessionManager
from sessionstream.errors import HistoryTrimmed
from tests.time_travel.conftest import OpenManager


def message(text: str) -> dict[str, Any]:
    """A message of the user."""
    return {"role": "user", "content": text}


async def _said(manager: SessionManager, session_id: str, **window: Any) -> list[str]:
    return [one["content"] for one in await manager.messages(session_id, **window)]


async def _chain(manager: SessionManager, session_id: str, depth: int, **given: Any) -> list[str]:
    """A session and a fork of it, a fork of that, and so on; each says two things, of which the fork knows one."""
    chain = [session_id]
    for number in range(depth):
        one = await manager.add_messages(chain[-1], message(f"{number}"))
        await manager.add_messages(chain[-1], message("unheard"))
        chain.append((await manager.audit.fork(chain[-1], at=one.version, **given)).session_id)
    return chain


async def test_a_conversation_goes_through_all_of_its_forks(manager: SessionManager, session_id: str) -> None:
    """And is paged across all of their borders."""
    *_, last = await _chain(manager, session_id, 5)
    await manager.add_messages(last, message("end"))
    assert await _said(manager, last) == ["0", "1", "2", "3", "4", "end"]
    assert await _said(manager, last, limit=3) == ["3", "4", "end"]
    session = await manager.get_session(last)
    assert session is not None
    assert session.forked_from is not None
    assert session.forked_from.depth == 5


async def test_a_resume_goes_through_all_of_its_forks(manager: SessionManager, session_id: str) -> None:
    """From the checkpoint on, wherever that was saved; its own events in between aside."""
    await manager.add_messages(session_id, message("covered"))
    await manager.save_checkpoint(session_id, {"turn": 1}, checkpoint_id="one")
    chain = await _chain(manager, session_id, 4)
    resumed = await manager.resume(chain[-1])
    assert resumed.checkpoint is not None
    assert resumed.checkpoint.data == {"turn": 1}
    said = [event.data.content for event in resumed.events if event.type == "message.added"]
    assert said == ["0", "1", "2", "3"]
    assert [event for event in resumed.events if event.type == "checkpoint.saved"] == []
    assert [event.session_id for event in resumed.events if event.type == "session.created"] == chain[1:]


async def test_a_resume_begins_in_the_fork_that_saved_its_checkpoint(manager: SessionManager, session_id: str) -> None:
    """What that one's own origins did is covered."""
    chain = await _chain(manager, session_id, 2)
    await manager.resume(chain[-1])
    await manager.save_checkpoint(chain[-1], {"turn": 2})
    further = await _chain(manager, chain[-1], 2)
    resumed = await manager.resume(further[-1])
    assert {event.session_id for event in resumed.events} == set(further)
    assert [event.data.content for event in resumed.events if event.type == "message.added"] == ["0", "1"]


async def test_a_fork_of_one_that_knew_nothing_is_given_everything(
    manager: SessionManager, open_manager: OpenManager, session_id: str
) -> None:
    """A checkpoint of one who had read nothing covers nothing, in any of its forks."""
    chain = await _chain(manager, session_id, 1)
    await open_manager().save_checkpoint(chain[-1], {"by": "a stranger"})
    further = await _chain(manager, chain[-1], 1)
    resumed = await manager.resume(further[-1])
    assert [event.session_id for event in resumed.events if event.type == "session.created"] == [*chain, further[-1]]


async def test_forks_are_not_forked_without_end(manager: SessionManager, session_id: str) -> None:
    """To the depth of 32: what is read goes through all of them."""
    at = session_id
    for _ in range(32):
        at = (await manager.audit.fork(at, at=1)).session_id
    with pytest.raises(InvalidArgument, match="32 forks"):
        await manager.audit.fork(at, at=1)
    assert await _said(manager, at) == []


async def test_what_an_origin_took_with_it_is_named(manager: SessionManager, session_id: str) -> None:
    """What the fork has of its own can be read all the same."""
    chain = await _chain(manager, session_id, 2)
    await manager.add_messages(chain[-1], message("end"))
    await manager.delete_session(chain[0], purge=True)
    assert await _said(manager, chain[-1], limit=2) == ["1", "end"]
    for read in (manager.messages(chain[-1]), manager.resume(chain[-1]), manager.messages(chain[-1], limit=3)):
        with pytest.raises(HistoryTrimmed) as gone:
            await read
        assert (gone.value.session_id, gone.value.first) == (session_id, None)
        assert "nothing of it is kept" in str(gone.value)
    assert [event.type async for event in manager.history(chain[-1])] == ["session.created", "message.added"]


async def test_another_session_under_the_origins_id_is_not_the_origin(manager: SessionManager, session_id: str) -> None:
    """What it says is nothing that the fork ever heard."""
    chain = await _chain(manager, session_id, 1)
    await manager.delete_session(session_id, purge=True)
    await manager.create_session("user_2", "assistant", session_id=session_id)
    await manager.add_messages(session_id, [message("something"), message("else")])
    for read in (manager.messages(chain[-1]), manager.resume(chain[-1])):
        with pytest.raises(HistoryTrimmed):
            await read


async def test_what_was_trimmed_from_an_origin_is_named(manager: SessionManager, session_id: str) -> None:
    """From the first event that is kept on it can be read."""
    made = await manager.add_messages(session_id, [message("a"), message("b"), message("c")])
    await manager.save_checkpoint(session_id, {"said": 3}, offset=made.offsets[2])
    fork = (await manager.audit.fork(session_id, at=5)).session_id
    bare = (await manager.audit.fork(session_id, at=4)).session_id
    await manager.store.server.call("XTRIM", manager.store.keys.events(session_id), "MINID", made.offsets[1])
    assert await _said(manager, fork, limit=2) == ["b", "c"]
    assert [event.type for event in (await manager.resume(fork)).events] == ["session.created"]
    for read in (manager.messages(fork), manager.messages(fork, limit=3), manager.resume(bare)):
        with pytest.raises(HistoryTrimmed) as gone:
            await read
        assert (gone.value.session_id, gone.value.first) == (session_id, made.offsets[1])
