"""Where the shared server of the tests stands: alone, behind TLS, watched by sentinels, or as a Cluster.

`SESSIONSTREAM_TEST_TOPOLOGY` chooses: ``single`` (the default), ``tls``, ``sentinel`` or ``cluster``. Each of the four
answers as `tests.servers.Server` does, so that the tests are the same everywhere.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode

from tests.certificates import TlsServer
from tests.clusters import SLOTS, Node, TestCluster, until
from tests.nodes import EveryNode, OfClients
from tests.proxy import Proxy
from tests.sentinels import TestSentinels
from tests.servers import Server

__all__ = [
    "FINDING",
    "OneNode",
    "SharedCluster",
    "SharedSentinels",
    "SharedServer",
    "SharedTls",
    "TOPOLOGIES",
    "asking",
    "shared",
    "through",
    "topology",
]

PASSWORD = "the tests' own: /@"

# A machine that is busy with tests lets nodes wait for longer than the tests of failovers would like.
_PATIENT = 20_000


class SharedServer(Server):
    """One server alone, reached over its unix socket."""

    def reach(self, client: Redis) -> dict[str, Any]:
        """Return the arguments that lead a manager to it."""
        return {"url": self.unix_url}

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[Redis]:
        """A client of it, closed at the end."""
        async with Redis.from_url(self.url) as client:
            yield client

    @contextlib.asynccontextmanager
    async def primaries(self) -> AsyncIterator[list[Redis]]:
        """A client of its first database, and of each other one that holds something."""
        async with contextlib.AsyncExitStack() as stack:
            client = await stack.enter_async_context(Redis.from_url(self.url))
            others = {int(name.removeprefix("db")) for name in await client.info("keyspace")} - {0}
            rest = [await stack.enter_async_context(Redis.from_url(self.url, db=number)) for number in others]
            yield [client, *rest]


class SharedTls(TlsServer):
    """One server that speaks TLS, with a certificate of the tests' own authority, and asks for a password."""

    reach = SharedServer.reach
    client = SharedServer.client
    primaries = SharedServer.primaries

    def __init__(self) -> None:
        super().__init__(requirepass=PASSWORD)
        # redis-py reads the system's authorities for each connection, which takes longer than most tests.
        os.environ |= {"SSL_CERT_FILE": os.devnull, "SSL_CERT_DIR": os.devnull}

    @property
    def unix_url(self) -> str:
        """Its address over TLS: what the tests do has to go that way."""
        return self.url


class _Several:
    """What several processes have in common with one `Server`."""

    def __enter__(self) -> Self:
        self.whole.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.whole.__exit__(kind, error, tb)

    whole: TestCluster | TestSentinels

    @property
    def _servers(self) -> list[Server]:
        return [node.server for node in self.whole.nodes]

    @property
    def running(self) -> bool:
        """Whether all of its processes live."""
        return all(server.running for server in self._servers)

    def start(self) -> Self:
        """Start what was stopped."""
        if not self.running:
            self.whole.wait_until_whole()
        return self

    def resume(self) -> None:
        """Let those that were paused go on."""
        for server in self._servers:
            server.resume()


class SharedSentinels(_Several):
    """A primary with two replicas and three sentinels: managers ask these where it is."""

    def __init__(self) -> None:
        self.whole = TestSentinels(password=PASSWORD, down_after=_PATIENT)

    def __enter__(self) -> Self:
        super().__enter__()
        # They connect anew where they have heard nothing for three times the second one, and tests count connections.
        for sentinel in self.whole.sentinels:
            sentinel.call("SENTINEL", "DEBUG", "INFO-PERIOD", 10_000, "PUBLISH-PERIOD", _PATIENT)
        return self

    def reach(self, client: Redis) -> dict[str, Any]:
        """Return the arguments that lead a manager to it: the URL that names the sentinels."""
        return {"url": self.whole.url}

    @property
    def primary(self) -> Server:
        """The one that takes writes."""
        return self.whole.primary().server

    def url_as(self, user: str, password: str) -> str:
        """Return the primary's address for a user of its access rules."""
        return self.primary.url_as(user, password)

    url = property(lambda self: self.primary.url)
    unix_url = property(lambda self: self.primary.url)
    port = property(lambda self: self.primary.port)
    socket = property(lambda self: self.primary.socket)
    credentials = property(lambda self: self.primary.credentials)

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[Redis]:
        """A client of redis-py's Sentinel, closed at the end."""
        async with self.whole.client(OfClients) as client:
            yield client

    primaries = SharedServer.primaries


