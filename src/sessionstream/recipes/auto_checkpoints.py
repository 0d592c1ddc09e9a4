"""A checkpoint every few turns, and a last one when the conversation is left."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

from sessionstream.errors import InvalidArgument, InvalidType
from sessionstream.manager import SessionManager

__all__ = ["AutoCheckpoint", "auto_checkpoint_interval"]

Snapshot = Callable[[], Any] | Callable[[], Awaitable[Any]]


class AutoCheckpoint:
    """Saves a checkpoint every N turns; what happened since the last one is saved when the block is left.

    ::

        async with AutoCheckpoint(manager, session_id, lambda: {"history": history}, every=5) as turns:
            while …:
                …
                await turns.turn()

    A block that raises is saved too, and its own exception goes on, whatever becomes of the save.

    Args:
        manager: where to.
        session_id: the session.
        snapshot: returns the agent's data, or an awaitable of it; called at each save.
        every: turns from one checkpoint to the next.
        label: the caller's own name for the checkpoints.

    Attributes:
        checkpoint_id: of the last checkpoint that was saved, or None.
    """

    def __init__(
        self, manager: SessionManager, session_id: str, snapshot: Snapshot, *, every: int = 5, label: str | None = None
    ) -> None:
        if not callable(snapshot):
            raise InvalidType(f"snapshot is a function that returns the data, not a {type(snapshot).__name__}")
        if isinstance(every, bool) or not isinstance(every, int):
            raise InvalidType(f"every is a number of turns, not a {type(every).__name__}")
        if every < 1:
            raise InvalidArgument(f"every is {every} turns, not 1 or more")
        self._manager = manager
        self._session_id = session_id
        self._snapshot = snapshot
        self._every = every
        self._label = label
        self._unsaved = 0
        self.checkpoint_id: str | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._unsaved:
            return
        try:
            await self.save()
        except Exception as failure:
            if error is None:
                raise
            error.add_note(f"and the last checkpoint of session {self._session_id!r} was not saved: {failure!r}")

    async def turn(self) -> str | None:
        """Count a turn, save if it is the Nth since the last save, and return the checkpoint's id if so."""
        self._unsaved += 1
        return await self.save() if self._unsaved >= self._every else None

    async def save(self) -> str:
        """Save a checkpoint now and return its id; the turns are counted from here."""
        covered, self._unsaved = self._unsaved, 0
        try:
            data = self._snapshot()
            if inspect.isawaitable(data):
                data = await data
            self.checkpoint_id = await self._manager.save_checkpoint(self._session_id, data, label=self._label)
        except BaseException:
            self._unsaved += covered
            raise
        return self.checkpoint_id


def auto_checkpoint_interval(
    manager: SessionManager, session_id: str, snapshot: Snapshot, interval: int = 5
) -> AutoCheckpoint:
    """Return an `AutoCheckpoint` that saves every ``interval`` turns."""
    return AutoCheckpoint(manager, session_id, snapshot, every=interval)
