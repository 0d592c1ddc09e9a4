"""A member in a process of its own that kills itself behind the work of its handler, before that is acknowledged."""

from __future__ import annotations

import os
import signal

from sessionstream import SessionManager
from sessionstream.consumers import Item
from sessionstream.projection import Increment, counters


async def main(url: str, namespace: str, partitions: str, version: str) -> None:
    """Count events in a view, until the one of which to die."""

    async def handle(item: Item) -> None:
        item.apply(Increment(counters("count"), "n", 1))
        if item.event.version == int(version):
            os.kill(os.getpid(), signal.SIGKILL)

    async with (
        SessionManager(url=url, namespace=namespace, partitions=int(partitions)) as manager,
        manager.consumers.join("g", handle, lease=0.3) as consumer,
    ):
        await consumer.run()
