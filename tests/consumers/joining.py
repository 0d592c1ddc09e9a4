"""What most of these tests do: append, join, handle until all is handled."""

from __future__ import annotations

from typing import Any

from sessionstream import NoteAdded, SessionManager
from sessionstream.consumers import GroupStatus, Item
from tests.sessions.waiting import until

__all__ = ["Seen", "add_notes", "caught_up", "caught_up_but"]


class Seen:
    """A handler that remembers what it was given, and fails where it is told to.

    Attributes:
        items: what was begun, in order.
        failing: the versions at which it raises.
    """

    def __init__(self, *failing: int) -> None:
        self.items: list[Item] = []
        self.failing = set(failing)

    async def __call__(self, item: Item) -> None:
        """Handle an event."""
        self.items.append(item)
        if item.event.version in self.failing:
            raise ValueError(f"no {item.event.version}")

    @property
    def versions(self) -> list[int]:
        """The versions that were begun, in order."""
        return [item.event.version for item in self.items]


async def add_notes(manager: SessionManager, session_id: str, *texts: str) -> None:
    """Append notes, each by a call of its own."""
    for text in texts:
        await manager.append(session_id, NoteAdded(text=text))


async def caught_up(manager: SessionManager, group: str = "g") -> GroupStatus:
    """Return a group's status as soon as nothing is behind it."""
    return await caught_up_but(manager, 0, group)


async def caught_up_but(manager: SessionManager, lag: int, group: str = "g") -> GroupStatus:
    """Return a group's status as soon as so many events are behind it."""

    async def found() -> Any:
        status = await manager.consumers.status(group)
        return status if status.lag == lag else None

    status: GroupStatus = await until(found)
    return status
