"""What an export writes."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest

from sessionstream import NoteAdded, SessionManager
from sessionstream.errors import InvalidArgument, SessionNotFound
from sessionstream.log.store import Store
from sessionstream.transfer import (
    Wanted,
    export_events,
    export_messages,
    export_to_file,
    import_events,
    import_messages,
)
from tests.nodes import lanes_of
from tests.transfer.conftest import MakeManager
from tests.transfer.recorded import everything, line, said, sessions_of


async def test_a_line_has_the_metadata_and_the_messages(store: Store, manager: SessionManager) -> None:
    """And nothing of the store's own."""
    session = await manager.create_session("u", "a", {"k": [1, None], "ü": "x"})
    await manager.add_messages(session.session_id, said("Hi", "Hello"))
    assert await sessions_of(store) == [{"k": [1, None], "ü": "x", "messages": said("Hi", "Hello")}]


async def test_what_was_imported_leaves_as_it_came(store: Store) -> None:
    """Equal as JSON, with all other keys."""
    lines = [line("a", "b", session_id="s", n=1), line("c", deep={"x": [None, 1.5]}), line()]
    await import_messages(store, lines)
    exported = await sessions_of(store)
    assert sorted(map(json.dumps, exported)) == sorted(json.dumps(json.loads(one)) for one in lines)


async def test_with_ids_another_store_gets_the_same_sessions(store: Store, make_manager: MakeManager) -> None:
    """Id, user and agent come back from an import of the export."""
    manager, other = make_manager(store.keys.namespace), make_manager()
    session = await manager.create_session("u", "a", {"k": 1})
    await manager.add_messages(session.session_id, said("Hi"))
    await import_messages(other.store, [one async for one in export_messages(store, with_ids=True)])
    copy = await other.get_session(session.session_id)
    assert copy is not None
    assert (copy.user_id, copy.agent_id, copy.metadata["k"]) == ("u", "a", 1)
    assert await other.messages(session.session_id) == said("Hi")


async def test_retracted_messages_are_left_out(store: Store, manager: SessionManager) -> None:
    """The conversation as it stands."""
    session = await manager.create_session("u", "a")
    await manager.add_messages(session.session_id, said("a", "b", "c"))
    await manager.pop_messages(session.session_id)
    assert [one["messages"] for one in await sessions_of(store)] == [said("a", "b")]


async def test_sessions_leave_in_the_order_of_their_creation(store: Store, manager: SessionManager) -> None:
    """Over all partitions, and past the size of a page."""
    ids = []
    for number in range(30):
        ids.append((await manager.create_session("u", "a", {"number": number})).session_id)
        now = await store.now_ms()
        while await store.now_ms() == now:
            await asyncio.sleep(0)
    assert [one["number"] for one in await sessions_of(store)] == list(range(30))
    named = [json.loads(one)["number"] async for one in export_messages(store, [ids[5], ids[2]])]
    assert named == [5, 2]


async def test_ended_sessions_leave_only_when_named(store: Store, manager: SessionManager) -> None:
    """Their history is kept, so it can still be exported."""
    session = await manager.create_session("u", "a", {"k": 1})
    await manager.delete_session(session.session_id)
    assert await sessions_of(store) == []
    assert await sessions_of(store, session_ids=[session.session_id]) == [{"k": 1, "messages": []}]


async def test_a_named_session_that_is_not_there_is_an_error(store: Store) -> None:
    """Unless somebody asks to be told instead, and the others go on."""
    await import_messages(store, [line("a", session_id="s")])
    with pytest.raises(SessionNotFound, match="nobody"):
        await sessions_of(store, session_ids=["nobody", "s"])
    missing: list[str] = []
    assert len(await sessions_of(store, session_ids=["nobody", "s"], missing=missing.append)) == 1
    assert missing == ["nobody"]


async def test_ids_may_come_one_by_one(store: Store) -> None:
    """An async iterator is read as the export goes on."""
    await import_messages(store, [line("a", session_id="s1"), line("b", session_id="s2")])

    async def ids() -> AsyncIterator[str]:
        yield "s2"
        yield "s1"

    assert [one["session_id"] for one in await sessions_of(store, session_ids=ids())] == ["s2", "s1"]


