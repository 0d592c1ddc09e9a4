"""The control socket: who uses the store, and what they are told."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket

from sessionstream.wire.embedded.folder import Folder

__all__ = ["ControlSocket"]


class ControlSocket:
    """Listens where a folder's users connect, and counts them.

    Args:
        folder: the data folder, which is told where the socket lies.
        path: where the socket shall lie.

    Attributes:
        users: the connections that stand.
    """

    def __init__(self, folder: Folder, path: str) -> None:
        self.users: set[socket.socket] = set()
        self._waiting: set[socket.socket] = set()
        self._answer: bytes | None = None
        self._selector: selectors.BaseSelector | None = None
        self._path = path
        self._file = folder.control
        if os.path.lexists(path):
            os.unlink(path)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.setblocking(False)
        self._listener.bind(path)
        self._listener.listen(512)
        self._identity = os.stat(path)
        self._tell_folder()

    def _tell_folder(self) -> None:
        fresh = f"{self._file}.{os.getpid()}"
        with open(fresh, "wb") as file:
            file.write(os.fsencode(self._path))
        os.replace(fresh, self._file)

    def attach(self, selector: selectors.BaseSelector) -> None:
        """Have the selector watch the socket and its connections; the data of each key is what to call."""
        self._selector = selector
        selector.register(self._listener, selectors.EVENT_READ, self._accept)

    def _accept(self) -> None:
        assert self._selector is not None
        try:
            user, _ = self._listener.accept()
        except OSError:
            return  # it has gone again
        user.setblocking(False)
        self.users.add(user)
        self._waiting.add(user)
        self._selector.register(user, selectors.EVENT_READ, lambda: self._heard(user))
        self._tell_waiting()

    def _heard(self, user: socket.socket) -> None:
        if user not in self.users:
            return  # it had hung up, which was found out by answering it, after the selector had reported it
        try:
            if user.recv(4096):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._drop(user)

    def _drop(self, user: socket.socket) -> None:
        assert self._selector is not None
        self._selector.unregister(user)
        self.users.discard(user)
        self._waiting.discard(user)
        user.close()

    def answer(self, answer: str | None) -> None:
        """Set what users are told, those who wait now and those to come; each is told once.

        Args:
            answer: without a NUL; None has them wait.
        """
        self._answer = None if answer is None else os.fsencode(answer) + b"\0"
        self._tell_waiting()

    def _tell_waiting(self) -> None:
        if self._answer is None:
            return
        for user in list(self._waiting):
            self._waiting.discard(user)
            try:
                user.sendall(self._answer)
            except OSError:
                self._drop(user)

    def is_there(self) -> bool:
        """Say whether a client can still find the socket: nobody has removed or replaced it."""
        try:
            return os.path.samestat(os.stat(self._path), self._identity) and os.path.exists(self._file)
        except OSError:
            return False

    def close(self) -> None:
        """Take the socket away and end all connections: whoever comes from now on finds none, and starts another."""
        for path in (self._file, self._path) if self.is_there() else ():
            # Somebody may be deleting the folder at this moment.
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        self._listener.close()
        for user in self.users:
            user.close()
