"""Ending connections whose calls are in doubt, so that nothing they carried is executed from then on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import hiredis

from sessionstream.wire.lane import Lane
from sessionstream.wire.seats import Seat

if TYPE_CHECKING:
    from sessionstream.wire.cluster.cluster import Cluster

__all__ = ["fence"]


async def fence(cluster: Cluster | None, seat: Seat | None, lane: Lane, doubtful: list[Lane]) -> bool:
    """End the connections whose calls are in doubt, so that nothing they carried is executed from now on.

    Args:
        cluster: whose nodes they led to, if it is one.
        seat: the running loop's.
        lane: the connection to say it on, and to repeat the calls on.
        doubtful: the others; those that are ended for good are removed.

    Returns:
        Whether the calls may be repeated now; False while a node that may still execute them does not answer.

    Raises:
        hiredis.ReplyError: this user may not end connections, so repeating would not be safe.
    """
    may_repeat = True
    for lost in list(doubtful):
        if not lost.server_run or not lane.server_run:
            raise hiredis.ReplyError("NOPERM INFO, which tells a server from its successor, is not allowed")
        ended: bool | None = True
        # A server that was started anew has executed nothing of the old one's, and gives out the same ids again.
        if lost.server_run == lane.server_run:
            await lane.call(("CLIENT", "KILL", "ID", lost.client_id))
        elif cluster is not None and lost.node is not None and seat is not None:
            ended = await cluster.keeps_out(seat, lost, lane)
        if ended:
            doubtful.remove(lost)
        elif ended is None:
            may_repeat = False
    return may_repeat
