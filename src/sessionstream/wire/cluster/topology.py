"""Which node has which slot: redis-py asks the nodes, what they answer is kept, and MOVED corrects it slot by slot."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from redis.asyncio.cluster import ClusterNode, NodesManager
from redis.asyncio.connection import AbstractConnection

from sessionstream.errors import Unavailable
from sessionstream.wire.cluster.redirections import Address
from sessionstream.wire.cluster.slots import SLOTS
from sessionstream.wire.refusal import from_driver

__all__ = ["Topology"]

# So many nodes are asked side by side, and the first answer counts: one that hangs holds nobody up.
_AT_ONCE = 3
_TIMEOUT = 2.0

Remap = Callable[[Address], Address]


class Topology:
    """The map of a Cluster, shared by all event loops of a process.

    Args:
        starts: the nodes that are known to begin with.
        connection_class: redis-py's class of connections to them.
        settings: what connections are made with, but for host and port.
        remap: what the caller's client makes of the addresses that nodes tell, if anything.
    """

    def __init__(
        self,
        starts: Iterable[Address],
        connection_class: type[AbstractConnection],
        settings: Mapping[str, Any],
        remap: Remap | None = None,
    ) -> None:
        self._starts = list(starts)
        self._connection_class = connection_class
        self._settings = dict(settings)
        self._remap = remap
        self._owners: list[Address | None] = [None] * SLOTS
        self._known: list[Address] = []

    def owner(self, slot: int) -> Address | None:
        """Return the primary that has a slot, as far as is known."""
        return self._owners[slot]

    def moved(self, slot: int, address: Address) -> None:
        """Note that a slot is at another node now, and where that is reached from here."""
        self._owners[slot] = address

    def remapped(self, address: Address) -> Address:
        """Return where an address that a node told is reached from here."""
        return self._remap(address) if self._remap is not None else address

    async def refresh(self) -> None:
        """Ask the nodes anew.

        Raises:
            Unavailable: none of them answered.
        """
        places = list(dict.fromkeys([*self._known, *self._starts]))
        random.shuffle(places)
        failure: Unavailable | None = None
        for first in range(0, len(places), _AT_ONCE):
            try:
                self._owners, self._known = await _first_answer(
                    [self._ask(one) for one in places[first : first + _AT_ONCE]]
                )
                return
            except Unavailable as error:
                failure = error
        raise failure or Unavailable("no node of the Cluster is known")

    async def _ask(self, address: Address) -> tuple[list[Address | None], list[Address]]:
        host, port = address
        node = ClusterNode(host, port, connection_class=self._connection_class, **self._settings)  # type: ignore[arg-type]
        manager = NodesManager([node], False, {}, dynamic_startup_nodes=False, address_remap=self._remap)
        try:
            async with asyncio.timeout(_TIMEOUT):
                await manager.initialize()
        except TimeoutError:
            raise Unavailable(f"{host}:{port} did not answer within {_TIMEOUT:g} s") from None
        except (
            Exception
        ) as error:  # redis-py raises what it comes upon, such as an IndexError for a Cluster without slots
            raise from_driver(error) from None
        finally:
            _close(node)
        owners: list[Address | None] = [None] * SLOTS
        for slot, (primary, *_) in manager.slots_cache.items():
            owners[slot] = (primary.host, int(primary.port))
        return owners, [(one.host, int(one.port)) for one in manager.nodes_cache.values()]


def _close(node: ClusterNode) -> None:
    """Close a node's connections at once: redis-py's way of doing so takes time, and is cut short by a cancellation."""
    for connection in node._connections:
        if connection._writer is not None:
            connection._writer.close()
            connection._writer = connection._reader = None


async def _first_answer(asking: list[Any]) -> Any:
    tasks = [asyncio.ensure_future(one) for one in asking]
    failure: Unavailable | None = None
    try:
        for task in asyncio.as_completed(tasks):
            try:
                return await task
            except Unavailable as error:
                failure = error
    finally:
        for left in tasks:
            left.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    raise failure or Unavailable("no node was asked")
