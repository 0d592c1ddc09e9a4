"""What tests ask of a server alone, asked where there are several: of all primaries, and without what these say.

Replicas and sentinels connect to a primary and send commands at all times; tests count those of clients.
"""

from __future__ import annotations

import asyncio
from typing import Any

from redis.asyncio import Redis, RedisCluster

from sessionstream.log.store import Store
from sessionstream.wire.lane import Lane

__all__ = ["EveryNode", "OfClients", "keys_of", "lanes_of"]

# What replicas and sentinels send.
_NOT_OF_CLIENTS = {"cmdstat_ping", "cmdstat_psync", "cmdstat_publish", "cmdstat_replconf"}


class OfClients(Redis):
    """A client of a primary that sentinels watch: it tells of clients alone."""

    async def info(self, section: str | None = None, *args: str, **settings: Any) -> dict[str, Any]:
        """Return the section without the commands of others."""
        told = await super().info(section, *args, **settings)
        return {name: value for name, value in told.items() if name not in _NOT_OF_CLIENTS}

    async def client_list(self, **settings: Any) -> list[dict[str, str]]:
        """Return the connections of clients."""
        return _of_clients(await super().client_list(**settings))


class EveryNode(RedisCluster):
    """Counts are those of all primaries together; a connection's id names its node too."""

    async def info(self, section: str | None = None, *args: str, **settings: Any) -> dict[str, Any]:
        """Return the section of all primaries, numbers added up."""
        told = await self._of_all("info", section, *args, **settings)
        merged: dict[str, Any] = {}
        for one in told.values():
            _add(merged, one)
        return {name: value for name, value in merged.items() if name not in _NOT_OF_CLIENTS}

    async def client_list(self, **settings: Any) -> list[dict[str, str]]:
        """Return the connections of clients, not those of replicas."""
        told = await self._of_all("client_list", **settings)
        return [
            {**one, "id": f"{node}/{one['id']}"}
            for node, connections in told.items()
            for one in _of_clients(connections)
        ]

    async def client_id(self) -> str:
        """Return the id of the connection to the node that answers for itself alone."""
        node = self.get_default_node()
        return f"{node.name}/{await super().client_id(target_nodes=node)}"

    async def client_kill_filter(self, _id: str | None = None, **settings: Any) -> int:
        """End one connection, or those that are meant on all primaries."""
        if _id is None:
            return sum((await self._of_all("client_kill_filter", **settings)).values())
        name, _, number = _id.partition("/")
        node = self.get_node(node_name=name)
        return int(await super().client_kill_filter(_id=number, target_nodes=node, **settings))

    async def pubsub_shardnumsub(self, *channels: str) -> list[tuple[Any, int]]:
        """Return how many connections hear of channels, wherever these are."""
        told = (await self._of_all("pubsub_shardnumsub", *channels)).values()
        return [(channel, sum(count for _, count in counts)) for channel, *counts in zip(channels, *told, strict=True)]

    async def config_resetstat(self) -> None:
        """Let all primaries count from nothing."""
        await self._of_all("config_resetstat")

    async def acl_setuser(self, *args: Any, **settings: Any) -> None:
        """Change the rules of all primaries."""
        await self._of_all("acl_setuser", *args, **settings)

    async def acl_deluser(self, *args: Any) -> None:
        """Take a user out of the rules of all primaries."""
        await self._of_all("acl_deluser", *args)

    async def config_set(self, *args: Any) -> None:
        """Change a setting of all primaries."""
        await self._of_all("config_set", *args)

    async def config_get(self, *args: Any) -> Any:
        """Return a setting of one of them."""
        return next(iter((await self._of_all("config_get", *args)).values()))

    async def _of_all(self, method: str, *args: Any, **settings: Any) -> dict[str, Any]:
        if self._initialize:
            await self.initialize()
        call = getattr(super(), method)
        return {node.name: await call(*args, target_nodes=node, **settings) for node in self.get_primaries()}


async def lanes_of(store: Store) -> list[Lane]:
    """Return the store's connections to those that have its partitions: one, or one to each primary."""
    until = asyncio.get_running_loop().time() + store.server.deadline
    lanes = [await store.server.lane(until, store.keys.log(number)) for number in range(store.keys.partitions)]
    return list(dict.fromkeys(lanes))


async def keys_of(store: Store, pattern: str | None = None) -> list[str]:
    """Return the names of the store's keys, in order, or of those that match a pattern."""
    keys = set[str]()
    for lane in await lanes_of(store):
        cursor = b"0"
        while True:
            words = ("SCAN", cursor, "MATCH", pattern or f"{store.keys.namespace}:*", "COUNT", 1000)
            cursor, page = await lane.call(words)
            keys.update(key.decode() for key in page)
            if int(cursor) == 0:
                break
    return sorted(keys)


def _of_clients(connections: list[dict[str, str]]) -> list[dict[str, str]]:
    return [one for one in connections if not set(one["flags"]) & set("SM") and not one["name"].startswith("sentinel-")]


def _add(merged: dict[str, Any], more: dict[str, Any]) -> None:
    for name, value in more.items():
        if isinstance(value, dict):
            _add(merged.setdefault(name, {}), value)
        elif isinstance(value, (int, float)) and isinstance(merged.get(name, 0), (int, float)):
            merged[name] = merged.get(name, 0) + value
        else:
            merged.setdefault(name, value)
