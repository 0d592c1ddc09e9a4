"""How a supervisor starts: it wins the folder or leaves it to another, detaches, and runs the server."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time

from sessionstream.wire.embedded.folder import Folder
from sessionstream.wire.embedded.supervisor import locks
from sessionstream.wire.embedded.supervisor.control import ControlSocket
from sessionstream.wire.embedded.supervisor.loop import Supervisor
from sessionstream.wire.embedded.supervisor.server import Server

__all__ = ["main"]

_LARGEST_LOG = 1 << 20


def main(arguments: list[str]) -> int:
    """Run the supervisor of a data folder; the starter is let go as soon as there is a socket to dial.

    Args:
        arguments: the folder's real path, the folder for sockets, the path of the server's program, how long the server
            outlives its last user, and how long to wait for another supervisor that is about to end; in seconds.

    Returns:
        0 where there is a supervisor to dial, this one or another, or was a moment ago; 1 with a reason on stderr.
    """
    path, runtime, binary, grace, patience = arguments
    folder = Folder(path)
    os.umask(0o077)
    # The starter's thread may have had signals blocked, and that is inherited.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    deadline = time.monotonic() + float(patience)
    try:
        guard = locks.take(folder.guard, patience=float(patience), unless=lambda: _somebody_listens(folder))
        if guard is None:
            return _left_to_another(folder, deadline)
        name = _short_name(guard)
        control = ControlSocket(folder, os.path.join(runtime, f"{name}.ctl"))
        _detach(folder)
    except OSError as error:
        print(f"{error.filename or path}: {error.strerror}", file=sys.stderr)
        return 1
    server = Server(folder, binary, os.path.join(runtime, f"{name}.srv"))
    Supervisor(folder, guard, control, server, float(grace)).run()
    return 0


def _left_to_another(folder: Folder, deadline: float) -> int:
    # Before the deadline the wait was ended by somebody who listened. Should it have gone since, the starter will see.
    if time.monotonic() < deadline or _somebody_listens(folder):
        return 0
    print("another process holds the folder, and cannot be reached from here", file=sys.stderr)
    return 1


def _short_name(guard: int) -> str:
    # No two folders in use have the same, and a folder made anew has another than the one that was deleted.
    found = os.fstat(guard)
    return f"{found.st_dev:x}-{found.st_ino:x}"


def _somebody_listens(folder: Folder) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as control:
        control.setblocking(False)
        try:
            with open(folder.control, "rb") as file:
                control.connect(file.read())
        except BlockingIOError:
            pass  # so many are waiting that there is no place in the queue
        except OSError:
            return False
    return True


def _detach(folder: Folder) -> None:
    """Let the starter go, and go on in a child that is nobody's: no client has a zombie of it."""
    if folder.log_size() > _LARGEST_LOG:
        os.replace(folder.log, f"{folder.log}.1")
    log = os.open(folder.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    if os.fork():
        # An ordinary end would clear away what now is the child's.
        os._exit(0)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(log)
