"""G30: an export that was interrupted goes on where it stopped, with nothing left out and nothing twice."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from sessionstream import NoteAdded, SessionManager
from sessionstream.errors import InvalidArgument
from sessionstream.transfer import Exported, Wanted, export_to_file, outward
from sessionstream.transfer.outlets import LineFile
from tests.conftest import ROOT
from tests.servers import Server

SHAPES = {
    "messages": "out.jsonl",
    "events": "out.jsonl.gz",
    "cloudevents": "out.jsonl",
    "parquet": "out.parquet",
}


@pytest.fixture
async def sessions(manager: SessionManager) -> SessionManager:
    """Sixty sessions, of which some are longer than a page."""
    for number in range(60):
        name = f"s{number:02}"
        await manager.create_session("u", "a", {"n": number}, session_id=name)
        count = 1_500 if number % 20 == 7 else 20
        await manager.append(name, [NoteAdded(text=f"{number} {at} {'x' * 50}") for at in range(count)])
    return manager


def content(path: Path) -> Any:
    """Return what is in an export's file, whatever it is packed in."""
    if path.suffix == ".parquet":
        return pyarrow.parquet.read_table(path).to_pylist()
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


class Stopped(Exception):
    """The export was interrupted here."""


@pytest.mark.parametrize("shape", SHAPES)
async def test_an_export_that_is_cancelled_again_and_again_is_whole_in_the_end(
    sessions: SessionManager, tmp_path: Path, shape: str
) -> None:
    """As one that nobody interrupted; the file appears when it is whole, and nothing is left beside it."""
    store, wanted = sessions.store, Wanted(shape)
    whole, path, cursor = tmp_path / f"whole-{SHAPES[shape]}", tmp_path / SHAPES[shape], tmp_path / "cursor"
    await export_to_file(store, whole, wanted)
    calls, rng = 0, random.Random(7)
    while not path.exists():
        calls += 1
        left = rng.randrange(1, 12 if shape == "messages" else 2_500)

        def stop(done: Exported, passed: float) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise asyncio.CancelledError

        with contextlib.suppress(asyncio.CancelledError):
            done = await export_to_file(store, path, wanted, cursor=cursor, progress=stop)
    assert calls > 3
    assert content(path) == content(whole)
    assert (done.sessions, done.resumed) == (60, True)
    assert {one.name for one in tmp_path.iterdir()} == {path.name, whole.name}


@pytest.fixture
async def killed(
    server: Server, sessions: SessionManager, tmp_path: Path
) -> AsyncIterator[Callable[..., Awaitable[int]]]:
    """Run an export as a process, and stop it by a signal when it has noted so many positions; return its code."""
    started: list[asyncio.subprocess.Process] = []

    async def run(shape: str, path: Path, number: signal.Signals, after: int) -> int:
        words = ("-m", "tests.transfer.exporting_process", server.url, sessions.settings.namespace, shape)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *words, str(path), str(tmp_path / "cursor"), str(after + 2)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            cwd=ROOT,
        )
        started.append(process)
        assert process.stdout is not None
        for _ in range(after):
            if not await process.stdout.readline():
                return await process.wait()
        process.send_signal(number)
        # What it says meanwhile must not hold it up.
        await process.stdout.read()
        return await process.wait()

    yield run
    for process in started:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize(
    ("shape", "number"), [("events", signal.SIGKILL), ("parquet", signal.SIGKILL), ("events", signal.SIGINT)]
)
async def test_an_export_that_is_killed_is_gone_on_from(
    killed: Callable[..., Awaitable[int]],
    sessions: SessionManager,
    tmp_path: Path,
    shape: str,
    number: signal.Signals,
) -> None:
    """From the last position that was noted: what the file holds beyond it is cut off."""
    whole, path = tmp_path / f"whole-{SHAPES[shape]}", tmp_path / SHAPES[shape]
    await export_to_file(sessions.store, whole, Wanted(shape))
    for after in (1, 3):
        assert await killed(shape, path, number, after) != 0
        assert not path.exists()
    await export_to_file(sessions.store, path, Wanted(shape), cursor=tmp_path / "cursor")
    assert content(path) == content(whole)


