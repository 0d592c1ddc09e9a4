"""How a worker reaches the store: in words that the runner can hand to another process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from redis.asyncio import RedisCluster

from sessionstream import SessionManager

__all__ = ["SEAL_KEY", "manager_on"]

SEAL_KEY = "the key that the fault runner seals with"
_YEARS = 10 * 365 * 86_400.0


def manager_on(place: Mapping[str, Any], **settings: Any) -> SessionManager:
    """Return a manager of the run's store.

    The feed is kept for longer than a clock jumps ahead, and nothing that has ended is removed: what is gone is lost.

    Args:
        place: ``url``, or for a Cluster ``port`` of a node and ``remap``, from ports to those of the proxies.
        settings: of the manager.
    """
    given = {"feed_retention": _YEARS, "retention": None, "seal_key": SEAL_KEY, **settings}
    if "remap" not in place:
        return SessionManager(url=place["url"], **given)
    remap = {int(port): proxy for port, proxy in place["remap"].items()}
    conn = RedisCluster(
        host="127.0.0.1",
        port=place["port"],
        address_remap=lambda address: (address[0], remap.get(address[1], address[1])),
    )
    return SessionManager(conn, **given)
