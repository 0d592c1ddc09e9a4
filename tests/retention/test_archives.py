"""G35: an archive holds exactly what the stream does, and is only there when it is whole and on disk."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hashlib
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import InvalidArgument, NoteAdded, SessionManager, SessionNotFound
from sessionstream.errors import ArchiveFailed
from sessionstream.retention.places import life_folder
from sessionstream.transfer import export_events
from tests.entries import entry
from tests.retention.conftest import SESSION, MakeManager, said, talk
from tests.sessions.waiting import until_past


def lines_of(path: Path) -> list[bytes]:
    """Return the lines of a file of an archive."""
    raw = path.read_bytes()
    return (gzip.decompress(raw) if path.suffix == ".gz" else raw).splitlines(keepends=True)


@pytest.mark.parametrize("compress", [True, False])
async def test_a_file_has_the_lines_of_an_export(
    manager: SessionManager, session: str, folder: Path, compress: bool
) -> None:
    """Byte for byte, between a line that says whose they are and one that says how many, and their SHA-256."""
    done = await manager.retention.archive(session, folder, compress=compress)
    [path] = done.files
    assert path.name == f"000000000001-000000000010.jsonl{'.gz' if compress else ''}"
    head, *events, foot = lines_of(path)
    exported = [line async for line in export_events(manager.store, [session])]
    assert events == [*exported[:-1], exported[-1].replace(b',"last":true', b"")]
    created = await manager.get_session(session)
    assert created is not None
    assert json.loads(head) == {
        "archive": "events",
        "format": 1,
        "namespace": manager.settings.namespace,
        "session_id": session,
        "created_ms": round(created.created_at.timestamp() * 1000),
    }
    last = [event async for event in manager.history(session)][-1].offset
    digest = hashlib.sha256(b"".join([head, *events])).hexdigest()
    assert json.loads(foot) == {"lines": 10, "last": last, "sha256": digest}


async def test_archiving_changes_nothing_in_the_store(
    manager: SessionManager, session: str, folder: Path, client: Redis, namespace: str
) -> None:
    """No event, no key."""

    async def dump() -> dict[bytes, bytes]:
        return {key: await client.dump(key) async for key in client.scan_iter(match=f"{namespace}:*")}

    before = await dump()
    done = await manager.retention.archive(session, folder)
    assert (done.version, done.trimmed, done.removed, done.stopped_by) == (10, 0, 0, "")
    assert await dump() == before


async def test_what_an_archive_has_is_not_written_again(manager: SessionManager, session: str, folder: Path) -> None:
    """The next call adds a file of what has come since, and the one after that none."""
    first = await manager.retention.archive(session, folder)
    stamp = first.files[0].stat().st_mtime_ns
    await talk(manager, 5)
    second = await manager.retention.archive(session, folder)
    assert [path.name for path in second.files] == [
        "000000000001-000000000010.jsonl.gz",
        "000000000011-000000000015.jsonl.gz",
    ]
    assert (await manager.retention.archive(session, folder)).files == second.files
    assert first.files[0].stat().st_mtime_ns == stamp


async def test_the_same_events_give_the_same_bytes(manager: SessionManager, session: str, tmp_path: Path) -> None:
    """Whoever archives them, and whenever."""
    one = await manager.retention.archive(session, tmp_path / "one")
    other = await manager.retention.archive(session, tmp_path / "other")
    assert one.files[0].read_bytes() == other.files[0].read_bytes()


async def test_two_archivers_at_once_leave_one_whole_archive(
    make_manager: MakeManager, manager: SessionManager, session: str, folder: Path
) -> None:
    """Both are done, and nothing unfinished is left."""
    others = [make_manager() for _ in range(4)]
    done = await asyncio.gather(*(one.retention.archive(session, folder) for one in [manager, *others]))
    assert {one.version for one in done} == {10}
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["000000000001-000000000010.jsonl.gz"]
    assert [event.version async for event in manager.retention.replay(session, folder)] == list(range(1, 11))


async def test_a_session_goes_on_while_it_is_archived(
    make_manager: MakeManager, manager: SessionManager, session: str, folder: Path
) -> None:
    """Appends, holds and checkpoints beside it: the archive has what was there when it began, or more, never less."""
    other = make_manager()

    async def busy() -> None:
        for number in range(20):
            await talk(other, 5)
            await other.save_checkpoint(session, {"turn": number})
            await other.retention.release(session, await other.retention.hold(session, "audit"))

    work = asyncio.create_task(busy())
    while not work.done():
        before = await said(manager)
        done = await manager.retention.archive(session, folder)
        assert done.version >= before[-1]
    await work
    replayed = [(event.offset, event.words) async for event in manager.retention.replay(session, folder)]
    assert replayed == [(event.offset, event.words) async for event in manager.history(session)]


async def test_entries_that_no_append_wrote_survive_byte_for_byte(
    manager: SessionManager, session: str, folder: Path, client: Redis
) -> None:
    """Damaged ones, bytes that are no text, fields that come twice: a replay gives what the stream has."""
    key = manager.store.keys.events(session)
    strange: list[list[Any]] = [
        [b"\xff\x00", b"\xfe"],
        [b"message.added", b"too short"],
        [b"a", b"1", b"a", b"2"],
        [b"meta", b"{}", b"message.added", b"x" * 30],
        [b"", b""],
        [b"m@x", b"y" * 25, b"meta", b"\xff"],
        [word for pair in entry("note.added", '{"text":"x"}', version=7, meta="{}").items() for word in pair],
    ]
    last = [event async for event in manager.history(session)][-1].offset
    ms = int(last.partition("-")[0])
    for number, words in enumerate(strange):
        await client.execute_command("XADD", key, f"{ms}-{11 + number}", *words)
    await client.hset(manager.store.keys.log(manager.store.keys.partition(session)), session, f"{ms}-17 active  ")
    await manager.retention.archive(session, folder)
    before = [(event.offset, list(event.words)) async for event in manager.history(session)]
    done = await manager.retention.archive(session, folder)
    assert done.version == 17
    for path in folder.rglob("*.gz"):
        assert len(lines_of(path)) == 19
    await client.delete(key)
    replayed = [event async for event in _archived(manager, session, folder)]
    assert [(event.offset, list(event.words)) for event in replayed] == before


async def _archived(manager: SessionManager, session: str, folder: Path) -> Any:
    """Yield what the archive alone holds."""
    count = 0
    async for event in manager.retention.replay(session, folder):
        yield event
        count += 1
        if count == 17:
            return


async def test_an_archive_may_end_earlier(manager: SessionManager, session: str, folder: Path, client: Redis) -> None:
    """At an offset, in front of the newest events, at a moment; at the earliest of those that are given."""
    events = [event async for event in manager.history(session)]
    assert (await manager.retention.archive(session, folder, upto=events[3].offset)).version == 4
    assert (await manager.retention.archive(session, folder, keep_events=4)).version == 6
    await until_past(client, events[-1].at)
    await talk(manager, 1)
    after = [event async for event in manager.history(session)][-1]
    assert (await manager.retention.archive(session, folder, older_than=after.at)).version == 10
    everything = {"upto": after.offset, "older_than": after.at, "keep_events": 3}
    assert (await manager.retention.archive(session, folder / "2", **everything)).version == 8
    assert (await manager.retention.archive(session, folder / "3", older_than=timedelta(days=1))).version == 0
    assert (await manager.retention.archive(session, folder / "3", keep_events=99)).files == []


@pytest.mark.parametrize(
    "given",
    [
        {"upto": "1-2"},
        {"upto": "nonsense"},
        {"upto": 7},
        {"upto": "99999999999999-99"},
        {"keep_events": -1},
        {"keep_events": "3"},
        {"older_than": 30},
        {"folder": None},
        {"folder": 3},
    ],
)
async def test_what_is_no_extent_is_refused(
    manager: SessionManager, session: str, folder: Path, given: dict[str, Any]
) -> None:
    """Before anything is written, to the store or to the disk."""
    for method in (manager.retention.archive, manager.retention.trim):
        with pytest.raises(InvalidArgument):
            await method(session, **{"folder": folder, **given})
    assert not folder.exists()
    assert len(await said(manager)) == 10


async def test_an_unknown_session_cannot_be_archived(manager: SessionManager, folder: Path) -> None:
    """Nor trimmed, nor replayed."""
    with pytest.raises(SessionNotFound):
        await manager.retention.archive("nobody", folder)
    with pytest.raises(SessionNotFound):
        await manager.retention.trim("nobody", folder)
    with pytest.raises(SessionNotFound):
        [event async for event in manager.retention.replay("nobody", folder)]
    assert not folder.exists()


@pytest.mark.parametrize(
    "session_id", ["../../etc", ".", "a/b", "é\n", "x" * 512, "a%2fb", "\x00", ":", ":stamp", "CON"]
)
async def test_any_id_has_a_folder_of_its_own(manager: SessionManager, folder: Path, session_id: str) -> None:
    """Inside the archive, whatever the id holds."""
    await manager.create_session("user_1", "agent_1", session_id=session_id)
    [path] = (await manager.retention.trim(session_id, folder)).files
    assert path.parent.parent.parent == folder
    assert [event.version async for event in manager.retention.replay(session_id, folder)] == [1, 2]


def test_two_ids_never_share_a_folder(folder: Path) -> None:
    """Also where a long name is cut."""
    ids = ["a/b", "a%2fb", "a%252fb", "x" * 512, "x" * 511, "x" * 180, "x" * 181, "é", "e"]
    assert len({life_folder(folder, one, 1) for one in ids}) == len(ids)


async def test_an_id_that_is_used_again_has_another_archive(
    manager: SessionManager, session: str, folder: Path, client: Redis
) -> None:
    """What the removed session left is not touched by the new one's, and is no part of its replay."""
    await manager.retention.archive(session, folder)
    created = await manager.get_session(session)
    assert created is not None
    await manager.delete_session(session, purge=True)
    await until_past(client, created.created_at)
    await manager.create_session("user_2", "agent_2", session_id=session)
    await manager.retention.archive(session, folder)
    assert len(list(folder.rglob("*.gz"))) == 2
    assert [event.version async for event in manager.retention.replay(session, folder)] == [1]


