"""A process of the previous version and one of this version share one store. G43."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sessionstream import MessageAdded, NoteAdded, SessionManager
from sessionstream.integrity.keyring import Keyring
from sessionstream.integrity.offline import verify_evidence
from sessionstream.transfer import export_events, import_events
from tests.transfer.worlds import assert_views_are_folds
from tests.versions.conftest import Start
from tests.versions.history import Process

Open = Callable[..., SessionManager]
KEY = "0123456789abcdef0123456789abcdef"


async def _told(old: Process) -> Any:
    return await asyncio.to_thread(old.told)


async def _do(old: Process, *words: Any) -> Any:
    old.tell(*words)
    return await _told(old)


async def _read(manager: SessionManager, session_id: str) -> list[Any]:
    """Return what the previous version's `read` returns."""
    session = await manager.get_session(session_id)
    events = [[event.offset, event.type, event.id, event.raw.decode()] async for event in manager.history(session_id)]
    assert session is not None
    told = [session.metadata, session.state.value, session.version]
    return [told, await manager.messages(session_id), events]


async def test_both_append_to_the_same_sessions_at_once(old: Process, manager: SessionManager) -> None:
    """Versions without a gap, each event once and where it was told, both read all of it, views are the fold."""
    await manager.create_session("user_1", "assistant", session_id="s1")
    await _do(old, "create", "s2")
    told: dict[str, list[str]] = {}
    for name in ("s1", "s2"):
        old.tell("append", name, "old", 60)
        mine = [(await manager.append(name, NoteAdded(text=f"new {n}"))).offset for n in range(60)]
        told[name] = sorted(mine + await _told(old), key=lambda offset: int(offset.partition("-")[2]))
    await manager.add_messages("s1", {"role": "user", "content": "Hi", "x": None})
    for name in ("s1", "s2"):
        read = await _read(manager, name)
        assert [event[0] for event in read[2]][1:121] == told[name]
        assert [int(event[0].partition("-")[2]) for event in read[2]] == list(range(1, len(read[2]) + 1))
        assert await _do(old, "read", name) == read
    await assert_views_are_folds(manager.store)


async def test_a_flush_of_scripts_disturbs_neither(old: Process, manager: SessionManager) -> None:
    """Each version loads its own scripts again; scripts that differ have different names."""
    await _do(old, "create", "s1")
    for number in range(3):
        await manager.store.server.call("SCRIPT", "FLUSH")
        await manager.append("s1", NoteAdded(text=f"new {number}"))
        await manager.store.server.call("SCRIPT", "FLUSH")
        await _do(old, "append", "s1", "old")
    assert (await manager.append("s1", NoteAdded(text="last"))).version == 8


async def test_checkpoints_are_resumed_from_by_the_other(old: Process, manager: SessionManager) -> None:
    """Their data, and the events behind what they cover."""
    await _do(old, "create", "s1")
    await _do(old, "save", "s1", {"turn": 1})
    appended = await manager.append("s1", MessageAdded(role="user", content="Hi"))
    resumed = await manager.resume("s1")
    assert resumed.checkpoint is not None
    assert resumed.checkpoint.data == {"turn": 1}
    assert [event.offset for event in resumed.events] == [appended.offset]
    await manager.save_checkpoint("s1", {"turn": 2})
    offsets = await _do(old, "append", "s1", "old")
    assert await _do(old, "resume", "s1") == [{"turn": 2}, offsets]


async def test_a_key_that_the_other_used_is_used(old: Process, manager: SessionManager) -> None:
    """An append with an idempotency key is done once, whichever version repeats it."""
    await _do(old, "create", "s1")
    first = await _do(old, "once", "s1", "x", "key 1")
    again = await manager.append("s1", NoteAdded(text="x"), idempotency_key="key 1")
    assert [again.offset, again.duplicate] == [first[0], True]
    second = await manager.append("s1", NoteAdded(text="y"), idempotency_key="key 2")
    assert await _do(old, "once", "s1", "y", "key 2") == [second.offset, True]


async def test_a_lock_is_one_lock(old: Process, manager: SessionManager) -> None:
    """What each adds to a counter under the session's lock is lost in none of their turns."""
    await _do(old, "create", "s1")
    old.tell("locked", "s1", "counter", 15)
    for _ in range(15):
        async with manager.lock("s1", timeout=30):
            session = await manager.get_session("s1")
            assert session is not None
            await manager.update_session_metadata("s1", {"counter": session.metadata.get("counter", 0) + 1})
    await _told(old)
    session = await manager.get_session("s1")
    assert session is not None
    assert session.metadata["counter"] == 30


