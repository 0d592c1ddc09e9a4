"""An event as a member of a group is given it, and what becomes of it."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from sessionstream.consumers.parking import Record
from sessionstream.consumers.sealing import seal_for
from sessionstream.errors import LeaseLost
from sessionstream.events.encrypted import Seal
from sessionstream.events.recorded import RecordedEvent
from sessionstream.projection import Operation, check_for_group, check_operation

if TYPE_CHECKING:
    from sessionstream.consumers.held import Held
    from sessionstream.consumers.progress import Mark

__all__ = ["Aside", "Item", "Stage"]


class Stage(enum.Enum):
    """How far an item has come."""

    WAITING = "waiting"
    GIVEN = "given"
    OPEN = "open"
    OVER = "over"


class Aside(NamedTuple):
    """What becomes of an item that is caught up beside the feed.

    Attributes:
        handled: called in the step in which it is acknowledged.
        parked: called with its record when it has failed again too often.
    """

    handled: Callable[[], None]
    parked: Callable[[Record], None]


class Item:
    """One event for a group; it is acknowledged by leaving ``async with item:`` without an exception.

    An exception is a failure: it is logged, not raised, and the event is given again after a while, or parked. A
    cancellation is none: the event is given again.

    Attributes:
        event: what happened.
        attempt: which try this is, from 1.
        operations: what changes in the group's views when it is acknowledged; see `apply`.
    """

    def __init__(self, held: Held, event: RecordedEvent, mark: Mark | None, attempt: int) -> None:
        self.event = event
        self.attempt = attempt
        self.operations: list[Operation] = []
        self.stage = Stage.WAITING
        self.mark = mark
        self.held = held
        self.aside: Aside | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.until = 0.0
        self._timeout: asyncio.Timeout | None = None
        self._seal: Seal | None = None

    @property
    def seal(self) -> Seal | None:
        """What encrypts what is kept of it; None where nothing is encrypted."""
        return self._seal or self.event.seal

    @property
    def session_id(self) -> str:
        """The event's session."""
        return self.event.session_id

    @property
    def data(self) -> Any:
        """The typed event."""
        return self.event.data

    @property
    def partition(self) -> int:
        """The partition that the session lies in."""
        return self.held.lease.partition

    @property
    def token(self) -> int:
        """The lease's token, which grows with every holder of the partition: a fence for writes elsewhere."""
        return self.held.lease.token

    def apply(self, *operations: Operation) -> None:
        """Change views of the group's own, in the one step in which this event is acknowledged, so exactly once.

        Args:
            operations: of `sessionstream.projection`; what they change is read by ``consumers.view``.

        Raises:
            EventTypeError: one is no operation, or is for the store's own views.
            KeyUnavailable: the namespace is encrypted, and the key for a text cannot be had; or `KeyDestroyed`.
        """
        for operation in operations:
            check_operation(operation)
            check_for_group(operation)
        self.held.check_encoding(self, operations)
        self.operations += list(self.held.encrypted(self.event, operations, self.seal))

    async def committed(self) -> None:
        """Wait until the acknowledgment is kept by the server, which happens by itself right after the block.

        Raises:
            LeaseLost: the partition went to another member, which is given the event again.
        """
        await self.held.until_committed(self)

    async def __aenter__(self) -> Self:
        if self.stage is not Stage.GIVEN or self.held.lost:
            raise LeaseLost(self.held.group, self.partition)
        self.stage = Stage.OPEN
        if self.timer is not None:
            self.timer.cancel()
        try:
            self._seal = await seal_for(self.held.store, self.event)
        except BaseException:
            # The block is not entered, so it is not left either.
            self.stage = Stage.OVER
            self.held.returned(self)
            raise
        self._timeout = asyncio.timeout_at(self.until)
        await self._timeout.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        assert self._timeout is not None
        late: TimeoutError | None = None
        try:
            await self._timeout.__aexit__(kind, error, trace)
        except TimeoutError as passed:
            late = passed
        self.stage = Stage.OVER
        if late is not None:
            seconds = self.held.options.max_handling
            self.held.failed(self, TimeoutError(f"not handled within {seconds:g} s, which max_handling allows"))
            return True
        if error is None:
            self.held.succeeded(self)
            await self.held.keep_up()
            return False
        if isinstance(error, Exception):
            self.held.failed(self, error)
            return True
        self.held.returned(self)
        return False

    def __repr__(self) -> str:
        return f"<item {self.event!r}, attempt {self.attempt}>"
