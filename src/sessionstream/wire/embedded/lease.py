"""A process's hold on the embedded server of a folder: one control connection, however many leases share it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path

from sessionstream.errors import EmbeddedUnavailable
from sessionstream.wire.embedded import reach
from sessionstream.wire.embedded.folder import Folder
from sessionstream.wire.embedded.places import data_folder

__all__ = ["EmbeddedServer"]


class EmbeddedServer:
    """A lease on the embedded server of one data folder, for this process.

    While any process holds a lease the server runs. A lease that is dropped without `release`, and one that is held
    when the process ends, however it ends, is given back.
    """

    def __init__(self, hold: _Hold) -> None:
        self._hold = hold
        hold.enter()
        self._finalizer = weakref.finalize(self, hold.leave)

    @classmethod
    async def acquire(cls, folder: Path | None = None, *, timeout: float = 15.0) -> EmbeddedServer:
        """Return a lease on the folder's server, which is started where it does not run.

        The server listens, but may still be loading its data.

        Args:
            folder: the data folder, made where it is missing; the user's own by default.
            timeout: the longest time to wait, in seconds.

        Raises:
            EmbeddedUnavailable: it is not installed, or cannot be started; the message says why and what to do.
        """
        lease = cls(_hold_on(folder))
        try:
            await lease.ensure(timeout=timeout)
        except BaseException:
            lease.release()
            raise
        return lease

    async def ensure(self, *, timeout: float = 15.0) -> None:
        """Have the control connection stand again, after a fork or where the supervisor was killed.

        Args:
            timeout: the longest time to wait, in seconds.

        Raises:
            EmbeddedUnavailable: the server cannot be started, or the lease was released.
        """
        if not self._finalizer.alive:
            raise EmbeddedUnavailable("the lease on the embedded server was released: acquire another")
        if not self._hold.stands():
            deadline = time.monotonic() + timeout
            await _in_a_thread(lambda: self._hold.connect(deadline))

    @property
    def socket_path(self) -> str:
        """The path of the server's unix socket."""
        return self._hold.server_path

    @property
    def folder(self) -> Path:
        """The data folder, links resolved."""
        return Path(self._hold.folder.path)

    def alive(self) -> bool:
        """Say whether the control connection stands, at the cost of one system call.

        Where it does not, `ensure` or another `acquire` makes it anew; until then this process is no user that keeps
        the server running.
        """
        return self._finalizer.alive and self._hold.stands()

    def release(self) -> None:
        """Give the lease back: as far as this lease goes, the process no longer needs the server."""
        self._finalizer()


class _Hold:
    """What the leases of this process on one folder share."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.server_path = ""
        self._leases = 0
        self._control: socket.socket | None = None
        self._fresh_locks()

    def _fresh_locks(self) -> None:
        # Reentrant, since a lease can be finalized by a garbage collection inside a guarded block.
        self._state = threading.RLock()
        self._connecting = threading.Lock()

    def enter(self) -> None:
        with self._state:
            self._leases += 1

    def leave(self) -> None:
        with self._state:
            self._leases -= 1
            if self._leases:
                return
            control, self._control = self._control, None
        if control is None:
            return
        broken = not reach.stands(control)
        _hang_up(control)
        if broken:
            reach.sweep(self.folder)

    def stands(self) -> bool:
        control = self._control
        return control is not None and reach.stands(control)

    def connect(self, deadline: float) -> None:
        connecting = self._connecting
        if not connecting.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise EmbeddedUnavailable(f"the embedded server of {self.folder.path} was not there in time")
        try:
            if not self.stands():
                self._take_over(*reach.connect(self.folder, deadline))
        finally:
            connecting.release()

    def _take_over(self, control: socket.socket, server_path: str) -> None:
        with self._state:
            before, self._control = self._control, control
            self.server_path = server_path
            if not self._leases:
                # Whoever asked for it has been cancelled meanwhile.
                self._control = None
                _hang_up(control)
        if before is not None:
            _hang_up(before)

    def forget(self) -> None:
        """In a forked child: what was inherited is the parent's."""
        self._fresh_locks()
        control, self._control = self._control, None
        if control is not None:
            # No shutdown, as that would end the parent's connection.
            control.close()


_holds: dict[str, _Hold] = {}
_holds_lock = threading.Lock()


def _hold_on(folder: Path | None) -> _Hold:
    path = os.path.realpath(data_folder() if folder is None else folder)
    with _holds_lock:
        hold = _holds.get(path)
        if hold is None:
            hold = _holds[path] = _Hold(Folder(path))
        return hold


def _hang_up(control: socket.socket) -> None:
    # A copy of the descriptor in some forked child must not keep the connection up.
    with contextlib.suppress(OSError):
        control.shutdown(socket.SHUT_RDWR)
    control.close()


def _after_fork() -> None:
    global _holds_lock
    _holds_lock = threading.Lock()
    for hold in _holds.values():
        hold.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


async def _in_a_thread(work: Callable[[], None]) -> None:
    """Run blocking work; not in the loop's executor, whose threads may all be waiting for the store."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def tell(error: BaseException | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def run() -> None:
        problem: BaseException | None = None
        try:
            work()
        except BaseException as error:
            problem = error
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(tell, problem)

    thread = threading.Thread(target=run, name="sessionstream-embedded", daemon=True)
    thread.start()
    try:
        await done
    finally:
        if not done.cancelled():
            # It has nothing left to do but end; a program that forks next is not multi-threaded on our account.
            thread.join()
