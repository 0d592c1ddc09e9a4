"""Exports as CloudEvents and as Parquet, of a time range, and of any size in little memory (G30)."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from redis.asyncio import Redis

from sessionstream import NoteAdded, SessionManager, acting
from sessionstream.errors import InvalidArgument
from sessionstream.transfer import Wanted, export_cloudevents, export_to_file, import_events
from sessionstream.transfer.choosing import Choice
from sessionstream.transfer.parquet import COLUMNS
from tests.conftest import ROOT
from tests.servers import Server


@pytest.fixture
async def session(manager: SessionManager) -> str:
    """A session with an ordinary event, one that says who and why, and one that does not decode."""
    await manager.create_session("u", "a", {"k": [1, None]}, session_id="s\n1")
    with acting(actor="user:4", correlation_id="c", causation_id="before"):
        await manager.append("s\n1", NoteAdded(text="hi ü"))
    key = manager.store.keys.events("s\n1")
    await manager.store.server.call("XADD", key, "9999999999999-3", b"\xff@x", "y", "odd", "1")
    return "s\n1"


async def cloudevents(manager: SessionManager) -> list[dict[str, Any]]:
    """Return every event as a CloudEvent."""
    return [json.loads(line) async for line in export_cloudevents(manager.store)]


async def test_an_event_is_a_cloudevent(manager: SessionManager, session: str) -> None:
    """Of version 1.0: the required attributes, JSON data, and extensions for what sessions have."""
    events = [event async for event in manager.history(session)]
    assert (await cloudevents(manager))[1] == {
        "specversion": "1.0",
        "id": events[1].id,
        "source": f"urn:sessionstream:{manager.settings.namespace}",
        "type": "note.added",
        "subject": "s%0A1",
        "time": events[1].at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": {"text": "hi ü"},
        "sessionoffset": events[1].offset,
        "sessionversion": 2,
        "schemaversion": 1,
        "actor": "user:4",
        "correlationid": "c",
        "causationid": "before",
    }


async def test_every_cloudevent_keeps_the_specification(manager: SessionManager, session: str) -> None:
    """Attributes' names are lower case letters and digits; texts are not empty and hold no control characters."""
    for event in await cloudevents(manager):
        assert {"specversion", "id", "source", "type"} <= event.keys()
        assert ("data" in event) + ("data_base64" in event) <= 1
        for name, value in event.items():
            if name not in ("data", "data_base64"):
                assert name.isalnum()
                assert name == name.lower()
                assert isinstance(value, int) or (value and not any(ord(sign) < 32 for sign in value))
        assert datetime.fromisoformat(event["time"]).tzinfo is not None


async def test_an_entry_that_does_not_decode_is_a_cloudevent_too(manager: SessionManager, session: str) -> None:
    """None is left out; what is no JSON is in base64."""
    damaged = (await cloudevents(manager))[2]
    assert (damaged["id"], damaged["sessionversion"], "data" in damaged) == ("y", 3, False)
    key = manager.store.keys.events(session)
    await manager.store.server.call("XADD", key, "9999999999999-4", "note.added", "i" * 22 + "{no")
    damaged = (await cloudevents(manager))[3]
    assert base64.b64decode(damaged["data_base64"]) == b"{no"


async def test_an_entry_of_no_possible_time_stops_nothing(
    manager: SessionManager, session: str, client: Redis, tmp_path: Path
) -> None:
    """Somebody put it into the stream: a history, a table, lines."""
    last = 2**64 - 1
    await client.xadd(manager.store.keys.events(session), {"note.added": "x"}, id=f"{last}-{last}")
    count = len([event.at async for event in manager.history(session)])
    for shape in ("cloudevents", "parquet"):
        done = await export_to_file(manager.store, tmp_path / shape, Wanted(shape, [session]))
        assert (done.items, done.failures) == (count, [])


async def test_ids_of_cloudevents_are_unique(manager: SessionManager, session: str) -> None:
    """Within their source, also of those that have lost their own."""
    key = manager.store.keys.events(session)
    for version in (4, 5):
        await manager.store.server.call("XADD", key, f"9999999999999-{version}", "note.added", "")
    ids = [event["id"] for event in await cloudevents(manager)]
    assert len(set(ids)) == 5


async def test_events_are_rows_of_a_table(manager: SessionManager, session: str, tmp_path: Path) -> None:
    """With the columns that are documented, whatever pyarrow would guess."""
    path = tmp_path / "events.parquet"
    done = await export_to_file(manager.store, path, Wanted("parquet"))
    table = pyarrow.parquet.read_table(path)
    assert (done.sessions, done.items, table.num_rows) == (1, 3, 3)
    assert table.column_names == list(COLUMNS)
    assert table.schema.field("at").type == pyarrow.timestamp("ms", tz="UTC")
    row = table.to_pylist()[1]
    events = [event async for event in manager.history(session)]
    assert row == {
        "session_id": session,
        "offset": events[1].offset,
        "version": 2,
        "at": events[1].at,
        "type": "note.added",
        "schema_version": 1,
        "event_id": events[1].id,
        "data": '{"text":"hi ü"}',
        "actor": "user:4",
        "correlation_id": "c",
        "causation_id": "before",
    }


async def test_a_table_of_nothing_has_its_columns(manager: SessionManager, tmp_path: Path) -> None:
    """So that whoever reads it needs no special case."""
    await export_to_file(manager.store, tmp_path / "none.parquet", Wanted("parquet"))
    table = pyarrow.parquet.read_table(tmp_path / "none.parquet")
    assert (table.num_rows, table.column_names) == (0, list(COLUMNS))


