"""A projection that is run from the feed: its views are built beside the old ones, switched to, and kept up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from types import TracebackType
from typing import Self

from sessionstream.consumers.consumer import Consumer, Handler
from sessionstream.consumers.generations import Generations, Progressed
from sessionstream.consumers.item import Item
from sessionstream.consumers.patience import persist
from sessionstream.errors import (
    FeedTrimmed,
    GroupNotFound,
    InvalidArgument,
    ProjectionReplaced,
    UnknownPosition,
)
from sessionstream.projection import Projection

__all__ = ["Projector"]

_LOOK = 0.05
_LOOK_AGAIN = 1.0
_log = logging.getLogger("sessionstream")
Join = Callable[[str, Handler], Consumer]


class Projector:
    """Keeps a projection's views up to date for the time of an ``async with`` block, together with other processes.

    Args:
        generations: those of the projection.
        projection: what the events mean.
        join: gives a member of a group, which is to call a handler.
        progress: called with how many sessions are built, and about how many there are.
        anew: build the views anew, even if they are of this version.
    """

    def __init__(
        self,
        generations: Generations,
        projection: Projection,
        join: Join,
        progress: Callable[[int, int], object] | None,
        *,
        anew: bool,
    ) -> None:
        self._generations, self._projection, self._join = generations, projection, join
        self._tell = progress
        self._anew = anew
        self._task: asyncio.Task[None] | None = None
        self._in_use = asyncio.Event()
        self._failure: Exception | None = None
        self._told = False

    async def in_use(self) -> None:
        """Wait until the views of this version are built and switched to; raises what prevents that.

        Raises:
            EventTypeError: the projection failed on an event that is to be built in.
            ProjectionReplaced: a later version has taken over.
        """
        task = self._running()
        waiting = asyncio.ensure_future(self._in_use.wait())
        try:
            await asyncio.wait({waiting, task}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if not self._in_use.is_set():
            self._raise_failure()

    async def run(self) -> None:
        """Keep the views up to date until cancelled; raises what ends that before, as `in_use` does."""
        await asyncio.wait({self._running()})
        self._raise_failure()

    def _running(self) -> asyncio.Task[None]:
        if self._task is None:
            raise InvalidArgument("a projection is run in a block: async with manager.consumers.project(…)")
        return self._task

    async def __aenter__(self) -> Self:
        if self._task is not None:
            raise InvalidArgument("a block is entered once: ask manager.consumers.project for another one")
        generation, in_use = await self._generations.choose(anew=self._anew)
        self._task = asyncio.create_task(self._keep_up(generation, in_use), name="sessionstream: projecting")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task = self._running()
        task.cancel()
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            # It is about to leave its group, and quick about that.
            await asyncio.wait({task})
            raise
        if kind is None and not self._told:
            self._raise_failure()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            self._told = True
            raise self._failure

    async def _keep_up(self, generation: str, in_use: bool) -> None:
        try:
            while True:
                try:
                    async with self._join(self._generations.group(generation), self._handle) as consumer:
                        await self._work(generation, consumer, in_use=in_use)
                except GroupNotFound:
                    generation, in_use = await self._another(), True
                except (FeedTrimmed, UnknownPosition) as gap:
                    _log.warning("projection %r is built anew: %s", self._projection.name, gap)
                    await persist(lambda gone=generation: self._generations.abandon(gone))  # type: ignore[misc]
                    generation, in_use = await persist(lambda: self._generations.choose(anew=True))
        except Exception as error:  # whatever it is, what ``progress`` raised too, it is for who runs this
            self._failure = error

    async def _work(self, generation: str, consumer: Consumer, *, in_use: bool) -> None:
        # Joining makes a group that was removed a moment ago.
        if not await persist(lambda: self._generations.is_known(generation)):
            await persist(lambda: self._generations.remove(generation))
            raise GroupNotFound(self._generations.group(generation))
        if not in_use:
            await self._build(generation, consumer)
        # Also what somebody has left who died behind a switch.
        await persist(lambda: self._generations.clear(keep=generation))
        self._in_use.set()
        await self._until_replaced(generation, consumer)

    async def _until_replaced(self, generation: str, consumer: Consumer) -> None:
        """Keep a generation up; who puts another one in its place may die before it has removed the group."""
        running = asyncio.ensure_future(consumer.run())
        try:
            while not running.done():
                await asyncio.wait({running}, timeout=_LOOK_AGAIN)
                if not await persist(lambda: self._generations.is_known(generation)):
                    raise GroupNotFound(self._generations.group(generation))
            await running
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def _another(self) -> str:
        """Return the generation in use, since somebody has removed the one that this process worked on."""
        known = await persist(self._generations.current)
        if known is None or known.partition(".")[0] != str(self._projection.version):
            raise ProjectionReplaced(self._projection.name, known)
        return known

    async def _handle(self, item: Item) -> None:
        data = item.event.foldable
        if data is not None:
            item.apply(*self._projection.operations(item.session_id, data))

    async def _build(self, generation: str, consumer: Consumer) -> None:
        """Wait until a generation is built, and put it in the place of the one in use."""
        told: Progressed | None = None
        # The one in use may hold all this, and somebody else have left off building this one long ago.
        least = await persist(self._generations.newest)
        while True:
            progress = await persist(lambda: self._generations.progress(generation, least))
            if self._tell is not None and progress[:2] != (told[:2] if told else None):
                self._tell(progress.done, progress.total)
            told = progress
            if progress.built:
                break
            if consumer.over:
                await consumer.run()
            await asyncio.sleep(_LOOK)
        if not await persist(lambda: self._generations.switch(generation)):
            raise GroupNotFound(self._generations.group(generation))
