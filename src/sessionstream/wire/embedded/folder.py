"""The files of a data folder: what the supervisor writes and its clients read. Imports next to nothing."""

from __future__ import annotations

import os

__all__ = ["Folder"]


class Folder:
    """The names of the files in one data folder.

    Args:
        path: the folder's real path.

    Attributes:
        guard: locked by the one supervisor of the folder, and by nobody else.
        lock: locked by the supervisor and inherited by its server; holds the server's process id.
        control: says where the supervisor's control socket lies; there while one listens.
        log: what the server and the supervisor have to say.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.guard = os.path.join(path, "supervisor.lock")
        self.lock = os.path.join(path, "lock")
        self.control = os.path.join(path, "control")
        self.log = os.path.join(path, "server.log")

    def log_size(self) -> int:
        """Return the log's size in bytes."""
        try:
            return os.stat(self.log).st_size
        except OSError:
            return 0

    def last_words(self, *, since: int = 0, lines: int = 10) -> str:
        """Return the end of the log.

        Args:
            since: leave out what lies before this position, in bytes.
            lines: how many lines at most.
        """
        try:
            with open(self.log, "rb") as log:
                log.seek(max(since, self.log_size() - 8192))
                text = log.read().decode("utf-8", "replace")
        except OSError:
            return ""
        return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])
