"""The locks of a data folder, and what to do about a server that outlived its supervisor."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
import sys
import time
from collections.abc import Callable

from sessionstream.wire.embedded.folder import Folder

__all__ = ["is_at", "take", "take_from_orphan"]

_POLL = 0.005
# What it acknowledged is in its file: a server that hangs is not worth a long wait.
_CLEAN_STOP = 2.0
_KILLED = 5.0


def take(path: str, *, patience: float = 0.0, unless: Callable[[], bool] = lambda: False) -> int | None:
    """Lock a file, which is made where it is missing.

    Args:
        path: the file.
        patience: how long to wait where somebody else holds it, in seconds.
        unless: asked between two tries; when it says yes, there is no need to wait any longer.

    Returns:
        The descriptor, which no child inherits; None where somebody else holds the lock.
    """
    deadline = time.monotonic() + patience
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            if time.monotonic() >= deadline or unless():
                return None
            time.sleep(_POLL)
            continue
        if is_at(descriptor, path):
            return descriptor
        # The folder was deleted, and perhaps made again, between the two calls.
        os.close(descriptor)


def is_at(descriptor: int, path: str) -> bool:
    """Say whether the open file is the one that lies there now."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except OSError:
        return False


def take_from_orphan(folder: Folder) -> int:
    """Take the data folder's lock, if need be from a server whose supervisor is dead, which is stopped.

    To be called by the holder of the folder's guard alone: then nobody but such a server can hold the lock.

    Returns:
        The descriptor, which no child inherits.

    Raises:
        BlockingIOError: the holder cannot be stopped.
    """
    descriptor = take(folder.lock)
    for signum, patience in ((signal.SIGTERM, _CLEAN_STOP), (signal.SIGKILL, _KILLED)):
        if descriptor is None:
            _signal_server(folder, signum)
            descriptor = take(folder.lock, patience=patience)
    if descriptor is None:
        raise BlockingIOError(errno.EAGAIN, "a server runs in the folder and does not stop", folder.lock)
    return descriptor


def _server_pid(folder: Folder) -> int:
    """Return the process id that the last server wrote into its lock, or 0."""
    try:
        with open(folder.lock, "rb") as lock:
            return int(lock.read() or 0)
    except (OSError, ValueError):
        return 0


def _signal_server(folder: Folder, signum: int) -> None:
    pid = _server_pid(folder)
    # Should the id be another process's by now, that one is left in peace.
    if pid and os.fsencode(f"--dir {folder.path} ") in _command_of(pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signum)


def _command_of(pid: int) -> bytes:
    if sys.platform == "linux":
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as command:
                return command.read().replace(b"\0", b" ")
        except OSError:
            return b""
    import subprocess

    return subprocess.run(["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True).stdout