@pytest.mark.parametrize("depth", [0, 1, 2])
async def test_a_folder_that_cannot_be_made_is_a_clear_error(
    manager: SessionManager, session: str, folder: Path, depth: int
) -> None:
    """A file stands in its place; nothing is trimmed."""
    created = await manager.get_session(session)
    assert created is not None
    life = life_folder(folder, session, round(created.created_at.timestamp() * 1000))
    place = [folder, life.parent, life][depth]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("in the way")
    for method in (manager.retention.archive, manager.retention.trim):
        with pytest.raises(ArchiveFailed, match="archive") as failed:
            await method(session, folder)
        assert failed.value.problem
    assert len(await said(manager)) == 10


async def test_who_is_cancelled_leaves_no_file(manager: SessionManager, session: str, folder: Path) -> None:
    """At any moment: no unfinished file stays, and the next call is as if there had been none."""
    await manager.append(session, [NoteAdded(text="x" * 100) for _ in range(3_000)])
    for turns in (0, 1, 2, 3, 5, 8, 12, 17, 25, 40):
        work = asyncio.create_task(manager.retention.trim(session, folder, keep_events=100))
        for _ in range(turns):
            await asyncio.sleep(0.001)
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work
        assert not list(folder.rglob("*.part"))
    await manager.retention.trim(session, folder, keep_events=100)
    versions = [event.version async for event in manager.retention.replay(session, folder)]
    assert versions == list(range(1, len(versions) + 1))


async def test_a_note_of_a_million_bytes_is_archived(manager: SessionManager, session: str, folder: Path) -> None:
    """An event as large as there may be."""
    await manager.append(session, NoteAdded(text="x" * 1_000_000))
    await manager.retention.archive(session, folder)
    replayed = [event async for event in manager.retention.replay(session, folder)]
    assert replayed[-1].data == NoteAdded(text="x" * 1_000_000)


__all__ = ["SESSION", "lines_of"]
