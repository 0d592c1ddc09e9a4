"""How a worker reaches the store: in words that the runner can hand to another process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.sentinel import Sentinel

from sessionstream import SessionManager

__all__ = ["SEAL_KEY", "client_on", "manager_on"]

SEAL_KEY = "the key that the fault runner seals with"
_HOST = "127.0.0.1"
_YEARS = 10 * 365 * 86_400.0


def manager_on(place: Mapping[str, Any], **settings: Any) -> SessionManager:
    """Return a manager of the run's store.

    The feed is kept for longer than a clock jumps ahead, and nothing that has ended is removed: what is gone is lost.

    Args:
        place: ``url``; or for a Cluster ``ports`` of its nodes, and ``remap`` from these to those of proxies; or
            ``sentinels``, the ports of these, and the ``name`` of the primary.
        settings: of the manager.
    """
    given = {"feed_retention": _YEARS, "retention": None, "seal_key": SEAL_KEY, **settings}
    if "url" in place:
        return SessionManager(url=place["url"], **given)
    return SessionManager(client_on(place), **given)


def client_on(place: Mapping[str, Any]) -> Any:
    """Return a client of redis-py's; see `manager_on`."""
    if "sentinels" in place:
        sentinel = Sentinel([(_HOST, port) for port in place["sentinels"]], socket_timeout=1.0)
        return sentinel.master_for(place["name"], Redis)
    if "url" in place:
        return Redis.from_url(place["url"])
    remap = {int(port): proxy for port, proxy in place["remap"].items()}
    return RedisCluster(
        startup_nodes=[ClusterNode(_HOST, remap.get(port, port)) for port in place["ports"]],
        address_remap=lambda address: (address[0], remap.get(address[1], address[1])),
    )