async def test_without_pyarrow_the_extra_is_named(
    manager: SessionManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing is written."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InvalidArgument, match=r"pip install 'sessionstream\[parquet\]'"):
        await export_to_file(manager.store, tmp_path / "out.parquet", Wanted("parquet"))
    assert list(tmp_path.iterdir()) == []


async def test_row_groups_are_of_bounded_size(manager: SessionManager, tmp_path: Path) -> None:
    """Also where the file is made of parts."""
    await manager.create_session("u", "a", session_id="s")
    for _ in range(3):
        await manager.append("s", [NoteAdded(text="x") for _ in range(4_000)])
    for cursor in (None, tmp_path / "cursor"):
        await export_to_file(manager.store, tmp_path / "out.parquet", Wanted("parquet"), cursor=cursor)
        metadata = pyarrow.parquet.ParquetFile(tmp_path / "out.parquet").metadata
        groups = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
        assert sum(groups) == 12_001
        assert 5_000 < max(groups) <= 10_000


@pytest.fixture
async def moments(manager: SessionManager) -> list[datetime]:
    """Three sessions whose events lie between moments: early in 0–1, both in 0–1 and 2–3, late in 2–3."""
    times = [await moment(manager)]
    for name in ("early", "both"):
        await manager.create_session("u" + name[0], "a", {"n": name}, session_id=name)
    times += [await moment(manager), await moment(manager)]
    await manager.append("both", NoteAdded(text="second"))
    await manager.create_session("ul", "b", {"n": "late"}, session_id="late")
    return [*times, await moment(manager)]


async def moment(manager: SessionManager) -> datetime:
    """Return a moment at which nothing happens."""

    async def passed(ms: int) -> None:
        while await manager.store.now_ms() <= ms:
            await asyncio.sleep(0)

    await passed(await manager.store.now_ms())
    now = await manager.store.now_ms()
    await passed(now)
    return datetime.fromtimestamp(now / 1000, UTC)


Names = Callable[..., Awaitable[list[tuple[str, int]]]]


@pytest.fixture
def names(manager: SessionManager, tmp_path: Path) -> Names:
    """Return the session and the version of each line of an export of CloudEvents."""

    async def of(**wanted: Any) -> list[tuple[str, int]]:
        path = tmp_path / "out.jsonl"
        await export_to_file(manager.store, path, Wanted("cloudevents", **wanted))
        lines = [json.loads(line) for line in path.read_bytes().splitlines()]
        return sorted((line["subject"], line["sessionversion"]) for line in lines)

    return of


async def test_events_of_a_time_range_leave_alone(names: Names, moments: list[datetime]) -> None:
    """Just these, of the sessions that have some."""
    assert await names(since=moments[0], until=moments[1]) == [("both", 1), ("early", 1)]
    assert await names(since=moments[2]) == [("both", 2), ("late", 1)]
    assert await names(until=moments[2]) == [("both", 1), ("early", 1)]
    assert await names(since=moments[1], until=moments[2]) == []


async def test_messages_of_a_time_range_are_whole_sessions(
    manager: SessionManager, moments: list[datetime], tmp_path: Path
) -> None:
    """Of those that have events in it."""
    path = tmp_path / "out.jsonl"
    await export_to_file(manager.store, path, Wanted("messages", since=moments[2]))
    assert sorted(json.loads(line)["n"] for line in path.read_bytes().splitlines()) == ["both", "late"]


async def test_a_choice_and_a_range_go_together(names: Names, moments: list[datetime]) -> None:
    """A user, an agent, names."""
    assert await names(since=moments[2], choice=Choice(user_id="ub")) == [("both", 2)]
    assert await names(until=moments[2], choice=Choice(agent_id="b")) == []
    assert await names(since=moments[2], session_ids=["both", "early"]) == [("both", 2)]


@pytest.mark.parametrize("shape", ["events", "parquet"])
async def test_what_is_of_any_size_takes_little_memory(
    server: Server, manager: SessionManager, make_namespace: Callable[..., str], tmp_path: Path, shape: str
) -> None:
    """With 50,000 events, out, and as events in again, a process grows little further than it does with 10,000."""
    if not Path("/proc/self/status").is_file():
        pytest.skip("only Linux tells how much memory a process has had")
    for name, count in (("small", 2), ("large", 10)):
        await manager.create_session("u", "a", session_id=name)
        for _ in range(count):
            await manager.append(name, [NoteAdded(text="x" * 200) for _ in range(5_000)])
    make_namespace(f"{manager.settings.namespace}-copy")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.transfer.growing_process"),
        *(server.url, manager.settings.namespace, shape, str(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    out, _ = await process.communicate()
    items, grown = out.split()
    assert int(items) == 50_001
    # The allocator of pyarrow keeps some tens of MB, of which the rows that it holds at a time are nine.
    assert float(grown) < (64 if shape == "parquet" else 16), f"{grown.decode()} MB"


async def test_a_session_whose_beginning_was_removed_says_so(manager: SessionManager, tmp_path: Path) -> None:
    """What is there is exported, and cannot be taken for the whole."""
    await manager.create_session("u", "a", session_id="s")
    await manager.append("s", [NoteAdded(text="x") for _ in range(5)])
    offset = [event.offset async for event in manager.history("s")][3]
    await manager.store.server.call("XTRIM", manager.store.keys.events("s"), "MINID", "=", offset)
    path = tmp_path / "out.jsonl"
    done = await export_to_file(manager.store, path, Wanted("events"))
    lines = path.read_bytes().splitlines()
    assert (done.cut, [json.loads(line)["version"] for line in lines]) == (["s"], [4, 5, 6])
    await manager.delete_session("s", purge=True)
    restored = await import_events(manager.store, lines)
    assert [str(one) for one in restored.failures] == ["line 1: session 's' begins with version 4, not 1"]
