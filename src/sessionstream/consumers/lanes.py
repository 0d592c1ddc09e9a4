"""The order of sessions: of each, one event at a time is offered."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from sessionstream.consumers.item import Item

__all__ = ["Lanes"]


class Lanes:
    """Queues of items, one of each session; the first of each is offered, the others wait for it.

    Args:
        offer: is given each item whose turn it is.

    Attributes:
        count: how many items there are.
    """

    def __init__(self, offer: Callable[[Item], None]) -> None:
        self._offer = offer
        self._queues: dict[str, deque[Item]] = {}
        self.count = 0

    def push(self, item: Item) -> None:
        """Put an item behind those of its session."""
        self.count += 1
        queue = self._queues.get(item.session_id)
        if queue is None:
            self._queues[item.session_id] = deque((item,))
            self._offer(item)
        else:
            queue.append(item)

    def again(self, item: Item) -> None:
        """Offer the first item of a session once more, in the place of the one that failed."""
        queue = self._queues.get(item.session_id)
        if queue is not None:
            queue[0] = item
            self._offer(item)

    def next(self, session_id: str) -> None:
        """Take a session's first item away, and offer the one behind it."""
        queue = self._queues[session_id]
        queue.popleft()
        self.count -= 1
        if queue:
            self._offer(queue[0])
        else:
            del self._queues[session_id]

    def clear(self, session_id: str) -> list[Item]:
        """Take all items of a session away, and return them."""
        queue = self._queues.pop(session_id, deque())
        self.count -= len(queue)
        return list(queue)
