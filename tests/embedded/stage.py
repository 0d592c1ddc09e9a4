"""What the tests of the embedded server stand on: processes, and waiting for what must come true."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import redis

import sessionstream

__all__ = ["DEADLINE", "SOURCE", "Actor", "Stage", "add", "environment", "notes", "until"]

DEADLINE = 15.0
SOURCE = str(Path(sessionstream.__file__).parents[1])
ROOT = str(Path(__file__).parents[2])


def until(condition: Callable[[], object], what: str) -> None:
    """Wait until it is true; past the deadline that is a failure."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"it did not come true that {what}"
        time.sleep(0.002)


def environment() -> dict[str, str]:
    """What another process needs to find the package, these tests, and the folders of this test."""
    return {**os.environ, "PYTHONPATH": f"{SOURCE}:{ROOT}"}


class Actor:
    """Another process that uses the store; see `actor.py`."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("actor.py")), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(),
            bufsize=0,
        )

    def say(self, word: str) -> None:
        """Give it a word, and do not wait."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n".encode())

    def hear(self) -> str:
        """Wait for its next answer."""
        assert self.process.stdout is not None
        line = b""
        while not line.endswith(b"\n"):
            assert select.select([self.process.stdout], [], [], DEADLINE)[0], "the actor did not answer"
            piece = self.process.stdout.read(65536)
            assert piece, "the actor ended"
            line += piece
        return line.decode().strip()

    def do(self, word: str) -> str:
        """Give it a word, and return its answer."""
        self.say(word)
        return self.hear()

    def kill(self) -> None:
        """Kill it with SIGKILL; it is gone when this returns."""
        self.process.kill()
        self.close()

    def leave(self) -> None:
        """Let it end by itself, without a release; it is gone when this returns."""
        self.say("exit")
        self.close()

    def close(self) -> None:
        """Wait for its end, which somebody else has seen to."""
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()
        self.process.wait(DEADLINE)


class Stage:
    """One data folder, and the processes around it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._actors: list[Actor] = []

    def actor(self, *words: str) -> Actor:
        """Start a process, and have it do these things."""
        actor = Actor(self.folder)
        self._actors.append(actor)
        for word in words:
            actor.do(word)
        return actor

    def supervisors(self) -> list[int]:
        """The process ids of the folder's supervisors."""
        return self._running(f"supervisor/__main__.py {self.folder} ")

    def servers(self) -> list[int]:
        """The process ids of the folder's servers."""
        return self._running(f"--dir {self.folder} ")

    def supervisor(self) -> int:
        """The process id of the one supervisor."""
        (pid,) = self.supervisors()
        return pid

    def server(self) -> int:
        """The process id of the one server."""
        (pid,) = self.servers()
        return pid

    def _running(self, words: str) -> list[int]:
        return [pid for pid, command in _processes() if words in command]

    def gone(self) -> bool:
        """Nothing runs for the folder any more."""
        return not self.supervisors() and not self.servers()

    def end(self) -> None:
        """Wait until everything has stopped by itself."""
        until(self.gone, f"nothing runs for {self.folder}")

    def kill(self, pid: int) -> None:
        """Kill a process with SIGKILL, unless it has ended; it is gone when this returns."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        until(lambda: pid not in (*self.supervisors(), *self.servers()), "a killed process is gone")

    def clear(self) -> list[int]:
        """Kill whatever is still there, and return what should not have been."""
        for actor in self._actors:
            if actor.process.poll() is None:
                actor.kill()
        with contextlib.suppress(AssertionError):
            self.end()
            return []
        left = self.supervisors() + self.servers()
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return left


def _processes() -> list[tuple[int, str]]:
    if os.path.isdir("/proc/self"):
        return [(int(pid), _command(pid)) for pid in os.listdir("/proc") if pid.isdigit()]
    listing = subprocess.run(["ps", "-axww", "-o", "pid=,command="], capture_output=True, text=True, check=True).stdout
    return [(int(line.split()[0]), line.strip().partition(" ")[2] + " ") for line in listing.splitlines()]


def _command(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return ""


def add(socket_path: str, *notes: str) -> None:
    """Write notes into the store; each is acknowledged when this returns."""
    with redis.Redis(unix_socket_path=socket_path) as client:
        for note in notes:
            client.xadd("notes", {"note": note})


def notes(socket_path: str) -> list[str]:
    """Read all notes of the store, oldest first."""
    with redis.Redis(unix_socket_path=socket_path) as client:
        return [fields[b"note"].decode() for _, fields in client.xrange("notes")]
