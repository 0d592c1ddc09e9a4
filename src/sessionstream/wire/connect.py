"""How a connection is made: redis-py resolves, authenticates and encrypts; the lane takes over its transport."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import hiredis
import redis
import redis.asyncio
from redis import exceptions as driver
from redis.asyncio.connection import AbstractConnection

from sessionstream.errors import AuthenticationFailed, InvalidArgument, InvalidType, Unavailable, UnsafeEviction
from sessionstream.wire.cluster.cluster import Cluster
from sessionstream.wire.cluster.redirections import Address
from sessionstream.wire.cluster.topology import Topology
from sessionstream.wire.dialing import open_lane, ours
from sessionstream.wire.durability import Demand, facts_of, replicas_of
from sessionstream.wire.lane import Lane, milliseconds
from sessionstream.wire.refusal import from_driver
from sessionstream.wire.sentinels import addressing as sentinels
from sessionstream.wire.sentinels.watched import WatchedPrimary

__all__ = ["Dialer", "OLDEST_SERVER"]

OLDEST_SERVER = (7, 0)
_CONNECT_TIMEOUT = 5.0
# Shorter, since another node may have taken over from the one that does not answer.
_NODE_TIMEOUT = 3.0
_SCHEMES = ("redis", "rediss", "unix", "valkey", "valkeys", *sentinels.SCHEMES)


class Dialer:
    """Makes lanes with the connection settings of one client or URL.

    Args:
        client: a ``redis.asyncio.Redis`` or ``redis.asyncio.RedisCluster`` made any way; only its settings are read,
            never its connections or retries.
        reply_timeout: see `Lane`.
        allow_eviction: accept a server whose eviction policy could drop keys.
        demand: what is wanted of a server; by default nothing.

    Attributes:
        watched: the primary that sentinels watch, if the client is one of a Sentinel's.

    Raises:
        InvalidType: the client is not an asyncio client of redis-py.
    """

    def __init__(
        self,
        client: object,
        *,
        reply_timeout: float = 5.0,
        allow_eviction: bool = False,
        demand: Demand | None = None,
    ) -> None:
        # A Sentinel's pool must live as long as connections are made with its settings.
        self._client = client
        source = _source_of(client)
        self._connection_class: type[AbstractConnection] = source.connection_class
        self._settings: dict[str, Any] = dict(source.connection_kwargs)
        self._starts: list[Address] = []
        self.watched = WatchedPrimary.of(source, reply_timeout=reply_timeout)
        self._clustered = isinstance(client, redis.asyncio.RedisCluster)
        if isinstance(client, redis.asyncio.RedisCluster):
            self._starts = [(node.host, int(node.port)) for node in client.startup_nodes]
            # It lets a client read from replicas, which a store never does.
            self._settings.pop("redis_connect_func", None)
        elif "path" not in self._settings and "connection_pool" not in self._settings:
            self._starts = [(self._settings.get("host", "localhost"), int(self._settings.get("port", 6379)))]
        self._reply_timeout = reply_timeout
        self._allow_eviction = allow_eviction
        self._demand = demand or Demand()
        # Whether the credentials were taken before.
        self._let_in = False

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Dialer:
        """Return a dialer for a ``redis://``, ``rediss://``, ``unix://``, ``valkey://`` or ``valkeys://`` URL.

        Args:
            url: the server's URL, as redis-py understands it; or that of a primary which sentinels watch, with a scheme
                such as ``redis+sentinel://``.
            options: the arguments of `Dialer`.

        Raises:
            InvalidArgument: the URL is malformed; its password is not repeated.
        """
        scheme = urlsplit(url).scheme if isinstance(url, str) else ""
        if scheme not in _SCHEMES:
            raise InvalidArgument(
                f"the URL begins with {scheme + '://' if scheme else 'no scheme'}: use one of "
                + ", ".join(f"{known}://" for known in _SCHEMES)
            )
        plain = url.replace("valkey", "redis", 1) if scheme.startswith("valkey") else url
        client_of = sentinels.client_of if scheme in sentinels.SCHEMES else redis.asyncio.Redis.from_url
        try:
            return cls(client_of(plain), **options)
        except (ValueError, TypeError) as error:
            raise InvalidArgument(f"the {scheme}:// URL is malformed: {error}") from None

    async def dial(self, *, protocol: int = 2) -> Lane:
        """Open, authenticate and probe a connection.

        Args:
            protocol: 2, or 3 for a connection that receives pushes.

        Raises:
            Unavailable: and its subclasses: the server is away, refuses the password, is still loading, too old,
                could evict keys, or keeps less than is wanted.
        """
        if self.watched is not None:
            return await self._dial_primary(self.watched, protocol)
        if len(self._starts) < 2:
            return await self._dial({}, protocol, _CONNECT_TIMEOUT)
        failure: Unavailable | None = None
        for address in self._starts:
            try:
                return await self.dial_node(address, protocol=protocol)
            except Unavailable as error:
                failure = error
        assert failure is not None
        raise failure

    async def dial_node(self, address: Address, *, protocol: int = 2) -> Lane:
        """Open a connection to a node of a Cluster.

        Args:
            address: its host and port.
            protocol: see `dial`.

        Raises:
            Unavailable: as `dial`.
        """
        lane = await self._dial({"host": address[0], "port": address[1]}, protocol, _NODE_TIMEOUT)
        lane.node = address
        return lane

    def cluster(self, sure: bool = False) -> Cluster | None:
        """Return the Cluster that the last connection led to, None if it led to a server of its own.

        Args:
            sure: whether the server has said so, which tells more than what its user's rules let it tell.

        Raises:
            InvalidArgument: a node of a Cluster was reached in a way that the others cannot be reached in.
        """
        if not sure and not self._clustered:
            return None
        if not self._starts:
            raise InvalidArgument("a Cluster is reached over TCP: give the host and port of one of its nodes")
        settings = self._settings | ours(2) | {"socket_timeout": _NODE_TIMEOUT}
        for name in ("host", "port", "max_connections"):
            settings.pop(name, None)
        remap = getattr(getattr(self._client, "nodes_manager", None), "address_remap", None)
        topology = Topology(self._starts, self._connection_class, settings, remap)
        return Cluster(topology, self.dial_node)

    async def _dial(self, place: dict[str, Any], protocol: int, seconds: float) -> Lane:
        settings = self._settings | place | ours(protocol)
        try:
            lane = await open_lane(self._connection_class, settings, seconds, reply_timeout=self._reply_timeout)
        except AuthenticationFailed as failure:
            failure.passing = self._let_in and self._settings.get("credential_provider") is not None
            raise
        self._let_in = True
        try:
            await self._probe(lane)
        except BaseException:
            # Nobody waits until it is closed, and over TLS that takes a while.
            lane.abandon("the connection is not used")
            raise
        return lane

    async def _dial_primary(self, watched: WatchedPrimary, protocol: int) -> Lane:
        known = watched.sentinels()
        address, news = await known.primary()
        lane = await self._dial(watched.place(address), protocol, _NODE_TIMEOUT)
        try:
            if lane.role not in (None, "master"):
                raise Unavailable(f"the sentinels name {address[0]}:{address[1]}, which is a replica")
            known.follow(lane, address, news)
        except Unavailable:
            lane.close()
            raise
        return lane

    async def _probe(self, lane: Lane) -> None:
        asked_at = monotonic()
        replies = await asyncio.gather(
            lane.call(("CLIENT", "ID")),
            lane.call(("TIME",)),
            lane.call(("INFO", "server", "memory", "persistence", "replication")),
            *map(lane.call, self._demand.questions),
            return_exceptions=True,
        )
        number, time, info, *answers = replies
        if isinstance(number, int):
            lane.client_id = number
        if isinstance(time, list):
            lane.clock.heard(milliseconds(time), asked_at)
        for reply in replies[:3]:
            # A user whose rules forbid a probe is served all the same; what is not known is not refused.
            if isinstance(reply, Exception) and not str(reply).startswith("NOPERM"):
                if isinstance(reply, hiredis.ReplyError):
                    raise from_driver(driver.ResponseError(str(reply))) from None
                # A server that wants a certificate may say so only now.
                raise from_driver(reply) from None
        facts = facts_of(info)
        lane.server_run = facts.get("run_id", "")
        lane.replicas = replicas_of(facts)
        lane.role = facts.get("role")
        self._clustered = "cluster" in (facts.get("redis_mode"), facts.get("server_mode")) or self._clustered
        self._refuse_unfit(facts)
        lane.durability = self._demand.met_by(facts, answers)
        self._demand.watch(lane)

    def _refuse_unfit(self, facts: dict[str, str]) -> None:
        version = facts.get("redis_version", "")
        if version and tuple(int(part) for part in version.split(".")[:2]) < OLDEST_SERVER:
            raise Unavailable(f"the server is Redis {version}; Redis 7.0 or Valkey 7.2 is the oldest that will do")
        policy = facts.get("maxmemory_policy", "noeviction").strip()
        # The volatile policies drop only keys with a time to live, and no key of the store has one.
        if policy.startswith("allkeys") and not self._allow_eviction:
            raise UnsafeEviction(policy)


def _source_of(client: object) -> Any:
    """Return what holds the class and the settings of a client's connections."""
    if isinstance(client, redis.asyncio.Redis):
        return client.connection_pool
    if isinstance(client, redis.asyncio.RedisCluster):
        return client.startup_nodes[0]
    give = "give a redis.asyncio.Redis or RedisCluster"
    if isinstance(client, (redis.Redis, redis.RedisCluster)):
        raise InvalidType(f"conn is a synchronous client: {give}")
    raise InvalidType(f"conn is a {type(client).__module__}.{type(client).__qualname__}: {give}")
