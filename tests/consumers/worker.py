"""A member of a group in a process of its own: it notes what it handles, one line an event, and counts it."""

from __future__ import annotations

import os

from sessionstream import SessionManager
from sessionstream.consumers import Item
from sessionstream.projection import Increment, counters, view

LEASE = 0.4
SEEN, OF_SESSION = counters("seen"), view("seen")


async def main(url: str, namespace: str, group: str, member: str, path: str) -> None:
    """Handle events until the process is ended."""
    # Lines of all workers go to one file, in the order of their writing: each is one write at the file's end.
    file = os.open(path, os.O_WRONLY | os.O_APPEND)

    async def handle(item: Item) -> None:
        os.write(file, f"{item.session_id} {item.event.version}\n".encode())
        item.apply(Increment(SEEN, "events", 1), Increment(OF_SESSION, "events", 1))

    async with (
        SessionManager(url=url, namespace=namespace, partitions=16) as manager,
        manager.consumers.join(group, handle, member=member, lease=LEASE) as consumer,
    ):
        await consumer.run()
