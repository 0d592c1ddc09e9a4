"""Where two versions do not agree on layout or projections, the second one is refused before it writes. G43."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from redis.asyncio import Redis

from sessionstream import NoteAdded, Projection, SessionManager, event
from sessionstream.errors import NamespaceMismatch
from sessionstream.log.stamp import FORMAT
from sessionstream.projection import Increment, counters
from tests.versions.conftest import Start
from tests.versions.history import Refused

Open = Callable[..., SessionManager]
KEY = "0123456789abcdef0123456789abcdef"


@event("orders.shipped_by_newer")
class Shipped(msgspec.Struct, frozen=True):
    """What only this version's process declares."""

    order_id: str


async def _dump(client: Redis, namespace: str) -> dict[bytes, bytes]:
    return {key: await client.dump(key) async for key in client.scan_iter(match=f"{namespace}:*")}


async def test_an_older_version_refuses_what_this_one_made(
    start_older: Start, manager: SessionManager, client: Redis, namespace: str
) -> None:
    """It says what the layout is, and what it knows."""
    await manager.create_session("user_1", "assistant", session_id="s1")
    before, older = await _dump(client, namespace), start_older()
    for words in (("create", "s2"), ("append", "s1", "x"), ("read", "s1")):
        with pytest.raises(Refused, match=f"NamespaceMismatch.*format {FORMAT}, this process has 2"):
            await asyncio.to_thread(older.do, *words)
    assert await _dump(client, namespace) == before


async def test_this_version_refuses_what_an_older_one_made(
    start_older: Start, open_manager: Open, client: Redis, namespace: str
) -> None:
    """Reading too: the entries are others."""
    await asyncio.to_thread(start_older().do, "create", "s1")
    before, manager = await _dump(client, namespace), open_manager()
    for call in (
        lambda: manager.append("s1", NoteAdded(text="x")),
        lambda: manager.create_session("user_1", "assistant"),
        lambda: manager.get_session("s1"),
    ):
        with pytest.raises(NamespaceMismatch, match=f"format 2, this process has {FORMAT}"):
            await call()
    assert await _dump(client, namespace) == before


async def test_a_projection_that_a_version_added_keeps_the_one_before_out(
    start_old: Start, open_manager: Open, client: Redis, namespace: str
) -> None:
    """Once the newer one has adopted it; the older one still reads, and is told what to do."""
    old = start_old()
    await asyncio.to_thread(old.do, "create", "s1")
    notes = Projection("notes")

    @notes.on(NoteAdded)
    def noted(session_id: str, event: NoteAdded) -> list[Increment]:
        return [Increment(counters("all"), "notes", 1)]

    manager = open_manager(projections=[notes])
    with pytest.raises(NamespaceMismatch, match="rebuild with adopt=True"):
        await manager.append("s1", NoteAdded(text="x"))
    await manager.rebuild(adopt=True)
    await manager.append("s1", NoteAdded(text="x"))
    before = await _dump(client, namespace)
    with pytest.raises(Refused, match=r"NamespaceMismatch.*notes:1.*rebuild with adopt=True"):
        await asyncio.to_thread(old.do, "append", "s1", "x")
    assert await _dump(client, namespace) == before
    assert (await asyncio.to_thread(old.do, "read", "s1"))[0][2] == 2


async def test_an_event_that_the_version_before_does_not_know_goes_past_it(
    start_old: Start, open_manager: Open
) -> None:
    """It reads on, its views are whole, and what it writes is not disturbed."""
    manager, old = open_manager(), start_old()
    await asyncio.to_thread(old.do, "create", "s1")
    await manager.append("s1", Shipped(order_id="A-1"))
    assert await asyncio.to_thread(old.do, "kinds", "s1") == ["SessionCreated", "UnknownEvent"]
    await asyncio.to_thread(old.do, "metadata", "s1", {"a": 1})
    session = await manager.get_session("s1")
    assert session is not None
    assert (session.version, session.metadata["a"]) == (3, 1)
    assert (await asyncio.to_thread(old.do, "read", "s1"))[0] == [session.metadata, "active", 3]


async def test_what_was_erased_stays_erased_beside_the_version_before(start_old: Start, open_manager: Open) -> None:
    """It can neither write to the session nor make it anew, and its rebuild leaves the session as it is."""
    manager, old = open_manager(seal_key=KEY), start_old(seal_key=KEY)
    await asyncio.to_thread(old.do, "create", "s1")
    await asyncio.to_thread(old.do, "append", "s1", "secret")
    await manager.audit.seal("s1")
    await manager.erase_user("user_1")
    for words, refusal in ((("append", "s1", "x"), "SessionEnded"), (("create", "s1"), "SessionExists")):
        with pytest.raises(Refused, match=refusal):
            await asyncio.to_thread(old.do, *words)
    await asyncio.to_thread(old.do, "rebuild")
    assert (await manager.audit.verify("s1")).ok
    assert (await manager.erase_user("user_1")).sessions == 0


async def test_the_version_before_refuses_what_is_encrypted(
    start_old: Start, open_manager: Open, client: Redis, namespace: str, tmp_path: Path
) -> None:
    """By the layout, before it has read or written anything."""
    manager = open_manager(encryption_key=KEY, key_store=tmp_path / "keys")
    await manager.create_session("user_1", "assistant", session_id="s1")
    before, old = await _dump(client, namespace), start_old()
    for words in (("append", "s1", "x"), ("create", "s2"), ("read", "s1")):
        with pytest.raises(Refused, match=rf"NamespaceMismatch.*format {FORMAT}\+encrypted"):
            await asyncio.to_thread(old.do, *words)
    assert await _dump(client, namespace) == before
