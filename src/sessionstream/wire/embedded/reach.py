"""How a process comes by a control connection: dial the folder's supervisor, or start one and dial again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

from sessionstream.errors import EmbeddedUnavailable
from sessionstream.wire.embedded.folder import Folder
from sessionstream.wire.embedded.places import runtime_folder, server_binary

__all__ = ["GRACE_VARIABLE", "connect", "stands", "sweep"]

GRACE_VARIABLE = "SESSIONSTREAM_EMBEDDED_GRACE"

_GRACE = 5.0
_SUPERVISOR = os.path.join(os.path.dirname(os.path.abspath(__file__)), "supervisor", "__main__.py")
# The supervisor outlives its starter: the rest of the environment, secrets included, is not for it to keep.
_ENVIRONMENT = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PATH", "TMPDIR", "TZ")


def connect(folder: Folder, deadline: float) -> tuple[socket.socket, str]:
    """Return a control connection, once the folder's server runs, and the path of the server's socket. Blocks.

    Args:
        folder: the data folder; it is made where it is missing.
        deadline: when to give up, on the clock of `time.monotonic`, in seconds.

    Raises:
        EmbeddedUnavailable: the server cannot be started, or was not there by the deadline.
    """
    if not hasattr(socket, "AF_UNIX"):
        raise _unavailable(folder, "this system has no unix sockets: give the URL of a server")
    while (left := deadline - time.monotonic()) > 0:
        control = _dial(folder)
        if control is None:
            _start(folder, left)
            continue
        try:
            answer = _answer(control, left)
        except BaseException:
            control.close()
            raise
        word, _, rest = answer.partition(b" ")
        if word == b"ready":
            control.setblocking(False)
            return control, os.fsdecode(rest)
        control.close()
        if word == b"failed":
            raise _unavailable(folder, rest.decode("utf-8", "replace"))
        # It was about to stop. The one to come is ready in some hundredths of a second.
        time.sleep(0.005)
    raise _unavailable(folder, f"it was not there in time\n{folder.last_words()}")


def stands(control: socket.socket) -> bool:
    """Say whether the other end of a control connection is still there; asks the kernel alone."""
    try:
        return control.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def sweep(folder: Folder) -> None:
    """Where a supervisor was killed and its server is left alone, have a new one stop that server."""
    # A supervisor that ends in order takes this file away.
    if not os.path.exists(folder.control):
        return
    try:
        control = _dial(folder)
        if control is None:
            _start(folder, 1.0)
        else:
            control.close()
    except EmbeddedUnavailable:
        pass


def _dial(folder: Folder) -> socket.socket | None:
    """Return a connection to the supervisor, or None where none listens."""
    control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with open(folder.control, "rb") as file:
            control.connect(file.read())
    except (FileNotFoundError, ConnectionError, BlockingIOError):
        control.close()
        return None
    except OSError as error:
        control.close()
        raise _unavailable(folder, f"{folder.control}: {error.strerror}") from None
    return control


def _answer(control: socket.socket, timeout: float) -> bytes:
    """Return the supervisor's first line, or nothing where it hung up or took too long."""
    control.settimeout(timeout)
    received = b""
    try:
        while not received.endswith(b"\0"):
            piece = control.recv(65536)
            if not piece:
                return b""
            received += piece
    except OSError:
        return b""
    return received[:-1]


def _start(folder: Folder, patience: float) -> None:
    """Start a supervisor, and return when there is one to dial: this one or another's."""
    _make(folder)
    if getattr(sys, "frozen", False) or not sys.executable:
        raise _unavailable(folder, "there is no Python interpreter to run it with: give the URL of a server")
    command = [sys.executable, "-I", "-S", _SUPERVISOR, folder.path, runtime_folder(), server_binary()]
    command += [str(_grace()), str(patience)]
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    try:
        started = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
            cwd="/",
            env=environment,
            timeout=patience + 1,
        )
    except subprocess.TimeoutExpired:
        raise _unavailable(folder, f"its supervisor did not start in {patience:.1f} s") from None
    except OSError as error:
        raise _unavailable(folder, f"{sys.executable}: {error.strerror}") from None
    # Killed from outside: the caller tries again.
    if started.returncode not in (0, -signal.SIGKILL):
        words = started.stderr.decode("utf-8", "replace").strip().splitlines()
        raise _unavailable(folder, words[-1] if words else f"its supervisor ended with status {started.returncode}")


def _make(folder: Folder) -> None:
    try:
        os.makedirs(folder.path, mode=0o700, exist_ok=True)
    except OSError as error:
        raise _unavailable(folder, error.strerror or str(error)) from None


def _grace() -> float:
    try:
        return float(os.environ.get(GRACE_VARIABLE, _GRACE))
    except ValueError:
        raise EmbeddedUnavailable(f"{GRACE_VARIABLE} is not a number of seconds") from None


def _unavailable(folder: Folder, problem: str) -> EmbeddedUnavailable:
    return EmbeddedUnavailable(f"the embedded server of {folder.path} cannot be used: {problem.rstrip()}")
