"""How a process comes by the server (G22)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import stat
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sessionstream.wire.embedded import EmbeddedServer
from tests.embedded.stage import SOURCE, Stage, add, notes


async def test_the_socket_lies_in_the_runtime_folder(stage: Stage, runtime: Path) -> None:
    """The data folder holds no socket, so its path may be as long as it likes."""
    lease = await EmbeddedServer.acquire(stage.folder)
    assert Path(lease.socket_path).parent == runtime
    lease.release()


async def test_the_server_answers_when_acquire_returns(stage: Stage) -> None:
    """No caller polls for it."""
    lease = await EmbeddedServer.acquire(stage.folder)
    add(lease.socket_path, "a")
    assert notes(lease.socket_path) == ["a"]
    lease.release()


async def test_nobody_else_may_open_the_socket_or_read_the_data(stage: Stage, runtime: Path) -> None:
    """The folders and the socket are the user's alone."""
    lease = await EmbeddedServer.acquire(stage.folder)
    for path in (runtime, stage.folder, stage.folder / "appendonlydir", Path(lease.socket_path)):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
    lease.release()


async def test_the_first_call_returns_within_300_ms(make_stage: Callable[[Path], Stage], tmp_path: Path) -> None:
    """Nothing runs before it: a supervisor and a server are started."""
    taken = []
    for number in range(5):
        stage = make_stage(tmp_path / str(number))
        before = time.perf_counter()
        lease = await EmbeddedServer.acquire(stage.folder)
        taken.append(time.perf_counter() - before)
        lease.release()
        stage.end()
    assert statistics.median(taken) < 0.3


async def test_the_event_loop_goes_on_meanwhile(stage: Stage) -> None:
    """Starting and waiting are done in a thread."""
    acquiring = asyncio.create_task(EmbeddedServer.acquire(stage.folder))
    turns = 0
    while not acquiring.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns > 100
    (await acquiring).release()


async def test_no_task_and_no_thread_is_left_behind(stage: Stage) -> None:
    """The control connection is a plain socket that nobody watches."""
    lease = await EmbeddedServer.acquire(stage.folder)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert not [thread for thread in threading.enumerate() if "embedded" in thread.name and thread.is_alive()]
    lease.release()


def test_a_lease_outlives_the_thread_and_the_loop_that_took_it(stage: Stage) -> None:
    """The server is tied to the process, not to the thread that started it."""
    leases: list[EmbeddedServer] = []
    thread = threading.Thread(target=lambda: leases.append(asyncio.run(EmbeddedServer.acquire(stage.folder))))
    thread.start()
    thread.join()
    add(leases[0].socket_path, "a")
    assert leases[0].alive()
    leases[0].release()


async def test_a_path_of_200_characters_works(make_stage: Callable[[Path], Stage], tmp_path: Path) -> None:
    """A unix socket's path could not have it."""
    name = "x" * (200 - len(str(tmp_path)) - 1)
    stage = make_stage(tmp_path / name)
    assert len(str(stage.folder)) == 200
    lease = await EmbeddedServer.acquire(stage.folder)
    add(lease.socket_path, "a")
    lease.release()


@pytest.mark.parametrize("name", ["a b", "naïve ☃", "quote\"s and 'those'", "back\\slash", "--save", "deep/er/down"])
async def test_the_folder_may_have_any_name(make_stage: Callable[[Path], Stage], tmp_path: Path, name: str) -> None:
    """What the server makes of its command line is what was meant."""
    stage = make_stage(tmp_path / name)
    lease = await EmbeddedServer.acquire(stage.folder)
    assert (stage.folder / "appendonlydir").is_dir()
    lease.release()


async def test_a_link_to_the_folder_is_the_same_store(stage: Stage, tmp_path: Path) -> None:
    """Links are resolved, so one folder never has two servers."""
    stage.folder.mkdir()
    (tmp_path / "link").symlink_to(stage.folder)
    first, second = [await EmbeddedServer.acquire(folder) for folder in (stage.folder, tmp_path / "link")]
    assert first.socket_path == second.socket_path
    assert second.folder == stage.folder
    first.release()
    second.release()


async def test_without_a_folder_it_is_the_users_own(
    make_stage: Callable[[Path], Stage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lies where the platform keeps the data of users."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    lease = await EmbeddedServer.acquire()
    make_stage(lease.folder)
    assert lease.folder.is_relative_to(tmp_path)
    assert lease.folder.name == "sessionstream"
    lease.release()


@pytest.mark.parametrize("count", [2, 8])
def test_processes_that_start_at_once_share_one_server(stage: Stage, count: int) -> None:
    """One supervisor wins the folder; the others wait for its server."""
    actors = [stage.actor() for _ in range(count)]
    for actor in actors:
        actor.say("acquire")
    sockets = {actor.hear() for actor in actors}
    assert len(sockets) == len(stage.servers()) == len(stage.supervisors()) == 1
    assert [actor.do("alive") for actor in actors] == ["True"] * count


async def test_who_hangs_up_while_the_server_starts_takes_it_from_nobody(stage: Stage) -> None:
    """As every process does that meant to start it and came second: it calls only to see whether somebody listens."""
    lease_is_there = threading.Event()

    def call_and_hang_up() -> None:
        while not lease_is_there.is_set():
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as control:
                control.connect((stage.folder / "control").read_bytes())

    calling = asyncio.create_task(asyncio.to_thread(call_and_hang_up))
    try:
        lease = await EmbeddedServer.acquire(stage.folder)
    finally:
        lease_is_there.set()
        await calling
    # The answer to somebody new comes after all that the supervisor had to do when the server was ready.
    await asyncio.to_thread(stage.actor, "acquire")
    assert lease.alive()
    lease.release()


async def test_acquires_at_once_in_one_process_share_one_connection(stage: Stage) -> None:
    """Also from several threads and loops; the supervisor has one user to count."""

    def in_another_loop() -> EmbeddedServer:
        return asyncio.run(EmbeddedServer.acquire(stage.folder))

    here = [EmbeddedServer.acquire(stage.folder) for _ in range(4)]
    elsewhere = [asyncio.to_thread(in_another_loop) for _ in range(4)]
    leases = await asyncio.gather(*here, *elsewhere)
    assert len({lease._hold._control for lease in leases}) == 1
    for lease in leases:
        lease.release()


async def test_a_cancelled_acquire_leaves_no_user_behind(stage: Stage) -> None:
    """The thread that it started finds nobody who wants the connection."""
    acquiring = asyncio.create_task(EmbeddedServer.acquire(stage.folder))
    await asyncio.sleep(0)
    acquiring.cancel()
    with pytest.raises(asyncio.CancelledError):
        await acquiring
    await asyncio.to_thread(stage.end)


def test_the_supervisor_imports_little() -> None:
    """It is on the way of the first call: the standard library only, and no asyncio."""
    code = (
        f"import sys; sys.path.append({SOURCE!r}); import sessionstream.wire.embedded.supervisor.start;"
        "print(*{name.partition('.')[0] for name in sys.modules} & {'asyncio', 'redis', 'pathlib', 'subprocess'})"
    )
    shown = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == ""
