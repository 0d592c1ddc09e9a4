"""What one event loop has of a server: its lanes, which end with the loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from sessionstream.errors import Unavailable
from sessionstream.wire.lane import Lane

__all__ = ["Door", "Seat", "close_with_loop"]


class Door:
    """Where tasks stand that want the same: one tries for all who wait.

    Attributes:
        lock: held by the one that tries.
        failure: why the last try failed.
        failed_at: when, by the loop's clock.
    """

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.failure: Unavailable | None = None
        self.failed_at = 0.0


class Seat:
    """The lanes of one event loop, and the generators that close them with it.

    Attributes:
        lane: that of a single server.
        lanes: those of a Cluster, by the node's host and port.
        failure: why the last try to connect failed, while there is none that succeeded.
        connecting: held by the task that connects.
        asking: where tasks stand that want to ask a Cluster which node has which slot.
        refreshed_at: when that was last answered, by the loop's clock.
    """

    def __init__(self) -> None:
        self.lane: Lane | None = None
        self.lanes: dict[tuple[str, int], Lane] = {}
        self.failure: Unavailable | None = None
        self.connecting = asyncio.Lock()
        self.asking = Door()
        self.refreshed_at = float("-inf")
        self._doors: dict[tuple[str, int], Door] = {}
        self._closing: dict[tuple[str, int] | None, AsyncGenerator[None, None]] = {}
        # Those of lanes that are retired: what waits for a reply there has it yet.
        self._retired: dict[Lane, AsyncGenerator[None, None]] = {}

    async def take(self, lane: Lane) -> None:
        """Keep the lane until the loop ends or this object is dropped, whichever comes first."""
        self._retired = {one: closing for one, closing in self._retired.items() if one.in_flight}
        before = self.lane if lane.node is None else self.lanes.get(lane.node)
        if before is not None and before.in_flight:
            self._retired[before] = self._closing[lane.node]
        if lane.node is None:
            self.lane = lane
        else:
            self.lanes[lane.node] = lane
        self._closing[lane.node] = close_with_loop(lane)
        await anext(self._closing[lane.node])

    def door(self, node: tuple[str, int]) -> Door:
        """Return where tasks stand that want to connect to a node."""
        return self._doors.setdefault(node, Door())

    def flush(self) -> None:
        """Write what is queued on every lane."""
        if self.lane is not None:
            self.lane.flush()
        for lane in self.lanes.values():
            lane.flush()

    async def leave(self) -> None:
        """Close every lane."""
        lanes = [lane for lane in (self.lane, *self.lanes.values(), *self._retired) if lane is not None]
        for lane in lanes:
            lane.close()
        for lane in lanes:
            await lane.wait_closed()


async def close_with_loop(lane: Lane) -> AsyncGenerator[None, None]:
    """Close the lane when the event loop shuts down, or when this generator is collected.

    asyncio itself finishes the generators that a loop has started, in both cases
    (https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.shutdown_asyncgens), so a manager that is
    never closed leaves no connection and no warning behind.
    """
    try:
        yield
    finally:
        lane.close()
        await lane.wait_closed()
