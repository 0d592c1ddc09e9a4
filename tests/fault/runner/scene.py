"""Where a round takes place: servers behind proxies, the workers, and the dice that say what happens to which."""

from __future__ import annotations

import abc
import contextlib
import random
import resource
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from redis import Redis

from tests.clusters import until
from tests.consumers.forks import Forks
from tests.fault.runner.clock import Clock
from tests.fault.runner.workers import WORKER, Workers
from tests.proxy import Proxy
from tests.servers import Server

__all__ = ["Fault", "Place", "Scene", "Target", "call", "give_room", "limit_files"]


class Target(NamedTuple):
    """A server that takes writes, and the proxy in front of it, if there is one."""

    server: Server
    proxy: Proxy | None


class Scene:
    """What a fault can be done to.

    Attributes:
        place: where it takes place.
        workers: who works there.
        dice: which of several, and for how long.
        namespace: in which the workers work.
    """

    def __init__(self, place: Place, workers: Workers, dice: random.Random, namespace: str) -> None:
        self.namespace = namespace
        self.place = place
        self.workers = workers
        self.dice = dice

    def progress(self, count: int = 25) -> None:
        """Return when each worker was acknowledged so many further calls."""
        self.workers.progress(count)

    def last(self, least: float, most: float) -> None:
        """Let something last for so many seconds, more or less."""
        time.sleep(self.dice.uniform(least, most))


class Fault(NamedTuple):
    """Something that can happen.

    Attributes:
        name: what it is called in plans and tables.
        do: lets it happen, and is done when it is over.
    """

    name: str
    do: Callable[[Scene], None]


class Place(abc.ABC):
    """Servers of one topology, each behind a proxy.

    Args:
        settings: of all servers.

    Attributes:
        partitions: into how many the sessions of a round are divided.
        longest_pause: seconds for which a server may hang without being replaced.
        failovers: the faults by which, on a slow machine some of them, a replica takes the place of a primary.
        clock: of all servers.
        forks: what starts the workers.
    """

    partitions = 16
    longest_pause = 1.5
    failovers: frozenset[str] = frozenset()

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        self._stack = contextlib.ExitStack()
        self._proxies: list[Proxy] = []
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="sst-clock-"))
        self.clock = Clock(Path(folder))
        self.forks = self._stack.enter_context(Forks(WORKER))

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.push(self._stack)
            self._start()
            stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stack.close()

    @property
    @abc.abstractmethod
    def faults(self) -> dict[str, Fault]:
        """What can happen here, by name."""

    @property
    @abc.abstractmethod
    def workers_place(self) -> dict[str, Any]:
        """How workers reach it, by the proxies."""

    @property
    @abc.abstractmethod
    def own_place(self) -> dict[str, Any]:
        """How it is reached without them."""

    @property
    @abc.abstractmethod
    def targets(self) -> list[Target]:
        """The servers that take writes."""

    @property
    @abc.abstractmethod
    def servers(self) -> list[Server]:
        """All of them."""

    def settle(self) -> None:
        """End what is still wrong, and return when all is well."""
        self.clock.set(0)
        for server in self.servers:
            if server.running:
                server.resume()
                give_room(server)
            server.start()
            call(server, "CONFIG", "SET", "maxmemory", 0)
        for proxy in self._proxies:
            proxy.request_delay = proxy.reply_delay = 0.0
            proxy.release()

    @abc.abstractmethod
    def empty(self) -> None:
        """Remove all keys."""

    def save(self) -> None:
        """Let all servers write what they hold to the disk."""
        for target in self.targets:
            until(lambda server=target.server: call(server, "SAVE"), "what there is to be saved")  # type: ignore[misc]

    @abc.abstractmethod
    def _start(self) -> None:
        """Start it, and return when it is whole."""

    def _proxy(self, server: Server) -> Proxy:
        self._proxies.append(self._stack.enter_context(Proxy(server.socket, keep_requests=False)))
        return self._proxies[-1]


def call(server: Server, *words: str | int) -> Any:
    """Send a server one command, without a proxy."""
    with Redis(unix_socket_path=str(server.socket), socket_timeout=10) as client:
        return client.execute_command(*words)


def limit_files(server: Server, size: int) -> None:
    """Let no file of a server grow beyond so many bytes: a write past that fails, as on a full disk."""
    assert server.process is not None
    with contextlib.suppress(ProcessLookupError):
        _, hard = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size, hard))


def give_room(server: Server) -> None:
    """Let the files of a server grow again."""
    limit_files(server, resource.RLIM_INFINITY)
