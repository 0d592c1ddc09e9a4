"""G30: an import of events that is interrupted or killed leaves no half of a session, and is completed by another."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import NoteAdded, SessionManager
from sessionstream.errors import InvalidImportLine, SessionNotFound, Unavailable
from sessionstream.transfer import import_events
from sessionstream.transfer.event_lines import read_line
from sessionstream.transfer.restoring import Restoring, ServerClock
from tests.conftest import ROOT
from tests.servers import Server
from tests.sessions.waiting import until
from tests.transfer.conftest import MakeManager
from tests.transfer.worlds import content_of, exported, take_step

_IMPORT = "from sessionstream.cli import main; main()"


@pytest.fixture
async def lines(manager: SessionManager) -> list[bytes]:
    """The lines of a session of 2,001 events, the first of which is a checkpoint."""
    await manager.create_session("u", "a", session_id="s")
    await manager.save_checkpoint("s", {"turn": 1}, checkpoint_id="c")
    await manager.append("s", [NoteAdded(text="x" * 100) for _ in range(1_999)])
    return await exported(manager.store)


@pytest.fixture
def other(make_manager: MakeManager) -> SessionManager:
    """Where to."""
    return make_manager()


@pytest.fixture
async def importing(server: Server, other: SessionManager) -> AsyncIterator[asyncio.subprocess.Process]:
    """An import as a process, of what is written to its standard input."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-c", _IMPORT, "import", "-", "--as", "events"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "SESSIONSTREAM_URL": server.url, "SESSIONSTREAM_NAMESPACE": other.settings.namespace},
        cwd=ROOT,
    )
    yield process
    if process.returncode is None:
        process.kill()
        await process.wait()


async def staged(client: Redis, manager: SessionManager) -> list[bytes]:
    """Return the keys of sessions that are on their way."""
    return [key async for key in client.scan_iter(match=f"{manager.settings.namespace}:*:restoring:*", count=1000)]


async def half_done(process: asyncio.subprocess.Process, lines: list[bytes], client: Redis, to: SessionManager) -> None:
    """Return when the import has written a part of the session and waits for more."""
    assert process.stdin is not None
    process.stdin.write(b"".join(lines[:1_500]))
    await process.stdin.drain()

    async def written() -> bool:
        streams = [key for key in await staged(client, to) if b":events:" in key]
        return bool(streams) and await client.xlen(streams[0]) >= 1_000

    await until(written)


async def test_a_session_is_not_there_before_it_is_whole(
    importing: asyncio.subprocess.Process, lines: list[bytes], client: Redis, other: SessionManager
) -> None:
    """Nobody sees it, and nothing can be appended to it, also when the import was killed in the middle."""
    await half_done(importing, lines, client, other)
    importing.kill()
    await importing.wait()
    assert await other.get_session("s") is None
    assert await other.get_total_session_count() == 0
    with pytest.raises(SessionNotFound):
        await other.append("s", NoteAdded(text="x"))
    keys = await staged(client, other)
    assert keys
    for key in keys:
        assert 0 < await client.pttl(key) <= 3_600_000, "what a killed import leaves is gone in an hour"
    done = await import_events(other.store, lines)
    assert (done.created, done.failures) == (1, [])
    assert await exported(other.store) == lines


async def test_an_import_that_is_interrupted_leaves_nothing(
    importing: asyncio.subprocess.Process, lines: list[bytes], client: Redis, other: SessionManager
) -> None:
    """It says that it was not finished."""
    await half_done(importing, lines, client, other)
    importing.send_signal(signal.SIGINT)
    _, err = await importing.communicate()
    assert importing.returncode == 130
    assert b"run it again" in err
    assert await staged(client, other) == []


async def test_what_has_run_out_meanwhile_is_not_put_in_place(
    lines: list[bytes], client: Redis, other: SessionManager
) -> None:
    """An import that was paused for hours says so, and nothing of the session is there."""
    restoring = Restoring(other.store, "s", ServerClock(other.store))
    events = [read_line(number, line) for number, line in enumerate(lines, 1)]
    await restoring.take(events[:250])
    for key in await staged(client, other):
        await client.delete(key)
    with pytest.raises(InvalidImportLine, match="run the import again"):
        await restoring.take(events[250:500])
    await restoring.drop()
    assert not await other.session_exists("s")


async def test_an_id_that_is_taken_meanwhile_stays_whose_it_is(lines: list[bytes], other: SessionManager) -> None:
    """Somebody creates a session of the same id while the import is under way."""
    restoring = Restoring(other.store, "s", ServerClock(other.store))
    events = [read_line(number, line) for number, line in enumerate(lines, 1)]
    for start in range(0, len(events), 250):
        await restoring.take(events[start : start + 250])
    await other.create_session("v", "b", session_id="s")
    with pytest.raises(InvalidImportLine, match="is there already, with other events"):
        await restoring.finish()
    session = await other.get_session("s")
    assert session is not None
    assert (session.user_id, session.version) == ("v", 1)
    assert [one.session_id for one in await other.get_sessions_by_user("u")] == []


async def test_the_last_step_is_done_once_however_often_it_is_sent(lines: list[bytes], other: SessionManager) -> None:
    """Its answer may be lost: a repeat finds the session there, with these events."""
    restoring = Restoring(other.store, "s", ServerClock(other.store))
    events = [read_line(number, line) for number, line in enumerate(lines, 1)]
    for start in range(0, len(events), 250):
        await restoring.take(events[start : start + 250])
    assert (await restoring.finish()).created
    assert not (await restoring.finish()).created
    assert await exported(other.store) == lines


async def test_a_lost_server_is_no_fault_of_a_line(
    make_server: Callable[..., Server], lines: list[bytes], make_manager: Any
) -> None:
    """The import ends with what happened; the same import again completes it."""
    server = make_server()
    async with SessionManager.open(server.url, namespace="n", deadline=0.5) as gone:
        await gone.get_total_session_count()
        server.stop()
        with pytest.raises(Unavailable):
            await import_events(gone.store, lines)
        server.start()
        assert (await import_events(gone.store, lines)).created == 1


async def test_from_one_kind_of_server_to_the_other(
    manager: SessionManager, make_server: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """From Redis to Valkey or back, through a file: everything that can be read is the same."""
    steps = [(what, number, text) for text in ("a", "bc", "def") for what in _WHATS for number in range(4)]
    for step in steps:
        await take_step(manager, step)
    path = tmp_path / "sessions.jsonl"
    path.write_bytes(b"".join(await exported(manager.store)))
    here = os.environ.get("SESSIONSTREAM_TEST_SERVER", "valkey")
    monkeypatch.setenv("SESSIONSTREAM_TEST_SERVER", "redis" if here == "valkey" else "valkey")
    there = make_server()
    async with SessionManager.open(there.url, namespace="other", partitions=3) as other:
        with path.open("rb") as file:
            done = await import_events(other.store, file)
        assert (done.failures, done.created) == ([], 4)
        assert await content_of(other) == await content_of(manager)


_WHATS = ("create", "message", "note", "batch", "metadata", "save", "odd", "refresh", "again", "state")
