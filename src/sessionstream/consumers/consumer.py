"""A member of a consumer group: which partitions it has, and whom it gives their events to."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any, Self

from sessionstream.consumers.dividing import share_of
from sessionstream.consumers.held import Held, Membership
from sessionstream.consumers.item import Item, Stage
from sessionstream.consumers.leases import Leases
from sessionstream.consumers.options import Options
from sessionstream.consumers.patience import persist
from sessionstream.consumers.registry import found
from sessionstream.errors import InvalidArgument, InvalidType, OutcomeUnknown, SessionStreamError, Unavailable
from sessionstream.feed.hub import Hub
from sessionstream.log.leases import holder_named
from sessionstream.log.store import Store
from sessionstream.projection import Projection

__all__ = ["Consumer", "Handler", "OpenConsumers"]

Handler = Callable[[Item], Awaitable[object]]
_LET_GO = 2.0
_log = logging.getLogger("sessionstream")


class Consumer:
    """A member of a group, for the time of an ``async with`` block; see `sessionstream.consumers.Consumers.join`.

    Args:
        store: the namespace.
        hub: tells of what is appended.
        group: the group's name.
        member: this member's.
        after: for each partition where the group begins if it is new: a position, ``beginning`` or ``now``.
        options: how it consumes.
        handler: is called with each event; None is for those who iterate.
        open_ones: where it is noted for the time of the block.
        projection: what the group's views are made by, where it is the group of a projection.

    Attributes:
        group: as given.
        member: as given.
        loop: the event loop of the block; None before it.
    """

    def __init__(
        self,
        store: Store,
        hub: Hub,
        group: str,
        member: str,
        after: list[str],
        options: Options,
        handler: Handler | None,
        open_ones: OpenConsumers,
        projection: Projection | None = None,
    ) -> None:
        self._open_ones = open_ones
        self.group, self.member = group, member
        self._store, self._hub, self._after, self._options, self._handler = store, hub, after, options, handler
        holder = holder_named(options.lease)
        self._leases = Leases(store, group, member, holder, options.lease)
        called = (self._offer, self._returned, self._ended)
        self._membership = Membership(store, hub, group, holder, options, *called, projection)
        self.loop: asyncio.AbstractEventLoop | None = None
        self._held: dict[int, Held] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._ready: deque[Item] = deque()
        self._takers: deque[asyncio.Future[None]] = deque()
        self._in_hand = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._taking: asyncio.Task[None] | None = None
        self._again = asyncio.Event()
        self._failure: BaseException | None = None
        self._over = asyncio.Event()

    @property
    def partitions(self) -> list[int]:
        """The partitions that this member holds now, without those that it is giving back."""
        return sorted(number for number, held in self._held.items() if not (held.lost or held.giving_back))

    @property
    def over(self) -> bool:
        """Whether it gives no more items."""
        return self._over.is_set()

    # What callers do

    async def run(self) -> None:
        """Return when the block is left, or `stop` is called; raise what ends the consumer before.

        Raises:
            InvalidArgument: there is no handler, or it is no coroutine function.
            FeedTrimmed: the group is behind what is kept of the feed.
            UnknownPosition: it stands past the feed's end, of which a failover has lost something.
            GroupNotFound: the group was deleted.
            MemberExists: another process took this member's name, after this one was thought dead.
        """
        if self._handler is None:
            raise InvalidArgument("this consumer has no handler: give one to join, or iterate over it")
        await self._over.wait()
        self._raise_failure()

    def stop(self) -> None:
        """Give no more items: `run` returns and iterations end."""
        self._over.set()
        self._wake_all()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        """Return the next item; what `run` raises is raised here too."""
        if self._handler is not None:
            raise InvalidArgument("this consumer has a handler, which is given the items")
        item = await self._next()
        if item is None:
            self._raise_failure()
            raise StopAsyncIteration
        return item

    async def _next(self) -> Item | None:
        while not self._over.is_set():
            if self._in_hand < self._options.concurrency and (item := self._take()) is not None:
                return item
            taker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._takers.append(taker)
            try:
                await taker
            except asyncio.CancelledError:
                with contextlib.suppress(ValueError):
                    self._takers.remove(taker)
                if taker.done() and not taker.cancelled():
                    self._wake_one()
                raise
        return None

    def _take(self) -> Item | None:
        while self._ready:
            item = self._ready.popleft()
            if item.held.give(item):
                self._in_hand += 1
                return item
        return None

    # What partitions do

    def _offer(self, item: Item) -> None:
        self._ready.append(item)
        self._wake_one()

    def _returned(self) -> None:
        self._in_hand -= 1
        self._wake_one()

    def _wake_one(self) -> None:
        while self._takers:
            taker = self._takers.popleft()
            if not taker.done():
                taker.set_result(None)
                return

    def _wake_all(self) -> None:
        while self._takers:
            self._wake_one()

    def _ended(self, held: Held, error: Exception | None) -> None:
        partition = held.lease.partition
        if self._held.get(partition) is held:
            del self._held[partition]
            self._leave_alone(self._leases.release(held.lease))
            self._again.set()
        if error is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if self._failure is None:
            self._failure = error
        self.stop()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    # Members and partitions

    async def _live(self) -> None:
        """Beat, renew and divide, until the end."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                due = loop.time() + self._options.beat
                self._again.clear()
                await self._round()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(due):
                        await self._again.wait()
        except Exception as error:  # whatever it is, it is for who runs this
            self._fail(error)

    async def _round(self) -> None:
        # Who leaves takes nothing more, and keeps what it still handles.
        renewals = [asyncio.ensure_future(self._renew(held)) for held in list(self._held.values())]
        members = [self.member] if self._over.is_set() else await persist(self._leases.beat)
        await asyncio.gather(*renewals)
        if self._over.is_set():
            return
        share = share_of(self.member, members, self._store.keys.partitions)
        mine = [held for held in self._held.values() if not held.giving_back]
        # What is idle is given back at once, and rather than what is not.
        mine.sort(key=lambda held: not held.busy)
        for held in mine[share:]:
            self._give_back(held)
        if len(mine) < share:
            # On its own: who leaves has to know what it was given, also if that comes late.
            self._taking = asyncio.create_task(self._acquire(share - len(mine)))
            await asyncio.shield(self._taking)

    async def _renew(self, held: Held) -> None:
        since = asyncio.get_running_loop().time()
        asked = await persist(lambda: self._leases.renew(held.lease))
        if asked is None:
            held.lose()
        else:
            held.renewed(since)
            held.asked(asked)

    async def _acquire(self, most: int) -> None:
        """Take up to so many partitions that nobody holds."""
        free = [partition for partition in range(self._store.keys.partitions) if partition not in self._held]
        # Members that begin at the same moment do not ask for the same ones in the same order.
        random.shuffle(free)
        for start in range(0, len(free), max(1, most)):
            some, since = free[start : start + most], asyncio.get_running_loop().time()
            leases = await asyncio.gather(
                *(persist(lambda number=number: self._leases.acquire(number)) for number in some)  # type: ignore[misc]
            )
            for lease in leases:
                if lease is not None:
                    self._held[lease.partition] = Held(self._membership, lease, since)
                    most -= 1
            if most <= 0 or self._over.is_set():
                return

    def _give_back(self, held: Held) -> None:
        async def give_back() -> None:
            await held.settle((Stage.GIVEN, Stage.OPEN))
            await held.end()
            await persist(lambda: self._leases.release(held.lease))

        self._leave_alone(give_back())

    def _leave_alone(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that is only waited for when the group is left."""
        task = asyncio.create_task(_quiet(work), name=f"sessionstream: {self.group} {self.member} gives back")
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    # The block

    async def __aenter__(self) -> Self:
        await self._store.check_readable()
        build = "todo" if self._membership.projection is not None else ""
        await found(self._store, self.group, self._after, build)
        # Before anything is begun: a name that is taken is refused here.
        try:
            await self._leases.beat()
        except (asyncio.CancelledError, OutcomeUnknown, Unavailable):
            # It may have been heard, and others would leave a share to who never comes.
            await self._be_gone()
            raise
        self._open_ones.add(self)
        self.loop = asyncio.get_running_loop()
        self._tasks.append(asyncio.create_task(self._live(), name=f"sessionstream: {self.group} {self.member}"))
        if self._handler is not None:
            for _ in range(self._options.concurrency):
                self._tasks.append(asyncio.create_task(self._work(self._handler)))
        return self

    async def _be_gone(self) -> None:
        with contextlib.suppress(TimeoutError, SessionStreamError):
            async with asyncio.timeout(_LET_GO):
                await self._leases.leave()

    async def _work(self, handler: Handler) -> None:
        try:
            while (item := await self._next()) is not None:
                async with item:
                    await self._handle(handler, item)
        except BaseException as error:
            # Nobody would see that one less works.
            if not isinstance(error, asyncio.CancelledError):
                self._fail(error)
            raise

    async def _handle(self, handler: Handler, item: Item) -> None:
        handling = handler(item)
        if not inspect.isawaitable(handling):
            self._fail(InvalidType(f"the handler of group {self.group!r} is no coroutine function: write async def"))
            # Which is no failure of the event.
            raise asyncio.CancelledError
        try:
            await handling
        except asyncio.CancelledError as inner:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise RuntimeError("the handler awaited something that was cancelled") from inner

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose(wait=kind is None)
        if kind is None:
            self._raise_failure()

    async def aclose(self, *, wait: bool = False) -> None:
        """Leave the group; the end of the block does so, and the manager's.

        Args:
            wait: whether to wait for what is being handled.
        """
        self.stop()
        try:
            await self._leave(wait=wait)
        except asyncio.CancelledError:
            # Who waits no longer leaves no lease to run out all the same.
            if wait:
                await self._leave(wait=False)
            raise
        finally:
            for held in self._held.values():
                held.cancel()
            tasks, self._tasks = [*self._tasks, *self._leaving, *filter(None, (self._taking,))], []
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._open_ones.discard(self)

    async def _leave(self, *, wait: bool) -> None:
        """Give everything back, so that others need not wait for the leases to run out."""
        if not wait:
            for task in self._tasks[1:]:
                task.cancel()
        patience = self._store.server.deadline if wait else _LET_GO
        try:
            if self._taking is not None:
                await asyncio.wait({self._taking}, timeout=patience)
            # What was given and not begun is given to somebody else: nobody may come to begin it.
            stages = (Stage.OPEN,) if wait else ()
            await asyncio.gather(*(held.settle(stages) for held in list(self._held.values())))
            async with asyncio.timeout(patience):
                await asyncio.gather(*self._leaving, *(held.end() for held in list(self._held.values())))
                # A heartbeat that comes later than this would bring the member back.
                for task in self._tasks[:1]:
                    task.cancel()
                await asyncio.gather(*self._leaving, self._leases.leave())
        except (TimeoutError, SessionStreamError) as late:
            # Where the server is away the leases run out by themselves.
            _log.warning("group %r: member %r leaves what it holds to run out: %r", self.group, self.member, late)


class OpenConsumers(set[Consumer]):
    """The members of one store that are in their blocks."""

    async def aclose(self) -> None:
        """Let those of the running loop leave their groups."""
        for consumer in list(self):
            if consumer.loop is asyncio.get_running_loop():
                await consumer.aclose()


async def _quiet(work: Coroutine[Any, Any, None]) -> None:
    # Where it fails the lease runs out by itself.
    with contextlib.suppress(SessionStreamError):
        await work
