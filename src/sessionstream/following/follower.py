"""What following one session and following all have in common: a block, an iterator, a buffer, and being caught up."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Generator
from types import TracebackType
from typing import Generic, Literal, Self, TypeVar

from sessionstream.errors import InvalidArgument, Unavailable
from sessionstream.feed.hub import Bell
from sessionstream.log.history import checked_count

__all__ = ["CaughtUp", "Follower", "WhenFull"]

WhenFull = Literal["wait", "drop"]
Item = TypeVar("Item")


class CaughtUp:
    """Whether a follower has been given all that there was: true or false; awaiting it gives which in the end.

    It becomes true when more is asked for than there is, and then stays so; awaited, it is false only if the follower
    has ended before. Await it in another task than the one that iterates.
    """

    __slots__ = ("_found", "_over", "_waiting")

    def __init__(self) -> None:
        self._found = self._over = False
        self._waiting: asyncio.Event | None = None

    def __bool__(self) -> bool:
        return self._found

    def __await__(self) -> Generator[object, None, bool]:
        if not self._over:
            self._waiting = self._waiting or asyncio.Event()
            yield from self._waiting.wait().__await__()
        return self._found

    def settle(self, found: bool) -> None:
        """Say that it is so, or never will be."""
        if not self._over:
            self._found, self._over = found, True
            if self._waiting is not None:
                self._waiting.set()


class Follower(ABC, Generic[Item]):
    """An async context manager, whose block iterates over what is given, as it comes.

    Nothing is read ahead of what is asked for but one page: what a follower has not asked for yet stays in its stream.

    Args:
        buffer: how many events are read at a time at most; with ``when_full="drop"`` also how many may have come while
            the follower was busy.
        when_full: ``wait``: however far it is behind, it is given everything; ``drop``: it is told when more has come
            than its buffer holds, by `FollowerTooSlow`.

    Attributes:
        caught_up: whether it has been given all that there was when it last asked.

    Raises:
        InvalidArgument: the buffer is no number from 1, or ``when_full`` is another word.
    """

    def __init__(self, *, buffer: int, when_full: WhenFull) -> None:
        if not checked_count(buffer, "buffer"):
            raise InvalidArgument("a buffer holds at least 1 event")
        if when_full not in ("wait", "drop"):
            raise InvalidArgument(f"when_full is 'wait' or 'drop', not {when_full!r}")
        self.caught_up = CaughtUp()
        self._buffer = buffer
        self._drops = when_full == "drop"
        self._failure: Exception | None = None
        self._over = False
        self._asking = False
        self._entered = False
        self._bell: Bell | None = None

    async def __aenter__(self) -> Self:
        if self._entered:
            raise InvalidArgument("a follower is entered once: make another one")
        self._entered = True
        try:
            self._bell = await self._enter()
        except BaseException:
            self._leave()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def _leave(self) -> None:
        self._over = True
        self._empty()
        if self._bell is not None:
            self._bell.close()
        self.caught_up.settle(False)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        if self._bell is None:
            raise InvalidArgument("a follower is used in a block: async with manager.follow(…) as events")
        if self._asking:
            raise InvalidArgument("one task at a time asks a follower for the next event")
        self._asking = True
        try:
            while (item := self._take()) is None:
                await self._advance(self._bell)
            return item
        finally:
            self._asking = False

    async def _advance(self, bell: Bell) -> None:
        if self._failure is not None:
            self.caught_up.settle(False)
            raise self._failure
        if self._over:
            self.caught_up.settle(False)
            raise StopAsyncIteration
        try:
            await self._read_on(bell)
        except Unavailable:
            if self._over:  # the block was left meanwhile
                raise StopAsyncIteration from None
            raise

    @abstractmethod
    async def _enter(self) -> Bell:
        """Find out where to begin, and return the bell that rings from then on."""

    @abstractmethod
    async def _read_on(self, bell: Bell) -> None:
        """Put what comes next into the buffer, waiting for it; or say why not by ``_failure`` or ``_over``."""

    @abstractmethod
    def _take(self) -> Item | None:
        """Return what is next in the buffer, and note that it is given; None if there is nothing."""

    @abstractmethod
    def _empty(self) -> None:
        """Forget what is in the buffer."""
