"""The supervisor's life: start the server, keep it running while it has users, stop it."""

from __future__ import annotations

import os
import selectors
import signal
import socket
import sys
import time

from sessionstream.wire.embedded.folder import Folder
from sessionstream.wire.embedded.supervisor.control import ControlSocket
from sessionstream.wire.embedded.supervisor.locks import is_at
from sessionstream.wire.embedded.supervisor.server import Server

__all__ = ["Supervisor", "report"]

# How often to look whether the folder and the sockets are still there.
_LOOK = 1.0
# A server that dies as soon as it is ready is started no more often than this.
_BETWEEN_STARTS = 0.2
# So many starts in a row may end before the server is ready, where it was killed.
_STARTS = 3
# For so long after a failure those who come are still told of it, before one of them may try again.
_LINGER = 0.3


class Supervisor:
    """Runs a server for as long as it is used.

    Args:
        folder: the data folder.
        guard: the descriptor of the folder's guard, locked.
        control: where the users connect.
        server: the server, not started yet.
        grace: how long the server outlives its last user, in seconds.
    """

    def __init__(self, folder: Folder, guard: int, control: ControlSocket, server: Server, grace: float) -> None:
        self._folder = folder
        self._guard = guard
        self._control = control
        self._server = server
        self._grace = grace
        self._ready = self._stopping = False
        self._failed_at: float | None = None
        self._starts = 0
        self._started_at = self._looked_at = time.monotonic()
        self._idle_since: float | None = None
        self._selector = selectors.DefaultSelector()
        control.attach(self._selector)

    def run(self) -> None:
        """Return when the server is no longer needed, or cannot run, and has ended."""
        self._listen_to_signals()
        try:
            self._start()
            while not self._finished():
                events = self._selector.select(self._pause())
                # First: nobody is told of a server that had died before they came.
                self._turn()
                for key, _ in events:
                    key.data()
        finally:
            self._control.close()
            self._server.stop()

    def _fail(self, reason: str) -> None:
        self._failed_at = time.monotonic()
        self._control.answer(f"failed {reason}")
        report(reason)

    def _listen_to_signals(self) -> None:
        ear, mouth = socket.socketpair()
        for end in (ear, mouth):
            end.setblocking(False)
        signal.set_wakeup_fd(mouth.fileno(), warn_on_full_buffer=False)
        self._mouth = mouth
        self._selector.register(ear, selectors.EVENT_READ, lambda: ear.recv(4096))
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: self._stop())

    def _stop(self) -> None:
        self._stopping = True

    def _start(self) -> None:
        self._started_at = time.monotonic()
        self._starts += 1
        try:
            self._server.start()
        except OSError as error:
            self._fail(f"{error.filename or self._folder.path}: {error.strerror}")

    def _turn(self) -> None:
        if self._failed_at is not None:
            return
        code = self._server.ended()
        now = time.monotonic()
        if code is not None:
            self._server_ended(code)
        elif not self._server.pid:
            if now >= self._started_at + _BETWEEN_STARTS:
                self._start()
        elif not self._ready and self._server.answers():
            self._ready = True
            self._control.answer(f"ready {self._server.socket_path}")
        if now >= self._looked_at + _LOOK:
            self._looked_at = now
            self._look()

    def _server_ended(self, code: int) -> None:
        how = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
        if self._ready:
            self._starts = 0
        # Killed from outside before it was ready: that says nothing about the next start.
        elif code != -signal.SIGKILL or self._starts >= _STARTS:
            self._fail(f"the server {how}\n{self._folder.last_words(since=self._server.log_start)}")
            return
        self._ready = False
        self._control.answer(None)
        report(f"the server {how}, and is started again")

    def _look(self) -> None:
        reachable = self._control.is_there() and (not self._ready or os.path.exists(self._server.socket_path))
        if not reachable or not is_at(self._guard, self._folder.guard):
            self._stop()
            report("the folder or a socket was removed, so the server is stopped")

    def _finished(self) -> bool:
        now = time.monotonic()
        if self._stopping:
            return True
        if self._failed_at is not None:
            return now > self._failed_at + _LINGER
        if self._control.users:
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = now
        elif now >= self._idle_since + self._grace:
            if not self._server.in_use():
                return True
            self._idle_since = now
        return False

    def _pause(self) -> float:
        """Return how long to wait for something to happen, in seconds."""
        now = time.monotonic()
        if self._failed_at is not None:
            return 0.1
        if not self._ready:
            return 0.002 if now < self._started_at + 2 else 0.05
        if self._idle_since is not None:
            return max(0.001, min(_LOOK, self._idle_since + self._grace - now))
        return _LOOK


def report(event: str) -> None:
    """Write a line into the log, in the server's manner."""
    print(f"{os.getpid()}:S {time.strftime('%d %b %Y %H:%M:%S')} * {event}", file=sys.stderr, flush=True)
