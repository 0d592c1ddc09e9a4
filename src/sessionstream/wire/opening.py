"""From what the caller gave, a client, a URL or nothing, to the server behind the store."""

from __future__ import annotations

from pathlib import Path

from sessionstream.wire.connect import Dialer
from sessionstream.wire.durability import Demand
from sessionstream.wire.embedded import EmbeddedServer
from sessionstream.wire.lane import Lane
from sessionstream.wire.server import Server

__all__ = ["server_for"]


class _EmbeddedDialer:
    """Makes lanes to the embedded server, starting it if it does not run."""

    def __init__(self, folder: Path | None, reply_timeout: float, deadline: float, demand: Demand) -> None:
        self._folder = folder
        self._reply_timeout = reply_timeout
        self._deadline = deadline
        self._demand = demand
        self._lease: EmbeddedServer | None = None

    async def dial(self, *, protocol: int = 2) -> Lane:
        """Open a lane, on a server that lives at least as long as this object."""
        if self._lease is None:
            self._lease = await EmbeddedServer.acquire(self._folder, timeout=self._deadline)
        elif not self._lease.alive():
            await self._lease.ensure()
        url = f"unix://{self._lease.socket_path}"
        dialer = Dialer.from_url(url, reply_timeout=self._reply_timeout, demand=self._demand)
        return await dialer.dial(protocol=protocol)

    def release(self) -> None:
        """Let the server go; it stops some seconds after the last process has done so."""
        if self._lease is not None:
            self._lease.release()
            self._lease = None


def server_for(
    client: object | None,
    url: str | None,
    *,
    folder: Path | None = None,
    reply_timeout: float = 5.0,
    deadline: float = 15.0,
    allow_eviction: bool = False,
    durability: str | None = None,
    allow_unchecked_durability: bool = False,
) -> Server:
    """Return the server that a client or a URL leads to, or the embedded one; nothing is sent yet.

    Args:
        client: a ``redis.asyncio.Redis`` or ``RedisCluster``, or None.
        url: where the server is, if there is no client.
        folder: the embedded server's data, if there is no URL either.
        reply_timeout: seconds without a reply after which a connection counts as broken.
        deadline: seconds over all tries of one call.
        allow_eviction: accept a server that could drop keys.
        durability: what servers have to give; None takes them as they are.
        allow_unchecked_durability: take the caller's word for it where a server does not tell.

    Raises:
        InvalidArgument: the URL is malformed, or the client is of another kind.
    """
    reply_timeout = min(reply_timeout, deadline)
    demand = Demand(durability, allow_unchecked=allow_unchecked_durability)
    if client is not None:
        own = Dialer(client, reply_timeout=reply_timeout, allow_eviction=allow_eviction, demand=demand)
        return Server(own.dial, deadline=deadline, find_cluster=own.cluster, watched=own.watched)
    if url is not None:
        dialer = Dialer.from_url(url, reply_timeout=reply_timeout, allow_eviction=allow_eviction, demand=demand)
        return Server(dialer.dial, deadline=deadline, find_cluster=dialer.cluster, watched=dialer.watched)
    embedded = _EmbeddedDialer(folder, reply_timeout, deadline, demand)
    return Server(embedded.dial, deadline=deadline, release=embedded.release)
