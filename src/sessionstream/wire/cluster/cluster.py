"""The nodes of a Redis Cluster: a lane to each that is needed, and the way of a call to the node that has its key."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, Protocol

import hiredis

from sessionstream.errors import Unavailable
from sessionstream.wire.cluster.redirections import Address, Redirection, redirection_of
from sessionstream.wire.cluster.slots import slot_of
from sessionstream.wire.cluster.topology import Topology
from sessionstream.wire.lane import Lane, LaneClosed
from sessionstream.wire.packing import Word
from sessionstream.wire.patience import backoff, waiting_is_vain
from sessionstream.wire.refusal import code_of
from sessionstream.wire.seats import Seat

__all__ = ["Cluster"]

# How old, in seconds, an answer about the slots may be that is still relied on: where a node does not do its work, and
# where it has said itself which other one has a slot.
_LOST, _MOVED = 0.2, 1.0
_FENCE_TIMEOUT = 2.0
# After these another node may have the slot, and the one that said so need not know.
_DOUBTFUL = frozenset({"CLUSTERDOWN", "LOADING", "MASTERDOWN", "READONLY"})


class DialNode(Protocol):
    """Opens a lane to a node."""

    def __call__(self, address: Address, *, protocol: int = 2) -> Awaitable[Lane]:
        """Open it, with RESP2 or RESP3."""


class Cluster:
    """A Cluster, shared by all event loops of a process; what belongs to one loop is in its `Seat`.

    Args:
        topology: which node has which slot.
        dial: opens a lane to a node.
    """

    def __init__(self, topology: Topology, dial: DialNode) -> None:
        self._topology = topology
        self._dial = dial
        self._age = float("inf")

    @property
    def stale(self) -> bool:
        """Whether something has said, since the nodes were asked, that slots have moved."""
        return self._age < float("inf")

    def doubt(self, age: float = _LOST) -> None:
        """Let the nodes be asked anew before the next connection is made, unless they were so many seconds ago."""
        self._age = min(self._age, age)

    def owner(self, key: Word) -> Address | None:
        """Return the node that has a key, as far as is known."""
        return self._topology.owner(slot_of(key))

    def heed(self, error: hiredis.ReplyError, lane: Lane) -> Redirection | None:
        """Learn from a refusal, and return where it sends the call, if it does."""
        if code_of(error) in _DOUBTFUL:
            self.doubt()
        found = redirection_of(error, lane.node)
        if found is None:
            return None
        found = found._replace(address=self._topology.remapped(found.address))
        if not found.asking:
            self._topology.moved(found.slot, found.address)
            self.doubt(_MOVED)
        return found

    async def push_lane(self, key: Word) -> Lane:
        """Return a new lane of RESP3 to the node that has a key; raises `Unavailable`."""
        address = self.owner(key)
        try:
            if address is None:
                raise Unavailable(f"no node is known to have {key!s}")
            return await self._dial(address, protocol=3)
        except Unavailable:
            self.doubt()
            raise

    async def lane(self, seat: Seat, key: Word, until: float, asked: Redirection | None = None) -> Lane:
        """Return an open lane to the node that has a key, or that a redirection names.

        Args:
            seat: the running loop's.
            key: what the call is about.
            until: the loop's time at which to give up.
            asked: where a node has sent the call.

        Raises:
            Unavailable: no connection came about; nothing was sent.
        """
        loop = asyncio.get_running_loop()
        attempt = 0
        while True:
            try:
                if self.stale:
                    await self._refresh(seat, asked)
                return await self._open(seat, key, asked)
            except Unavailable as failure:
                seat.failure = failure
                if waiting_is_vain(failure) or loop.time() + backoff(attempt) >= until:
                    raise
            await asyncio.sleep(backoff(attempt))
            asked = None
            self.doubt()
            attempt += 1

    async def _open(self, seat: Seat, key: Word, asked: Redirection | None) -> Lane:
        address = asked.address if asked is not None else self.owner(key)
        known = seat.lanes.get(address) if address is not None else None
        if known is not None and not known.closed:
            return known
        if asked is None and (address is None or known is not None):
            # The node that was lost may have been replaced.
            self.doubt()
            await self._refresh(seat, None)
            address = self.owner(key)
        if address is None:
            raise Unavailable(f"no node of the Cluster has the slot of {key!s}")
        return await self._lane_to(seat, address)

    async def _lane_to(self, seat: Seat, address: Address) -> Lane:
        loop = asyncio.get_running_loop()
        came_at = loop.time()
        door = seat.door(address)
        async with door.lock:
            lane = seat.lanes.get(address)
            if lane is not None and not lane.closed:
                return lane
            if door.failure is not None and door.failed_at >= came_at:
                # Who waited for somebody else's try does not wait once more.
                raise door.failure
            try:
                lane = await self._dial(address)
            except Unavailable as failure:
                door.failure, door.failed_at = failure, loop.time()
                raise
            await seat.take(lane)
            seat.failure = door.failure = None
            return lane

    async def _refresh(self, seat: Seat, asked: Redirection | None) -> None:
        loop = asyncio.get_running_loop()
        came_at = loop.time()
        async with seat.asking.lock:
            if loop.time() - seat.refreshed_at < self._age:
                return
            try:
                if seat.asking.failure is not None and seat.asking.failed_at >= came_at:
                    raise seat.asking.failure
                await self._topology.refresh()
            except Unavailable as failure:
                seat.asking.failure, seat.asking.failed_at = failure, loop.time()
                if asked is None:
                    raise
            else:
                seat.refreshed_at, self._age = loop.time(), float("inf")
                seat.asking.failure = None
            if asked is not None and not asked.asking:
                # It is newer than what some node may have told.
                self._topology.moved(asked.slot, asked.address)

    async def keeps_out(self, seat: Seat, lost: Lane, lane: Lane) -> bool | None:
        """Make sure that a call which a lost connection carried is not executed behind its repeat on another node.

        The node that it was on is told to end the connection. One that is gone, or that the others have declared
        failed, so that its slots went to a replica, can say nothing: whatever it still executes is dropped when it
        comes back, for it then takes over the data of its successor.

        Args:
            seat: the running loop's.
            lost: the connection that broke.
            lane: that to the node which is to execute the repeat.

        Returns:
            True for good; False only for as long as the node does not come back; None if it may still execute the call.
        """
        assert lost.node is not None
        if lost.node == lane.node:
            return True  # the same address, another process
        there = seat.lanes.get(lost.node)
        if there is None or there.closed:
            if await self._is_failed(lane, lost.node):
                return False
            try:
                async with asyncio.timeout(_FENCE_TIMEOUT):
                    there = await self._lane_to(seat, lost.node)
            except (Unavailable, TimeoutError):
                return False if await _nobody_listens(lost.node) else None
        if there.server_run == lost.server_run:
            try:
                await there.call(("CLIENT", "KILL", "ID", lost.client_id))
            except LaneClosed:
                return None
        return True

    async def _is_failed(self, lane: Lane, address: Address) -> bool:
        """Whether the majority has declared a node failed, by the account of another."""
        try:
            reply: Any = await lane.call(("CLUSTER", "NODES"))
        except hiredis.ReplyError:
            return False
        for line in bytes(reply).decode().splitlines():
            _, place, flags, *_ = line.split(" ")
            socket, *names = place.split(",")
            ip, _, port = socket.partition("@")[0].rpartition(":")
            if any(self._topology.remapped((name, int(port))) == address for name in (ip, *names)):
                return "fail" in flags.split(",")
        return False


async def _nobody_listens(address: Address) -> bool:
    try:
        async with asyncio.timeout(_FENCE_TIMEOUT):
            _, writer = await asyncio.open_connection(*address)
    except ConnectionRefusedError:
        return True
    except (OSError, TimeoutError):
        return False
    writer.close()
    return False
