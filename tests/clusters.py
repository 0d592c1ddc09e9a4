"""A real Cluster for tests: three primaries with a replica each, whose slots and roles a test can change."""

from __future__ import annotations

import abc
import contextlib
import random
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

from redis import Redis

from tests.servers import Server, ServerFailed, Setting

__all__ = ["Node", "SLOTS", "StartedTogether", "TestCluster", "until"]

_PRIMARIES = 3
SLOTS = 16384
_PATIENCE = 30.0
_SETTINGS: dict[str, Setting] = {
    "cluster_enabled": True,
    "cluster_node_timeout": 2000,
    "cluster_replica_validity_factor": 0,
    "cluster_allow_replica_migration": False,
    "repl_diskless_sync_delay": 0,
}


class Node:
    """One server of several that belong together.

    Attributes:
        server: its process.
        id: how the nodes of a Cluster call it.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self.id = ""

    @property
    def port(self) -> int:
        """Its port on 127.0.0.1."""
        return self.server.port

    def start(self) -> None:
        """Start it for the first time."""
        for attempt in range(5):
            self.server.port = _two_free_ports()
            try:
                self.server.start()
                return
            except ServerFailed:
                if attempt == 4 or "already in use" not in self.server.log:
                    raise

    def call(self, *words: str | int) -> Any:
        """Send it one command over its unix socket."""
        with Redis.from_url(self.server.unix_url, protocol=2, socket_timeout=5) as client:
            client.response_callbacks.clear()
            return client.execute_command(*words)

    def section(self, name: str) -> dict[str, str]:
        """Return a section of what INFO says, or CLUSTER INFO for ``cluster``."""
        text = self.call("CLUSTER", "INFO") if name == "cluster" else self.call("INFO", name)
        return dict(line.split(":", 1) for line in text.decode().splitlines() if ":" in line)

    @property
    def is_primary(self) -> bool:
        """Whether it takes writes, in its own view."""
        return self.section("replication")["role"] == "master"


class StartedTogether(abc.ABC):
    """Several servers: entering starts all of them or none, and leaving ends them."""

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    @abc.abstractmethod
    def _start(self) -> None:
        """Start them, and return when they are what they are together."""

    @abc.abstractmethod
    def close(self) -> None:
        """End all of it."""


class TestCluster(StartedTogether):
    """Six servers; every method returns when what it says is true on all of them.

    Args:
        settings: those of the servers that are to be other than these tests have them.
    """

    __test__ = False

    def __init__(self, **settings: Setting) -> None:
        self.nodes = [Node(Server(**(_SETTINGS | settings))) for _ in range(2 * _PRIMARIES)]
        self._added: list[Node] = []

    def close(self) -> None:
        """End all of it."""
        for node in [*self.nodes, *self._added]:
            node.server.close()

    @property
    def url(self) -> str:
        """The address of the first node that runs."""
        return next(node.server.url for node in self.nodes if node.server.running)

    def _start(self) -> None:
        with ThreadPoolExecutor(len(self.nodes)) as pool:
            list(pool.map(Node.start, self.nodes))
        first, *others = self.nodes
        for number, node in enumerate(self.nodes):
            node.id = node.call("CLUSTER", "MYID").decode()
            node.call("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        bounds = [SLOTS * number // _PRIMARIES for number in range(_PRIMARIES + 1)]
        for node, low, high in zip(self.nodes[:_PRIMARIES], bounds, bounds[1:], strict=False):
            node.call("CLUSTER", "ADDSLOTSRANGE", low, high - 1)
        for node in others:
            first.call("CLUSTER", "MEET", "127.0.0.1", node.port)
        until(lambda: all(self._knows_all(node) for node in self.nodes), "the nodes to know each other")
        for primary, replica in zip(self.nodes[:_PRIMARIES], self.nodes[_PRIMARIES:], strict=True):
            replica.call("CLUSTER", "REPLICATE", primary.id)
        self.wait_until_whole()

    def _knows_all(self, node: Node, *more: Node) -> bool:
        text = node.call("CLUSTER", "NODES").decode()
        return all(other.id in text for other in [*self.nodes, *more]) and "handshake" not in text

    def wait_until_whole(self) -> None:
        """Start what was killed, and wait until each primary has its replica and all agree on the slots."""
        for node in self.nodes:
            node.server.start()
            node.server.resume()
        until(self._is_whole, "the Cluster to be whole")

    def _is_whole(self) -> bool:
        views = set()
        for node in self.nodes:
            if node.section("cluster")["cluster_state"] != "ok":
                return False
            replication = node.section("replication")
            healthy = (
                "state=online" in replication.get("slave0", "")
                if replication["role"] == "master"
                else replication["master_link_status"] == "up"
            )
            if not healthy:
                return False
            views.add(self._view(node))
        return len(views) == 1

    def _view(self, node: Node) -> tuple[tuple[int, int, int], ...]:
        slots = node.call("CLUSTER", "SLOTS")
        return tuple(sorted((low, high, primary[1]) for low, high, primary, *_ in slots))

    def primaries(self) -> list[Node]:
        """Return the nodes that have slots."""
        return [node for node in [*self.nodes, *self._added] if node.server.running and node.is_primary]

    def owner(self, slot: int) -> Node:
        """Return the primary that has a slot, by the account of a node that answers."""
        view = self._view(next(node for node in self.nodes if node.server.running))
        port = next(port for low, high, port in view if low <= slot <= high)
        return next(node for node in [*self.nodes, *self._added] if node.port == port)

    def replica_of(self, primary: Node) -> Node:
        """Return the replica of a primary."""
        return next(
            node
            for node in self.nodes
            if node.server.running and int(node.section("replication").get("master_port", 0)) == primary.port
        )

    def fail_over(self, primary: Node) -> Node:
        """Let the replica of a primary take over in good order, and return it."""
        replica = self.replica_of(primary)
        asked_at = 0.0

        def has_taken_over() -> bool:
            nonlocal asked_at
            if replica.is_primary:
                return not primary.is_primary
            # The others may refuse their votes, and say nothing.
            if time.monotonic() - asked_at > 2:
                asked_at = time.monotonic()
                replica.call("CLUSTER", "FAILOVER")
            return False

        until(has_taken_over, "the replica to take over")
        return replica

    @contextlib.contextmanager
    def slot_on_its_way(self, slot: int, target: Node) -> Iterator[Callable[[int], int]]:
        """Move a slot: the function that is given moves some more keys, and returns how many; the rest at the end."""
        source = self.owner(slot)
        target.call("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
        source.call("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id)

        def move(most: int) -> int:
            keys = source.call("CLUSTER", "GETKEYSINSLOT", slot, most)
            for key in keys:
                source.call("MIGRATE", "127.0.0.1", target.port, key.decode(), 0, 5000)
            return len(keys)

        yield move
        while move(100):
            pass
        for node in (target, source, *self.primaries()):
            node.call("CLUSTER", "SETSLOT", slot, "NODE", target.id)

    def move_slot(self, slot: int, target: Node) -> None:
        """Move a slot, some keys at a time."""
        with self.slot_on_its_way(slot, target) as move:
            while move(5):
                pass

    def add_node(self) -> Node:
        """Let a primary without slots and without a replica join, and return it when all know it."""
        node = Node(Server(**self.nodes[0].server.settings))
        node.server.environment = self.nodes[0].server.environment
        self._added.append(node)
        node.start()
        node.id = node.call("CLUSTER", "MYID").decode()
        asked = next(one for one in self.nodes if one.server.running)
        node.call("CLUSTER", "MEET", "127.0.0.1", asked.port)
        until(lambda: all(self._knows_all(one, node) for one in [*self.nodes, node]), "all to know the new node")
        until(lambda: node.section("cluster")["cluster_state"] == "ok", "the new node to know all slots")
        return node

    def remove_added(self) -> None:
        """Give the slots of the nodes that were added to others, and let them go."""
        for node in self._added:
            ranges = [(low, high) for low, high, port in self._view(node) if port == node.port]
            others = [one for one in self.primaries() if one not in self._added]
            for slot in (slot for low, high in ranges for slot in range(low, high + 1)):
                self.move_slot(slot, others[slot % len(others)])
            for other in self.nodes:
                other.call("CLUSTER", "FORGET", node.id)
            node.server.close()
        self._added.clear()

    def empty(self) -> None:
        """Remove all keys, from the replicas too."""
        for node in self.primaries():
            node.call("FLUSHALL")
        until(lambda: all(node.call("DBSIZE") == 0 for node in self.nodes), "all nodes to be empty")
        # A replica that has just been given everything anew is fed from its first acknowledgement on.
        until(lambda: all(node.call("WAIT", 1, 1000) == 1 for node in self.primaries()), "all replicas to follow")


def _two_free_ports() -> int:
    """Return a port that is free, and so is that on which the nodes talk to each other, 10,000 above it.

    Both lie below those that the system gives to outgoing connections: a server that is started anew finds them free.
    """
    while True:
        port = random.randrange(10_000, 22_000)
        with contextlib.suppress(OSError), socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", port))
            second.bind(("127.0.0.1", port + 10_000))
            return port


def until(condition: Callable[[], bool], what: str) -> None:
    """Return when the condition holds; errors of servers that start or change roles count as not yet."""
    deadline = time.monotonic() + _PATIENCE
    error: Exception | None = None
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except Exception as caught:
            error = caught
        time.sleep(0.02)
    raise AssertionError(f"waited {_PATIENCE:.0f} s in vain for {what}; last error: {error!r}")