async def test_events_leave_as_they_are_stored(store: Store, manager: SessionManager) -> None:
    """Every field of every entry, its JSON byte for byte."""
    session = await manager.create_session("u", "a", {"ü": 1.0})
    await manager.append(session.session_id, NoteAdded(text="x"), correlation_id="c")
    stored = await store.server.call("XRANGE", store.keys.events(session.session_id), "-", "+")
    exported = await everything(store)
    assert [one["offset"].encode() for one in exported] == [offset for offset, _ in stored]
    for one, (_, fields) in zip(exported, stored, strict=True):
        name, value, *meta = fields
        assert one["session_id"] == session.session_id
        assert (one["type"].encode(), (one["id"] + one["data"]).encode()) == (name, value)
        assert (one["meta"] or "").encode() == b"".join(meta[1:])
        assert "other" not in one
    assert [one["version"] for one in exported] == [1, 2]


async def test_a_damaged_entry_leaves_as_it_is_stored(store: Store) -> None:
    """Missing fields are null, unknown ones and bytes that are no text are kept."""
    await import_messages(store, [line(session_id="s")])
    key = store.keys.events("s")
    await store.server.call("XADD", key, "99999999999999-2", b"\xff\xfe@x", "y", "odd", "1")
    damaged = (await everything(store))[-1]
    assert (damaged["data"], damaged["id"], damaged["schema_version"]) == (None, "y", 0)
    assert damaged["other"] == [[{"base64": "//5AeA=="}, "y"], ["odd", "1"]]


async def test_a_long_history_is_written_as_it_is_read(store: Store, manager: SessionManager) -> None:
    """The first line comes before the last event is asked for."""
    session = await manager.create_session("u", "a")
    await manager.append(session.session_id, [NoteAdded(text=str(number)) for number in range(1500)])
    before = await commands(store)
    lines = export_events(store)
    await anext(lines)
    assert await commands(store) - before <= 1
    await lines.aclose()  # type: ignore[attr-defined]


async def commands(store: Store) -> int:
    """Return how many pages of streams the server has been asked for."""
    infos = await asyncio.gather(*(lane.call(("INFO", "commandstats")) for lane in await lanes_of(store)))
    found = [row for info in infos for row in info.decode().splitlines() if row.startswith("cmdstat_xrange:")]
    return sum(int(row.split("calls=")[1].split(",")[0]) for row in found)


@pytest.mark.parametrize(
    "wanted",
    [Wanted(session_ids="s"), Wanted(since=datetime(2025, 1, 1)), Wanted(until="2025-01-01"), Wanted(shape="csv")],  # type: ignore[arg-type]
)
async def test_what_cannot_be_wanted_is_refused(manager: SessionManager, tmp_path: Path, wanted: Wanted) -> None:
    """An id in place of a list of ids, a moment without a time zone: before the file is made."""
    with pytest.raises(InvalidArgument):
        await export_to_file(manager.store, str(tmp_path / "out"), wanted)
    assert list(tmp_path.iterdir()) == []


async def test_a_name_in_place_of_a_list_is_refused(manager: SessionManager) -> None:
    """It would be taken for its characters: of an id, and of the path of a file."""
    for exporting in (export_messages, export_events):
        with pytest.raises(InvalidArgument):
            await anext(exporting(manager.store, "s"))
    for importing in (import_messages, import_events):
        with pytest.raises(InvalidArgument):
            await importing(manager.store, "sessions.jsonl")


async def test_a_packed_export_of_nothing_can_be_unpacked(manager: SessionManager, tmp_path: Path) -> None:
    """By any gzip."""
    await export_to_file(manager.store, tmp_path / "out.gz", Wanted())
    assert (tmp_path / "out.gz").read_bytes()[:2] == b"\x1f\x8b"
    assert gzip.decompress((tmp_path / "out.gz").read_bytes()) == b""
