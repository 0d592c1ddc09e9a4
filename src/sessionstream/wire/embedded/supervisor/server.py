"""The server process: how it is started, asked and stopped."""

from __future__ import annotations

import os
import signal
import socket
import time
from typing import NoReturn

from sessionstream.wire.embedded.folder import Folder
from sessionstream.wire.embedded.supervisor import locks

__all__ = ["Server"]

_CLEAN_STOP = 10.0
_POLL = 0.005


class Server:
    """The one server of a data folder.

    Args:
        folder: the data folder.
        binary: the path of the server's program.
        socket_path: where it shall listen.

    Attributes:
        pid: its process id; 0 while it does not run.
        log_start: where in the log its words begin, in bytes.
    """

    def __init__(self, folder: Folder, binary: str, socket_path: str) -> None:
        self.socket_path = socket_path
        self.pid = 0
        self.log_start = 0
        self._folder = folder
        self._lock: int | None = None
        self._binary = binary

    def start(self) -> None:
        """Start the process; it answers some hundredths of a second later.

        Raises:
            OSError: the folder's lock is held by somebody who cannot be stopped, or no process can be made.
        """
        if self._lock is None:
            self._lock = locks.take_from_orphan(self._folder)
        self.log_start = self._folder.log_size()
        pid = os.fork()
        if not pid:
            self._become_server(self._lock)
        self.pid = pid

    def _become_server(self, lock: int) -> NoReturn:
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            # Before it is the server: whoever finds the lock held after us must know by whom.
            os.ftruncate(lock, 0)
            os.pwrite(lock, b"%d\n" % os.getpid(), 0)
            os.set_inheritable(lock, True)
            os.execv(self._binary, [self._binary, *self._options()])
        except OSError as error:
            os.write(2, os.fsencode(f"{self._binary}: {error.strerror}\n"))
        finally:
            os._exit(127)

    def _options(self) -> list[str]:
        options = {
            "dir": self._folder.path,
            "port": "0",
            "unixsocket": self.socket_path,
            "unixsocketperm": "700",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
            "databases": "16",
            "daemonize": "no",
            "logfile": self._folder.log,
            # The command line stays as it is given, with the folder in it, by which an orphan is recognised.
            "set-proc-title": "no",
        }
        return [word for name, value in options.items() for word in (f"--{name}", value)]

    def answers(self) -> bool:
        """Say whether it answers, if only that it is loading its data."""
        return self._ask(b"PING", timeout=0.5).startswith((b"+PONG", b"-LOADING"))

    def in_use(self) -> bool:
        """Say whether it is loading its data, or has a client: one that lost its control connection, for instance."""
        info = self._ask(b"INFO clients persistence", timeout=1.0)
        facts = dict(line.split(b":", 1) for line in info.split(b"\r\n") if b":" in line)
        # One of the clients is this very question.
        return facts.get(b"loading") == b"1" or int(facts.get(b"connected_clients", 0)) > 1

    def _ask(self, question: bytes, timeout: float) -> bytes:
        """Return the whole reply; nothing where there is none."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(timeout)
                connection.connect(self.socket_path)
                connection.sendall(question + b"\r\n")
                reply = connection.recv(65536)
                head, _, rest = reply.partition(b"\r\n")
                missing = int(head[1:]) + 2 - len(rest) if head.startswith(b"$") else 0
                while missing > 0:
                    piece = connection.recv(missing)
                    if not piece:
                        return b""
                    reply += piece
                    missing -= len(piece)
                return reply
        except OSError:
            return b""

    def ended(self) -> int | None:
        """Return how it ended, once it has: its status, or a signal's negative number; None while it runs."""
        if not self.pid:
            return None
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if not pid:
            return None
        self.pid = 0
        return os.waitstatus_to_exitcode(status)

    def stop(self) -> None:
        """Stop it in order, and by force where that takes too long; nothing acknowledged is lost either way."""
        if self.pid:
            # It heeds this at once, and a signal at its next tick, up to 100 ms later.
            self._ask(b"SHUTDOWN", timeout=1.0)
        deadline = time.monotonic() + _CLEAN_STOP
        while self.pid and time.monotonic() < deadline:
            # Once more each second: the first may have come before the process had become the server.
            os.kill(self.pid, signal.SIGTERM)
            again = time.monotonic() + 1
            while self.ended() is None and self.pid and time.monotonic() < again:
                time.sleep(_POLL)
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = 0