async def test_each_follows_what_the_other_appends(old: Process, manager: SessionManager) -> None:
    """And goes on from a cursor that the other has stored."""
    await _do(old, "create", "s1")
    old.tell("follow", "s1", 3)
    assert await _told(old) == "following"
    mine = [(await manager.append("s1", NoteAdded(text="new"))).offset for _ in range(3)]
    assert await _told(old) == mine
    async with manager.follow("s1", after="now") as events:
        theirs = await _do(old, "append", "s1", "old", 3)
        assert [(await anext(aiter(events))).offset for _ in range(3)] == theirs
    found, cursor = await _do(old, "cursor", None, 4)
    assert [offset for _, offset in found[1:]] == mine
    async with manager.follow_all(after=cursor) as everything:
        assert [(await anext(aiter(everything))).offset for _ in range(2)] == theirs[:2]
        stored = str(everything.cursor)
    assert (await _do(old, "cursor", stored, 1))[0] == [["s1", theirs[2]]]


async def test_members_of_both_versions_make_one_group(start_old: Start, open_manager: Open) -> None:
    """Every event is handled by one of them; the partitions are divided."""
    old, manager = start_old(partitions=4), open_manager(partitions=4)
    for number in range(12):
        await manager.create_session("user_1", "assistant", session_id=f"s{number}")
    seen: list[tuple[str, str]] = []

    async def handle(item: Any) -> None:
        seen.append((item.session_id, item.event.offset))

    async with manager.consumers.join("group", handle):
        old.tell("consume", "group", 12 + 36)
        async with asyncio.timeout(30):
            while len([one for one in (await manager.consumers.status("group")).members if one.partitions]) < 2:
                await asyncio.sleep(0.01)
        for number in range(36):
            await manager.append(f"s{number % 12}", NoteAdded(text="x"))
        theirs = await _told(old)
    everything = {(f"s{n}", event.offset) for n in range(12) async for event in manager.history(f"s{n}")}
    assert {*seen, *map(tuple, theirs)} == everything
    assert seen
    assert theirs


async def test_the_old_one_goes_and_comes_back(start_old: Start, manager: SessionManager) -> None:
    """A rolling upgrade, and one that is taken back: whoever is there goes on, and views stay the fold."""
    first = start_old()
    await _do(first, "create", "s1")
    await _do(first, "metadata", "s1", {"a": 1})
    await manager.append("s1", NoteAdded(text="beside"))
    first.end()
    await manager.update_session_metadata("s1", {"b": 2})
    await manager.save_checkpoint("s1", {"turn": 1})
    await manager.rebuild()
    second = start_old()
    assert await _do(second, "read", "s1") == await _read(manager, "s1")
    await _do(second, "rebuild")
    await _do(second, "metadata", "s1", {"c": 3})
    session = await manager.get_session("s1")
    assert session is not None
    assert session.metadata == {"by": "old", "a": 1, "b": 2, "c": 3}
    await assert_views_are_folds(manager.store)


async def test_seals_anchors_and_evidence_of_one_are_verified_by_the_other(
    start_old: Start, open_manager: Open, tmp_path: Path
) -> None:
    """One chain of seals, made by both in turn."""
    old, manager = start_old(seal_key=KEY), open_manager(seal_key=KEY)
    anchor, evidence = tmp_path / "anchor", tmp_path / "evidence"
    await _do(old, "create", "s1")
    await _do(old, "seal", "s1", str(anchor))
    verified = await manager.audit.verify("s1", anchor=anchor)
    assert (verified.ok, verified.unproven) == (True, False)
    await manager.append("s1", NoteAdded(text="new"))
    await manager.audit.seal("s1")
    async for _ in manager.audit.seal_all(anchor=anchor):
        pass
    assert await _do(old, "verify", "s1", str(anchor)) == [True, True, []]
    await _do(old, "append", "s1", "old")
    await _do(old, "evidence", "s1", str(evidence))
    found = verify_evidence(evidence, Keyring.of(manager.settings), anchor=anchor).verification
    assert (found.ok, found.version, found.sealed_to) == (True, 3, 2)


async def test_archives_and_exports_of_one_are_read_by_the_other(
    start_old: Start, open_manager: Open, make_namespace: Callable[[], str], tmp_path: Path
) -> None:
    """Each trims behind the other's archive, and brings back what the other exported."""
    old, manager = start_old(), open_manager()
    await _do(old, "create", "s1")
    await _do(old, "append", "s1", "old", 5)
    lines = await _do(old, "export", "s1")
    elsewhere = open_manager(namespace=make_namespace())
    assert (await import_events(elsewhere.store, [line.encode() for line in lines])).created == 1
    assert await _read(elsewhere, "s1") == await _read(manager, "s1")
    mine = [line.decode() async for line in export_events(manager.store, ["s1"])]
    assert await _do(old, "restore", *mine) == [0, 1, []]
    offsets = [event.offset async for event in manager.history("s1")]
    await _do(old, "trim", "s1", str(tmp_path))
    await manager.append("s1", NoteAdded(text="new"))
    await manager.retention.trim("s1", tmp_path, keep_events=2)
    everything = [event.offset async for event in manager.retention.replay("s1", tmp_path)]
    assert everything[:6] == offsets
    assert await _do(old, "replay", "s1", str(tmp_path)) == everything