async def test_what_came_meanwhile_is_in_it(
    sessions: SessionManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New events of sessions that were not written yet, and new sessions; none of those written is repeated."""
    path, cursor = tmp_path / "out.jsonl", tmp_path / "cursor"

    def stop(done: Exported, passed: float) -> None:
        if done.items == 100:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await export_to_file(sessions.store, path, Wanted("events"), cursor=cursor, progress=stop)
    await sessions.append("s59", NoteAdded(text="late"))
    await sessions.create_session("u", "a", session_id="late")
    done = await export_to_file(sessions.store, path, Wanted("events"), cursor=cursor)
    lines = path.read_bytes().splitlines()
    assert (done.sessions, done.items, len(set(lines))) == (61, len(lines), len(lines))
    assert b'"session_id":"late"' in lines[-1]
    assert sum(b"late" in line for line in lines) == 2


async def test_named_sessions_are_gone_on_from_in_their_order(sessions: SessionManager, tmp_path: Path) -> None:
    """Where the export stopped among them."""
    path, cursor, wanted = tmp_path / "out.jsonl", tmp_path / "cursor", Wanted("messages", ["s03", "s01", "s02"])

    def stop(done: Exported, passed: float) -> None:
        raise asyncio.CancelledError

    for _ in range(2):
        with pytest.raises(asyncio.CancelledError):
            await export_to_file(sessions.store, path, wanted, cursor=cursor, progress=stop)
    await export_to_file(sessions.store, path, wanted, cursor=cursor)
    assert [line[:6] for line in path.read_bytes().splitlines()] == [b'{"n":3', b'{"n":1', b'{"n":2']


async def test_what_was_not_exported_is_told_in_the_end(sessions: SessionManager, tmp_path: Path) -> None:
    """Once each, though a call before came upon it and was interrupted."""
    fork = (await sessions.audit.fork("s00", at=2)).session_id
    await sessions.delete_session("s00", purge=True)
    path, cursor = tmp_path / "out.jsonl", tmp_path / "cursor"

    def stop(done: Exported, passed: float) -> None:
        raise asyncio.CancelledError

    wanted = Wanted("messages", ["nobody", fork, "s01", "none", "s02"])
    for _ in range(2):
        with pytest.raises(asyncio.CancelledError):
            await export_to_file(sessions.store, path, wanted, cursor=cursor, progress=stop)
    done = await export_to_file(sessions.store, path, wanted, cursor=cursor)
    assert (done.missing, [name for name, _ in done.failures]) == (["nobody", "none"], [fork])
    assert (done.sessions, len(path.read_bytes().splitlines())) == (2, 2)


async def test_a_session_that_was_made_anew_comes_in_its_place(sessions: SessionManager, tmp_path: Path) -> None:
    """Between two calls: what was created before it is not left out."""
    path, cursor = tmp_path / "out.jsonl", tmp_path / "cursor"

    def stop(done: Exported, passed: float) -> None:
        if done.items == 10:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await export_to_file(sessions.store, path, Wanted("events"), cursor=cursor, progress=stop)
    await sessions.delete_session("s00", purge=True)
    await sessions.create_session("u", "a", session_id="s00")
    done = await export_to_file(sessions.store, path, Wanted("events"), cursor=cursor)
    assert (done.sessions, done.missing) == (61, ["s00"])
    assert {f"s{number:02}" for number in range(60)} == {
        json.loads(line)["session_id"] for line in path.read_bytes().splitlines()
    }


@pytest.fixture
async def begun(sessions: SessionManager, tmp_path: Path) -> Path:
    """The cursor of an export of events that was interrupted."""

    def stop(done: Exported, passed: float) -> None:
        if done.items == 100:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await export_to_file(
            sessions.store, tmp_path / "out.jsonl", Wanted("events"), cursor=tmp_path / "cursor", progress=stop
        )
    return tmp_path / "cursor"


async def test_a_cursor_is_of_one_export(
    begun: Path, sessions: SessionManager, make_manager: Any, tmp_path: Path
) -> None:
    """Of one namespace and of the same options: with any other it is refused, and nothing is written."""
    part = (tmp_path / "out.jsonl.part").read_bytes()
    with pytest.raises(InvalidArgument, match="with other options"):
        await export_to_file(sessions.store, tmp_path / "out.jsonl", Wanted("cloudevents"), cursor=begun)
    with pytest.raises(InvalidArgument, match="of namespace"):
        await export_to_file(make_manager().store, tmp_path / "out.jsonl", Wanted("events"), cursor=begun)
    assert (tmp_path / "out.jsonl.part").read_bytes() == part


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"namespace":"x"}', b"\xff"])
async def test_a_file_that_is_no_cursor_is_refused(sessions: SessionManager, tmp_path: Path, data: bytes) -> None:
    """Cut short or altered: it says what to do."""
    (tmp_path / "cursor").write_bytes(data)
    with pytest.raises(InvalidArgument, match="remove it to begin anew"):
        await export_to_file(sessions.store, tmp_path / "out", Wanted("events"), cursor=tmp_path / "cursor")


async def test_an_output_that_was_cut_short_is_refused(begun: Path, sessions: SessionManager, tmp_path: Path) -> None:
    """What the cursor tells of has to be there."""
    os.truncate(tmp_path / "out.jsonl.part", 10)
    with pytest.raises(InvalidArgument, match="fewer bytes than the cursor tells of"):
        await export_to_file(sessions.store, tmp_path / "out.jsonl", Wanted("events"), cursor=begun)


async def test_a_full_disk_loses_nothing_that_was_noted(
    sessions: SessionManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is an error that names the file; with room again the same call goes on."""
    monkeypatch.setattr(outward, "_SAVE_BYTES", 10_000)
    whole, path, cursor = tmp_path / "whole.jsonl", tmp_path / "out.jsonl", tmp_path / "cursor"
    await export_to_file(sessions.store, whole, Wanted("events"))
    if not hasattr(os, "fork"):
        pytest.skip("there is no limit for the size of files here")
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, before[1]))
        with pytest.raises(InvalidArgument, match=r"out\.jsonl: "):
            await export_to_file(sessions.store, path, Wanted("events"), cursor=cursor)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    done = await export_to_file(sessions.store, path, Wanted("events"), cursor=cursor)
    assert done.resumed
    assert path.read_bytes() == whole.read_bytes()


def test_a_packed_file_can_be_cut_wherever_it_was_saved(tmp_path: Path) -> None:
    """And gone on with; what was written behind is not in it."""
    path = tmp_path / "out.gz"
    with LineFile(path, resumable=True) as file:
        file.write(b"one\n")
        size = file.save()
        file.write(b"lost\n")
    with LineFile(path, resumed=size, resumable=True) as file:
        file.write(b"two\n")
        file.finish()
    assert gzip.decompress(path.read_bytes()) == b"one\ntwo\n"
