"""What a newer version has written is refused with a clear error, and nothing is written beside it. G43."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import NoteAdded, Projection, SessionManager, UnknownEvent
from sessionstream.errors import (
    ArchiveDamaged,
    IntegrityError,
    InvalidAnchor,
    InvalidArgument,
    InvalidEvidence,
    NamespaceMismatch,
)
from sessionstream.integrity.keyring import Keyring
from sessionstream.integrity.offline import verify_evidence
from sessionstream.log.stamp import FORMAT
from sessionstream.transfer import Wanted, export_events, export_to_file, import_events

pytestmark = pytest.mark.guarantee

Open = Callable[..., SessionManager]
KEY = "0123456789abcdef0123456789abcdef"

_CALLS: dict[str, Callable[[SessionManager, Path], Awaitable[Any]]] = {
    "append": lambda manager, folder: manager.append("s", NoteAdded(text="y")),
    "create": lambda manager, folder: manager.create_session("user_2", "assistant"),
    "read": lambda manager, folder: manager.get_session("s"),
    "lock": lambda manager, folder: manager.acquire_lock("s"),
    "checkpoint": lambda manager, folder: manager.save_checkpoint("s", {}),
    "publish": lambda manager, folder: manager.publish("s", {}),
    "follow": lambda manager, folder: _first(manager.follow("s")),
    "follow all": lambda manager, folder: _first(manager.follow_all()),
    "consume": lambda manager, folder: _first(manager.consumers.join("group")),
    "project": lambda manager, folder: _entered(manager.consumers.project(Projection("mine"))),
    "status": lambda manager, folder: manager.consumers.status("group"),
    "reset": lambda manager, folder: manager.consumers.reset("group", "beginning"),
    "fork": lambda manager, folder: manager.audit.fork("s", at=1),
    "seal": lambda manager, folder: manager.audit.seal("s"),
    "verify": lambda manager, folder: manager.audit.verify("s"),
    "evidence": lambda manager, folder: manager.audit.evidence("s", folder / "evidence"),
    "hold": lambda manager, folder: manager.retention.hold("s", "why"),
    "trim": lambda manager, folder: manager.retention.trim("s", folder),
    "rebuild": lambda manager, folder: manager.rebuild(),
    "rebuild one": lambda manager, folder: manager.rebuild("s"),
    "clean up": lambda manager, folder: manager.cleanup_expired_sessions(),
    "erase": lambda manager, folder: manager.erase_user("user_1"),
    "delete": lambda manager, folder: manager.delete_session("s", purge=True),
}


async def _first(opened: Any) -> None:
    async with opened as items:
        await anext(aiter(items))


async def _entered(opened: Any) -> None:
    async with opened:
        pass


async def _dump(client: Redis, namespace: str) -> dict[bytes, bytes]:
    return {key: await client.dump(key) async for key in client.scan_iter(match=f"{namespace}:*")}


async def _restamp(client: Redis, manager: SessionManager, change: Callable[[bytes], bytes]) -> None:
    for partition in range(manager.settings.partitions):
        key = manager.store.keys.log(partition)
        if stamp := await client.hget(key, ":stamp"):
            await client.hset(key, ":stamp", change(stamp))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda stamp: stamp.replace(b"format=%d" % FORMAT, b"format=%d" % (FORMAT + 1)), f"format {FORMAT + 1}"),
        (lambda stamp: stamp + b" sealed=2", "sealed=2, which this version does not know"),
    ],
    ids=["another format", "a word more"],
)
async def test_a_namespace_of_a_newer_format_is_refused_by_every_call(
    open_manager: Open, client: Redis, namespace: str, tmp_path: Path, change: Callable[[bytes], bytes], says: str
) -> None:
    """Reading or writing, whatever of it is asked for first; no key differs afterwards."""
    maker = open_manager(partitions=2)
    await maker.create_session("user_1", "assistant", session_id="s")
    await _restamp(client, maker, change)
    before = await _dump(client, namespace)
    for name, call in _CALLS.items():
        stranger = open_manager(partitions=2, seal_key=KEY)
        with pytest.raises(NamespaceMismatch, match=says):
            await call(stranger, tmp_path)
            pytest.fail(f"{name} was not refused")
        assert await _dump(client, namespace) == before, name
    assert list(tmp_path.iterdir()) == []


async def test_a_writer_that_was_there_before_is_refused_at_once(
    open_manager: Open, client: Redis, namespace: str
) -> None:
    """It does not try until its deadline."""
    manager = open_manager(deadline=60)
    await manager.create_session("user_1", "assistant", session_id="s")
    await _restamp(client, manager, lambda stamp: stamp + b" sealed=2")
    with pytest.raises(NamespaceMismatch, match="sealed=2"):
        await manager.append("s", NoteAdded(text="y"))


async def test_an_event_of_a_newer_version_is_read_on_and_not_lost(open_manager: Open, client: Redis) -> None:
    """It is an `UnknownEvent` with its bytes, and the same in an export."""
    manager = open_manager()
    await manager.create_session("user_1", "assistant", session_id="s")
    await client.xadd(manager.store.keys.events("s"), {"note.added@9": "x" * 22 + '{"shade":1}'}, id="9999999999999-2")
    events = [event async for event in manager.history("s")]
    assert events[-1].data == UnknownEvent("note.added", 9, b'{"shade":1}')
    lines = [json.loads(line) async for line in export_events(manager.store, ["s"])]
    assert (lines[-1]["schema_version"], lines[-1]["data"]) == (9, '{"shade":1}')


def test_a_cursor_of_a_newer_version_is_said_to_be_one(open_manager: Open) -> None:
    """Not to be damaged."""
    manager = open_manager()
    with pytest.raises(InvalidArgument, match="a cursor of a newer version"):
        manager.follow_all(after="c2AAAA")


async def _export(manager: SessionManager) -> list[bytes]:
    await manager.create_session("user_1", "assistant", session_id="s")
    return [line async for line in export_events(manager.store, ["s"])]


async def test_a_line_of_a_newer_export_is_said_to_be_one(
    open_manager: Open, make_namespace: Callable[[], str]
) -> None:
    """Whatever else it holds; nothing of its session is written."""
    lines = await _export(open_manager())
    elsewhere = open_manager(namespace=make_namespace())
    for more in ({"format": 2}, {"format": 2, "shade": 1}):
        changed = [json.dumps({**json.loads(line), **more}).encode() for line in lines]
        restored = await import_events(elsewhere.store, changed)
        assert restored.created == 0
        assert "it is of format 2" in str(restored.failures[0])
    assert await elsewhere.get_total_session_count() == 0


async def test_the_cursor_of_a_newer_export_is_said_to_be_one(open_manager: Open, tmp_path: Path) -> None:
    """The file that was to be continued is as it was."""
    manager, cursor = open_manager(), tmp_path / "cursor"
    await _export(manager)
    cursor.write_text(json.dumps({"format": 2, "shade": 1}))
    with pytest.raises(InvalidArgument, match="in format 2, and this version reads format 1"):
        await export_to_file(manager.store, tmp_path / "out", Wanted(), cursor=cursor)
    assert cursor.read_text() == json.dumps({"format": 2, "shade": 1})


async def test_an_archive_of_a_newer_format_is_refused(open_manager: Open, tmp_path: Path) -> None:
    """Nothing is trimmed behind it."""
    manager = open_manager()
    await manager.create_session("user_1", "assistant", session_id="s")
    await manager.append("s", [NoteAdded(text=str(number)) for number in range(5)])
    await manager.retention.archive("s", tmp_path, upto=None, keep_events=3, compress=False)
    (path,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    path.write_bytes(path.read_bytes().replace(b'"format":1', b'"format":2', 1))
    with pytest.raises(ArchiveDamaged, match="of format 2, this process reads 1"):
        await manager.retention.trim("s", tmp_path, keep_events=1, compress=False)
    assert len([event async for event in manager.history("s")]) == 6


async def test_files_for_auditors_of_a_newer_format_are_refused(open_manager: Open, tmp_path: Path) -> None:
    """Anchors and evidence name the format that they have, and what this version reads."""
    manager, anchor, evidence = open_manager(seal_key=KEY), tmp_path / "anchor", tmp_path / "evidence"
    await manager.create_session("user_1", "assistant", session_id="s")
    async for _ in manager.audit.seal_all(anchor=anchor):
        pass
    await manager.audit.evidence("s", evidence)
    for path, kind in ((anchor, b"anchor"), (evidence, b"evidence")):
        path.write_bytes(path.read_bytes().replace(b'"%b":1' % kind, b'"%b":2' % kind, 1))
    with pytest.raises(InvalidAnchor, match="anchor of format 2: this version reads format 1"):
        await manager.audit.verify("s", anchor=anchor)
    with pytest.raises(InvalidEvidence, match="evidence of format 2: this version reads format 1"):
        verify_evidence(evidence, Keyring.of(manager.settings))


async def test_a_seal_of_a_newer_format_is_not_taken_for_an_altered_one(open_manager: Open, client: Redis) -> None:
    """What it covers is told as unchecked, and nothing is sealed behind it."""
    manager = open_manager(seal_key=KEY)
    await manager.create_session("user_1", "assistant", session_id="s")
    await manager.audit.seal("s")
    key = manager.store.keys.seals("s")
    seal = {**json.loads(await client.lindex(key, 0)), "format": 2, "digest": "another", "tags": "AAAA", "shade": 1}
    await client.lset(key, 0, json.dumps(seal))
    verified = await manager.audit.verify("s")
    assert (verified.ok, verified.unproven, verified.sealed_to) == (True, True, 0)
    assert any("in format 2, which this version does not know" in claim.why for claim in verified.unchecked)
    await manager.append("s", NoteAdded(text="x"))
    with pytest.raises(IntegrityError, match="format 2, which this version does not make"):
        await manager.audit.seal("s")
    assert await client.llen(key) == 1


async def test_a_base_of_another_format_is_as_if_it_were_not_there(open_manager: Open, client: Redis) -> None:
    """The past is folded from the events, and a base is kept anew."""
    manager = open_manager()
    await manager.create_session("user_1", "assistant", {"a": 1}, session_id="s")
    await manager.append("s", [NoteAdded(text=str(number)) for number in range(1100)])
    before = await manager.audit.as_of("s", version=1090)
    key = manager.store.keys.bases("s")
    for field, value in (await client.hgetall(key)).items():
        await client.hset(key, field, b"2" * 32 + value[32:])
    await client.hset(key, "base 2 of a newer version", b"\x02")
    assert await manager.audit.as_of("s", version=1090) == before


async def test_views_of_a_newer_projection_are_not_built_over(manager: SessionManager) -> None:
    """A process with the version before is told which one is in use."""
    async with manager.consumers.project(Projection("mine", version=2)) as running:
        await running.in_use()
    with pytest.raises(InvalidArgument, match="'mine' is at version 2 here, this process has 1"):
        async with manager.consumers.project(Projection("mine", version=1)):
            pass
