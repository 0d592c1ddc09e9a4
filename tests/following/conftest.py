"""What these tests start from: managers on a fresh namespace, and what a follower is given, noted by a task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import pytest

from sessionstream import SessionManager
from tests.sessions.waiting import until

Open = Callable[..., SessionManager]
Item = TypeVar("Item")

SESSION = "sess_1"


@pytest.fixture
async def manager(open_manager: Open) -> SessionManager:
    """A manager on a fresh namespace, which has one session."""
    manager = open_manager()
    await manager.create_session("user_1", "agent_1", session_id=SESSION)
    return manager


class Noted(Generic[Item]):
    """What a follower was given so far; a context manager that iterates in a task of its own.

    Attributes:
        items: in their order.
        events: the follower, once its block is entered.
        task: the one that iterates.
    """

    def __init__(self, follower: Any) -> None:
        self.events = follower
        self.items: list[Item] = []
        self._entered = asyncio.Event()

    async def __aenter__(self) -> Noted[Item]:
        self.task = asyncio.create_task(self._iterate())
        entered = asyncio.create_task(self._entered.wait())
        await asyncio.wait({self.task, entered}, return_when=asyncio.FIRST_COMPLETED)
        entered.cancel()
        if self.task.done():
            self.task.result()
        return self

    async def __aexit__(self, *exception: object) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def _iterate(self) -> None:
        async with self.events as events:
            self._entered.set()
            async for item in events:
                self.items.append(item)

    async def has(self, count: int) -> list[Item]:
        """Return what was given, as soon as that is so many."""
        await until(lambda: self._failed_or(len(self.items) >= count))
        return self.items

    def _failed_or(self, reached: bool) -> bool:
        if self.task.done() and not reached:
            self.task.result()
            raise AssertionError(f"it ended after {len(self.items)}")
        return reached
