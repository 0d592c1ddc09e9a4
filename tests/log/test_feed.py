"""The feed and the log: what one call tells of many sessions, under names that no other session has (G2)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import pytest

from sessionstream import NoteAdded, SessionManager, event
from sessionstream.events.base import Phase
from sessionstream.log.feed import Pointer, pointers_of
from sessionstream.log.gates import head_of

# As the log calls its own fields, and what is made of such a name where it is a session's.
STRANGE = [":stamp", ":feed", ":paused", "::stamp", ":", "a b", "é\n{}", "stamp"]


async def _pointers(manager: SessionManager, partition: int) -> list[Pointer]:
    feed = manager.store.keys.feed(partition)
    entries = await manager.store.server.call("XRANGE", feed, "-", "+")
    return [pointer for entry in entries for pointer in pointers_of(entry)]


async def test_appends_of_one_call_share_an_entry(open_manager: Callable[..., SessionManager]) -> None:
    """Each has a pointer and a position of its own in it."""
    manager = open_manager(partitions=1)
    ids = [f"s{number}" for number in range(30)]
    await asyncio.gather(*(manager.create_session("user_1", "assistant", session_id=one) for one in ids))
    before = len(await _pointers(manager, 0))
    entries = await manager.store.server.call("XLEN", manager.store.keys.feed(0))
    appended = await asyncio.gather(*(manager.append(one, NoteAdded(text="x")) for one in ids))
    assert await manager.store.server.call("XLEN", manager.store.keys.feed(0)) < entries + 3
    told = (await _pointers(manager, 0))[before:]
    assert [pointer.number for pointer in told] == list(range(before + 1, before + 31))
    assert sorted((one.session_id, one.offset, one.events) for one in told) == sorted(
        (one.session_id, one.offset, 1) for one in appended
    )


async def test_a_session_that_comes_twice_in_one_call_is_told_of_twice(
    open_manager: Callable[..., SessionManager],
) -> None:
    """The second append goes on where the first one ended."""
    manager = open_manager(partitions=1)
    for one in ("a", "b"):
        await manager.create_session("user_1", "assistant", session_id=one)
    appended = await asyncio.gather(
        *(manager.append(one, NoteAdded(text="x")) for one in ("a", "b", "a", "a")),
        manager.append("b", [NoteAdded(text="x")] * 3),
    )
    assert [one.version for one in appended] == [2, 2, 3, 4, 5]
    told = [(one.session_id, one.offset, one.events) for one in (await _pointers(manager, 0))[2:]]
    assert sorted(told) == sorted((one.session_id, one.offset, one.count) for one in appended)


@pytest.mark.parametrize("session_id", STRANGE)
async def test_a_session_may_be_called_like_a_field_of_the_log(
    open_manager: Callable[..., SessionManager], session_id: str
) -> None:
    """Neither is taken for the other, in the log and in the feed."""
    manager = open_manager(partitions=1)
    await asyncio.gather(*(manager.create_session("user_1", "assistant", session_id=one) for one in STRANGE))
    appended = await manager.append(session_id, NoteAdded(text="x"))
    session = await manager.get_session(session_id)
    assert session is not None
    assert session.version == appended.version == 2
    told = (await _pointers(manager, 0))[-1]
    assert (told.session_id, told.offset, told.events) == (session_id, appended.offset, 1)
    assert await manager.delete_session(session_id, purge=True)
    assert await manager.get_session(session_id) is None
    others = [one for one in STRANGE if one != session_id]
    found = await asyncio.gather(*(manager.get_session(one) for one in others))
    assert [one.session_id for one in found if one is not None] == others


async def test_a_gate_says_what_the_head_says(open_manager: Callable[..., SessionManager]) -> None:
    """After every change of state, expiry or sliding, and after a rebuild of a head that was damaged."""
    manager = open_manager(partitions=1, extend_on="append")
    await manager.create_session("user_1", "assistant", session_id="s", ttl=60)

    async def agree() -> None:
        head = {
            name.decode(): value.decode()
            for name, value in (await manager.store.head("s"))[0].items()
            if name in (b"offset", b"state", b"expires_at", b"sliding")
        }
        gate = await manager.store.server.call("HGET", manager.store.keys.log(0), "s")
        assert gate.decode() == f"{head['offset']} {head['state']} {head['expires_at']} {head['sliding']}"

    await agree()
    await manager.append("s", NoteAdded(text="x"))
    await agree()
    await manager.set_session_state("s", "archived")
    await agree()
    await manager.set_session_state("s", "active")
    await manager.refresh_session("s")
    await agree()
    await manager.store.server.call("HSET", manager.store.keys.head("s"), "state", "idle")
    await manager.rebuild("s")
    await agree()
    await manager.delete_session("s")
    await agree()


@event("feed.begun_early", phases=frozenset({Phase.ABSENT, Phase.LIVE}))
class _Early(msgspec.Struct, frozen=True):
    text: str


async def test_a_session_may_begin_without_a_view(open_manager: Callable[..., SessionManager]) -> None:
    """An event that is allowed before the creation and changes nothing leaves its neighbours and itself in order."""
    manager = open_manager(partitions=1)
    await manager.create_session("user_1", "assistant", session_id="live")
    appended = await asyncio.gather(
        manager.append("live", NoteAdded(text="2")),
        manager.append("early", _Early(text="1")),
        manager.append("live", NoteAdded(text="3")),
    )
    appended.append(await manager.append("early", _Early(text="2")))
    assert [one.version for one in appended] == [2, 1, 3, 2]
    assert [pointer.offset for pointer in (await _pointers(manager, 0))[1:]] == [one.offset for one in appended]
    # Nothing knows of a session that was never created, so nothing removes it.
    await manager.store.server.call("UNLINK", manager.store.keys.events("early"))


def test_a_session_that_began_anew_between_two_looks_is_looked_at_again() -> None:
    """Its versions begin with 1 again, but later."""
    assert head_of(b"1000-50 active  ", [b"offset", b"2000-1", b"state", b"active"]) is None
    assert head_of(b"1000-50 active  ", [b"offset", b"1000-7", b"state", b"active"]) is not None
