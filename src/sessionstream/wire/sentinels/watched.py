"""From a client of redis-py's Sentinel to the sentinels, and to the primary that they name."""

from __future__ import annotations

import asyncio
from typing import Any

import redis.asyncio
from redis.asyncio.sentinel import SentinelConnectionPool

from sessionstream.wire.cluster.redirections import Address
from sessionstream.wire.dialing import open_lane, ours
from sessionstream.wire.lane import Lane
from sessionstream.wire.sentinels.watching import Sentinels

__all__ = ["WatchedPrimary"]

_TIMEOUT = 1.0


class _Named:
    """What redis-py's connections of a Sentinel ask where to connect to: the place that was found out."""

    is_master, check_connection = True, False

    def __init__(self, address: Address) -> None:
        self._address = address

    async def get_master_address(self) -> Address:
        return self._address


class WatchedPrimary:
    """A primary that sentinels watch; each event loop has its own connections to these.

    Args:
        pool: of the client; only its settings are read, and those of its sentinels' clients.
        reply_timeout: see `Lane`.
    """

    def __init__(self, pool: SentinelConnectionPool, *, reply_timeout: float) -> None:
        self._name = pool.service_name
        manager = pool.sentinel_manager
        self._forced: str | None = getattr(manager, "_force_master_ip", None)
        self._clients: dict[Address, redis.asyncio.Redis] = {_address_of(one): one for one in manager.sentinels}
        self._reply_timeout = reply_timeout
        self._loops: dict[asyncio.AbstractEventLoop, Sentinels] = {}

    @classmethod
    def of(cls, pool: Any, *, reply_timeout: float) -> WatchedPrimary | None:
        """Return the primary that a pool leads to; None if it leads to a replica, or knows no sentinels."""
        if isinstance(pool, SentinelConnectionPool) and pool.is_master:
            return cls(pool, reply_timeout=reply_timeout)
        return None

    def sentinels(self) -> Sentinels:
        """Return the sentinels as the running loop sees them."""
        loop = asyncio.get_running_loop()
        found = self._loops.get(loop)
        if found is None:
            # In place: other threads' loops have theirs in the same dict.
            for closed in [known for known in self._loops if known.is_closed()]:
                self._loops.pop(closed, None)
            found = self._loops[loop] = Sentinels(self._name, self._clients, self._dial)
        return found

    def place(self, address: Address) -> dict[str, Any]:
        """Return the settings by which a connection leads to an address."""
        return {"connection_pool": _Named((self._forced or address[0], address[1]))}

    async def aclose(self) -> None:
        """Close the running loop's connections to the sentinels."""
        sentinels = self._loops.pop(asyncio.get_running_loop(), None)
        if sentinels is not None:
            await sentinels.aclose()

    async def _dial(self, address: Address) -> Lane:
        client = self._clients.get(address) or next(iter(self._clients.values()))
        pool = client.connection_pool
        settings = pool.connection_kwargs | {"host": address[0], "port": address[1]} | ours(3)
        return await open_lane(pool.connection_class, settings, _TIMEOUT, reply_timeout=self._reply_timeout)


def _address_of(client: redis.asyncio.Redis) -> Address:
    settings = client.connection_pool.connection_kwargs
    return settings["host"], int(settings["port"])
