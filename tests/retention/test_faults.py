"""G35 under faults: a full disk, a killed process, files that are cut short or altered; nothing is lost by any."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import random
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from sessionstream import ArchiveDamaged, NoteAdded, SessionManager
from tests.retention.conftest import SESSION, said, talk
from tests.servers import Server

Start = Callable[..., "asyncio.Future[asyncio.subprocess.Process]"]

CHILD = """
import asyncio, resource, signal, sys
from sessionstream import SessionManager
from sessionstream.retention import keeping, files

async def main():
    url, namespace, session, folder, fault = sys.argv[1:]
    if fault == "stop before the trim":
        async def trim(*_):
            print("archived", flush=True)
            await asyncio.sleep(600)
        keeping.trim = trim
    if fault == "stop before the rename":
        def replace(*_):
            print("written", flush=True)
            signal.pause()
        files.os.replace = replace
    if fault.isdigit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(fault), int(fault)))
    async with SessionManager(url=url, namespace=namespace) as manager:
        try:
            await manager.retention.trim(session, folder, compress=False)
        except Exception as error:
            print(type(error).__name__, error, flush=True)

asyncio.run(main())
"""


@pytest.fixture
async def start(server: Server, namespace: str) -> AsyncIterator[Callable[..., object]]:
    """Trim the session in a process of its own, which meets a fault: ``await start(folder, "fault")``."""
    started: list[asyncio.subprocess.Process] = []

    async def begin(folder: Path, fault: str) -> asyncio.subprocess.Process:
        words = (sys.executable, "-c", CHILD, server.unix_url, namespace, SESSION, str(folder), fault)
        started.append(await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE))
        return started[-1]

    yield begin
    for process in started:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def first_line(process: asyncio.subprocess.Process) -> str:
    """Return what a process says first."""
    assert process.stdout is not None
    return (await process.stdout.readline()).decode()


@pytest.mark.parametrize(("fault", "files"), [("stop before the trim", 1), ("stop before the rename", 0)])
async def test_a_trim_that_was_killed_may_be_run_again(
    manager: SessionManager, session: str, folder: Path, start: Start, fault: str, files: int
) -> None:
    """Killed between archive and trim, or before the file has its name: nothing is gone, and it is completed."""
    process = await start(folder, fault)
    assert await first_line(process)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    assert len(await said(manager)) == 10
    assert len(list(folder.rglob("*.jsonl"))) == files
    done = await manager.retention.trim(session, folder, compress=False)
    assert (done.trimmed, len(done.files)) == (10, 1)
    assert [event.version async for event in manager.retention.replay(session, folder)] == list(range(1, 12))


@pytest.mark.parametrize("room", [0, 5_000])
async def test_a_full_disk_leaves_the_session_as_it_is(
    manager: SessionManager, session: str, folder: Path, start: Start, room: int
) -> None:
    """The error says so, no file is left that is not whole, and with room again it goes on."""
    await talk(manager, 100)
    process = await start(folder, str(room))
    said_by_it = await first_line(process)
    assert said_by_it.startswith("ArchiveFailed")
    assert "File too large" in said_by_it
    assert await process.wait() == 0
    assert [path for path in folder.rglob("*") if path.is_file()] == []
    assert len(await said(manager)) == 110
    assert (await manager.retention.trim(session, folder)).trimmed == 110


def _cut(raw: bytes) -> bytes:
    return raw[: len(raw) // 2]


def _without_its_end(raw: bytes) -> bytes:
    return raw[:-1]


def _without_its_last_line(raw: bytes) -> bytes:
    return b"\n".join(raw.splitlines()[:-1]) + b"\n"


def _without_a_line(raw: bytes) -> bytes:
    lines = raw.splitlines(keepends=True)
    return b"".join([*lines[:4], *lines[5:]])


def _swapped(raw: bytes) -> bytes:
    lines = raw.splitlines(keepends=True)
    return b"".join([*lines[:4], lines[5], lines[4], *lines[6:]])


def _edited(raw: bytes) -> bytes:
    return raw.replace(b"message 5", b"message 6")


def _of_another(raw: bytes) -> bytes:
    return raw.replace(SESSION.encode(), b"sess_else")


def _of_another_namespace(raw: bytes) -> bytes:
    return raw.replace(b'"namespace":"t', b'"namespace":"u')


def _with_more(raw: bytes) -> bytes:
    return raw + b"{}\n"


def _of_a_later_format(raw: bytes) -> bytes:
    return raw.replace(b'"format":1', b'"format":9')


def _empty(raw: bytes) -> bytes:
    return b""


def _zeros(raw: bytes) -> bytes:
    return bytes(len(raw))


DAMAGES = (
    *(_cut, _without_its_end, _without_its_last_line, _without_a_line, _swapped, _edited, _of_another),
    *(_of_another_namespace, _with_more, _of_a_later_format, _empty, _zeros),
)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("compress", [True, False])
async def test_a_damaged_file_is_named_and_nothing_is_trimmed(
    manager: SessionManager, session: str, folder: Path, damage: Callable[[bytes], bytes], compress: bool
) -> None:
    """Before a trim, and on a replay after one, none of whose events is given."""
    [path] = (await manager.retention.archive(session, folder, compress=compress)).files
    whole = path.read_bytes()
    altered = gzip.compress(damage(gzip.decompress(whole))) if compress else damage(whole)
    path.write_bytes(altered)
    for work in (manager.retention.archive(session, folder), manager.retention.trim(session, folder)):
        with pytest.raises(ArchiveDamaged) as found:
            await work
        assert found.value.path == str(path)
    assert len(await said(manager)) == 10
    path.write_bytes(whole)
    await manager.retention.trim(session, folder)
    path.write_bytes(altered)
    given = []
    with pytest.raises(ArchiveDamaged, match=path.name):
        async for event in manager.retention.replay(session, folder):
            given.append(event)
    assert given == []


@pytest.mark.parametrize("compress", [True, False])
async def test_no_byte_of_a_file_can_be_altered_unnoticed(
    manager: SessionManager, session: str, folder: Path, compress: bool
) -> None:
    """Each of many, drawn at random, and cut off at as many places; unpacked it is another text, or none."""
    [path] = (await manager.retention.archive(session, folder, compress=compress)).files
    whole = path.read_bytes()
    drawn = random.Random(7)
    for _ in range(60):
        place = drawn.randrange(len(whole))
        flipped = bytearray(whole)
        flipped[place] ^= 1 << drawn.randrange(8)
        for altered in (bytes(flipped), whole[:place]):
            path.write_bytes(altered)
            if compress and _unpacked(altered) == gzip.decompress(whole):
                continue  # the name, the time or the system in the packed file's own head
            with pytest.raises(ArchiveDamaged):
                await manager.retention.trim(session, folder)
    assert len(await said(manager)) == 10


def _unpacked(raw: bytes) -> bytes | None:
    try:
        return gzip.decompress(raw)
    except Exception:
        return None


async def test_a_whole_file_that_tells_of_other_events_is_noticed(
    manager: SessionManager, session: str, folder: Path, tmp_path: Path
) -> None:
    """Made anew with all its sums right: it is not what the stream holds, and not the file that the trim told of."""
    [path] = (await manager.retention.archive(session, folder, compress=False)).files
    real = path.read_bytes()

    *lines, foot = real.replace(b"message 5", b"message 6").splitlines(keepends=True)
    told = json.loads(foot) | {"sha256": hashlib.sha256(b"".join(lines)).hexdigest()}
    forged = b"".join([*lines, json.dumps(told).encode() + b"\n"])
    path.write_bytes(forged)
    with pytest.raises(ArchiveDamaged, match="not what the stream holds"):
        await manager.retention.trim(session, folder)
    path.write_bytes(real)
    await manager.retention.trim(session, folder)
    path.write_bytes(forged)
    with pytest.raises(ArchiveDamaged, match="not the file that was written"):
        [event async for event in manager.retention.replay(session, folder)]


async def test_a_file_that_is_missing_is_noticed(manager: SessionManager, session: str, folder: Path) -> None:
    """The first, one in the middle, the last, all of them."""
    files: list[Path] = []
    for _ in range(3):
        await manager.append(session, NoteAdded(text="x"))
        files += [path for path in (await manager.retention.trim(session, folder)).files if path not in files]
    assert len(files) == 3
    for path in files:
        hidden = path.rename(path.with_suffix(".hidden"))
        with pytest.raises(ArchiveDamaged, match="neither here nor in the stream"):
            [event async for event in manager.retention.replay(session, folder)]
        hidden.rename(path)
    with pytest.raises(ArchiveDamaged):
        [event async for event in manager.retention.replay(session, folder / "elsewhere")]
    assert [event.version async for event in manager.retention.replay(session, folder)] == list(range(1, 17))


async def test_a_file_that_cannot_be_read_is_a_clear_error(manager: SessionManager, session: str, folder: Path) -> None:
    """A folder stands in its place."""
    [path] = (await manager.retention.archive(session, folder)).files
    path.unlink()
    path.mkdir()
    with pytest.raises(Exception, match="Is a directory"):
        await manager.retention.trim(session, folder)
    assert len(await said(manager)) == 10