class SharedCluster(_Several):
    """Three primaries with a replica each."""

    def __init__(self) -> None:
        self.whole = TestCluster(cluster_node_timeout=_PATIENT)

    url = property(lambda self: self.whole.url)
    unix_url = property(lambda self: self.whole.url)
    port = property(lambda self: self.whole.nodes[0].port)
    reach = SharedServer.reach

    def url_as(self, user: str, password: str) -> str:
        """Return a node's address for a user of the access rules of all of them."""
        return self.whole.nodes[0].server.url_as(user, password)

    @property
    def socket(self) -> Path:
        """There is no one socket."""
        raise AssertionError("a Cluster has no one socket; a test that asks for `proxy` gets a Cluster of one node")

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[RedisCluster]:
        """A client of all nodes, closed at the end."""
        async with EveryNode.from_url(self.url) as client:
            yield client

    @contextlib.asynccontextmanager
    async def primaries(self) -> AsyncIterator[list[Redis]]:
        """A client of each of the primaries."""
        async with contextlib.AsyncExitStack() as stack:
            yield [
                await stack.enter_async_context(Redis.from_url(node.server.unix_url)) for node in self.whole.primaries()
            ]


class OneNode(SharedServer):
    """A Cluster of one node, for tests that put a proxy in front of it."""

    def __init__(self) -> None:
        super().__init__(cluster_enabled=True)
        self._node = Node(self)

    unix_url = property(lambda self: self.url)
    client = SharedCluster.client

    @contextlib.asynccontextmanager
    async def primaries(self) -> AsyncIterator[list[Redis]]:
        """A client of it alone."""
        async with Redis.from_url(self.url) as client:
            yield [client]

    def __enter__(self) -> Self:
        self._node.start()
        self._node.call("CLUSTER", "ADDSLOTSRANGE", 0, SLOTS - 1)
        until(lambda: self._node.section("cluster")["cluster_state"] == "ok", "the Cluster to be whole")
        return self


FINDING = 2 if os.environ.get("SESSIONSTREAM_TEST_TOPOLOGY") == "cluster" else 0
"""Connections that a manager makes and closes before its own: one finds a Cluster, one asks for its nodes."""


def asking(proxy: Proxy) -> int:
    """Return how many connections were made through a proxy to ask a Cluster where slots are; elsewhere none is."""
    return sum(b"SLOTS" in request for request in proxy.requests)


def through(proxy: Proxy) -> dict[str, Any]:
    """Return the arguments that lead a manager through a proxy, to each node if what is behind it is a Cluster."""
    if topology() != "cluster":
        return {"url": proxy.url}
    place = ("127.0.0.1", proxy.port)
    return {"conn": RedisCluster(startup_nodes=[ClusterNode(*place)], address_remap=lambda address: place)}


TOPOLOGIES: dict[str, Callable[[], Any]] = {
    "single": SharedServer,
    "tls": SharedTls,
    "sentinel": SharedSentinels,
    "cluster": SharedCluster,
}


def topology() -> str:
    """Return the name of the chosen one."""
    name = os.environ.get("SESSIONSTREAM_TEST_TOPOLOGY", "single")
    if name not in TOPOLOGIES:
        raise ValueError(f"SESSIONSTREAM_TEST_TOPOLOGY is one of {', '.join(TOPOLOGIES)}, not {name!r}")
    return name


def shared() -> Any:
    """Return what the tests share, not started yet."""
    return TOPOLOGIES[topology()]()
