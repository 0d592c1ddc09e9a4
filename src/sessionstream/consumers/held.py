"""A partition that a member holds: what is read of it, whose turn it is, and what is committed."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field

import msgspec

from sessionstream.consumers.building import Building
from sessionstream.consumers.catching_up import CatchingUp
from sessionstream.consumers.committing import Commit, owner_of, send_commit
from sessionstream.consumers.item import Item, Stage
from sessionstream.consumers.lanes import Lanes
from sessionstream.consumers.leases import Lease
from sessionstream.consumers.options import Options
from sessionstream.consumers.parking import error_text, field_of, record_of, text_of
from sessionstream.consumers.patience import persist
from sessionstream.consumers.places import Places
from sessionstream.consumers.progress import Mark, Progress
from sessionstream.consumers.reading import Reader
from sessionstream.errors import LeaseLost
from sessionstream.events.encrypted import Seal
from sessionstream.events.recorded import RecordedEvent
from sessionstream.events.stored import reading_stored
from sessionstream.feed.hub import Hub
from sessionstream.log.encoding import KeyNumbers, encode_each
from sessionstream.log.store import Store
from sessionstream.projection import Operation, Projection

__all__ = ["Held", "Membership"]

_MOST_FAILING = 100
_MOST_UNSENT = 100
"""So many acknowledgments wait for the next commit at most: what a process that dies has handled in vain."""
_log = logging.getLogger("sessionstream")


@dataclass(frozen=True)
class Membership:
    """What all partitions of a member share.

    Attributes:
        store: the namespace.
        hub: tells of what is appended.
        group: the group's name.
        holder: what tells this member from any other process.
        options: how it consumes.
        offer: is given each item whose turn it is.
        returned: is called when an item is in nobody's hands any more.
        projection: what the group's views are made by, where it is the group of a projection.
        ended: is called with a partition that is held no longer, and the error that ended it if one did.
        commits: their numbers, over all that it ever holds: a server that has lost its last writes may give it a lease
            with a token that it had before, of which it knows the first commits.
    """

    store: Store
    hub: Hub
    group: str
    holder: str
    options: Options
    offer: Callable[[Item], None]
    returned: Callable[[], None]
    ended: Callable[[Held, Exception | None], None]
    projection: Projection | None = None
    commits: Iterator[int] = field(default_factory=lambda: itertools.count(1))


class Held:
    """One partition, from when it was acquired until it is given back or lost.

    Args:
        member: who holds it.
        lease: the partition's.
        since: the loop's time before which the lease cannot have begun.

    Attributes:
        lease: as given.
        lost: whether what is done now would be refused.
        giving_back: whether no more items are given.
    """

    def __init__(self, member: Membership, lease: Lease, since: float) -> None:
        self.member = member
        self.store, self.group, self.options = member.store, member.group, member.options
        self.lease = lease
        self.lost = self.giving_back = False
        self.places = Places(self)
        self.progress = Progress(lease.position, self.places.removal)
        self.lanes = Lanes(self._offer)
        self.catching_up = CatchingUp(self)
        self._reader = Reader(self)
        self._in_hand: set[Item] = set()
        self._aside: list[Item] = []
        self._unsent = 0
        self._sure_until = since + self.options.lease
        self._failing: dict[str, tuple[str, int, str]] = {}
        self._retries: dict[Item, asyncio.TimerHandle] = {}
        self._dirty, self._moved = asyncio.Event(), asyncio.Event()
        self._committing = False
        self._building = lease.build != ""
        self._task = asyncio.create_task(self._run(), name=f"sessionstream: {self.group} {lease.partition}")

    @property
    def busy(self) -> bool:
        """Whether any of its items is in somebody's hands."""
        return bool(self._in_hand)

    # What runs while it is held

    async def _run(self) -> None:
        error: Exception | None = None
        try:
            await persist(self.catching_up.load)
            if self.lease.build:
                await Building(self).run()
            self._building = False
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._reader.run())
                tasks.create_task(self.catching_up.run())
                await self._commit_always()
                raise _Over
        except* _Over:
            pass
        except* Exception as failures:
            error = _first(failures)
        finally:
            self.lose()
            self.member.ended(self, error)

    async def _commit_always(self) -> None:
        """Commit whatever there is to commit, until the partition is lost."""
        while not self.lost:
            await self._dirty.wait()
            self._dirty.clear()
            while self.progress.pending and not self.lost:
                await self.commit(self.progress.take())

    async def commit(self, one: Commit) -> None:
        """Commit something, and take note of what comes of it; one at a time."""
        self._committing, self._unsent = True, 0
        number, before = next(self.member.commits), self.progress.position
        answer = await persist(
            lambda: send_commit(self.store, self.group, self.member.holder, self.lease, number, before, one)
        )
        self._committing = False
        if not answer.done:
            self.lose()
            return
        self.progress.committed(one.position)
        self.catching_up.committed(self.progress.number)
        self._reader.go_on()
        self._tell_moved()
        self.asked(answer.asked)

    def asked(self, count: int) -> None:
        """Take note of how often something was asked of the holder."""
        self.catching_up.asked(count)

    def dirty(self) -> None:
        """Commit soon: something has changed."""
        self._dirty.set()

    # What becomes of items

    def take(self, mark: Mark, events: list[RecordedEvent]) -> None:
        """Line up the events of a pointer."""
        mark.left += len(events)
        for event in events:
            self.lanes.push(Item(self, event, mark, 1 + self._attempts(event)))
        if not mark.left:
            self.dirty()

    def _attempts(self, event: RecordedEvent) -> int:
        # What a holder before this one has met counts on.
        known = self._failing.get(event.session_id)
        return known[1] if known is not None and known[0] == event.offset else 0

    def know_failing(self, text: bytes | None) -> None:
        """Go on counting the attempts that a holder before this one has made."""
        if text:
            with reading_stored("what has failed in a group"):
                self._failing = dict(msgspec.json.decode(text, type=dict[str, tuple[str, int, str]]))

    def _offer(self, item: Item) -> None:
        if not self.lost:
            self.member.offer(item)

    def renewed(self, asked_at: float) -> None:
        """Note that the lease runs from a time of the loop on."""
        self._sure_until = asked_at + self.options.lease
        aside, self._aside = self._aside, []
        for item in aside:
            self._offer(item)

    def give(self, item: Item) -> bool:
        """Note that an item is in somebody's hands, for as long as `Options.max_handling` allows.

        Returns:
            False if it may not be given: the partition is lost, or given back, or may be somebody else's by now.
        """
        if self.lost or self.giving_back or item.stage is not Stage.WAITING:
            return False
        # A process that was paused does not know yet what became of its lease.
        if asyncio.get_running_loop().time() > self._sure_until:
            self._aside.append(item)
            return False
        item.stage = Stage.GIVEN
        self._in_hand.add(item)
        loop = asyncio.get_running_loop()
        item.until = loop.time() + self.options.max_handling
        item.timer = loop.call_at(item.until, self._overdue, item)
        return True

    def _overdue(self, item: Item) -> None:
        item.stage = Stage.OVER
        self.failed(item, TimeoutError("given, and not begun within the time that max_handling allows"))

    def succeeded(self, item: Item) -> None:
        """Acknowledge an item."""
        if self._over(item):
            return
        operated = (item.session_id, item.event.offset, item.operations)
        self.places.note(item.operations)
        if self._failing.pop(item.session_id, None) is not None:
            self._tell_failing()
        if item.mark is not None:
            item.mark.handled += 1
            item.mark.left -= 1
            if item.operations:
                item.mark.operated.append(operated)
        else:
            self.progress.beside.counters["handled"] += 1
            if item.operations:
                self.progress.beside.operated.append(operated)
        if item.aside is not None:
            item.aside.handled()
        self.lanes.next(item.session_id)
        self._unsent += 1
        self._reader.go_on()
        self.dirty()

    async def keep_up(self) -> None:
        """Wait for a commit, if too much is acknowledged that none has taken along yet."""
        while self._unsent >= _MOST_UNSENT and self.progress.pending and not self.lost:
            await self.moved()

    def returned(self, item: Item) -> None:
        """Give an item again, since its handling was cancelled."""
        if not self._over(item):
            self.lanes.again(self._another(item, item.attempt))

    def failed(self, item: Item, error: Exception) -> None:
        """Give an item again after a while, or park it."""
        if self._over(item):
            return
        what = f"group {self.group!r}: {item.event!r} failed at attempt {item.attempt} of {self.options.attempts}"
        self.progress.beside.counters["failures"] += 1
        if item.attempt >= self.options.attempts:
            _log.error("%s, and is parked: %r", what, error)
            self._failing.pop(item.session_id, None)
            self._park(item, error)
        else:
            delay = self.options.delay(item.attempt)
            _log.warning("%s, and is tried again in %.3f s: %r", what, delay, error)
            self._failing[item.session_id] = (
                item.event.offset,
                item.attempt,
                error_text(item.seal, repr(error)[:200]),
            )
            another = self._another(item, item.attempt + 1)
            timer = asyncio.get_running_loop().call_later(delay, self._retry, another)
            self._retries[another] = timer
        self._tell_failing()
        self.dirty()

    def _retry(self, item: Item) -> None:
        del self._retries[item]
        self.lanes.again(item)

    def _another(self, item: Item, attempt: int) -> Item:
        another = Item(self, item.event, item.mark, attempt)
        another.aside = item.aside
        return another

    def _over(self, item: Item) -> bool:
        """Note that an item is in nobody's hands any more; whether nothing becomes of it, since the lease is lost."""
        if item.timer is not None:
            item.timer.cancel()
        self._in_hand.discard(item)
        self.member.returned()
        self._tell_moved()
        return self.lost

    def _tell_moved(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    def _tell_failing(self) -> None:
        some = dict(list(self._failing.items())[:_MOST_FAILING])
        self.progress.beside.fields["failing"] = msgspec.json.encode(some).decode() if some else ""

    def _park(self, item: Item, error: Exception) -> None:
        event = item.event
        number = item.mark.number if item.mark is not None else self.progress.number
        record = record_of(event, item.seal, number, item.attempt, error, int(time.time() * 1000))
        self.progress.beside.counters["parked"] += 1
        if item.aside is not None:
            self.lanes.next(item.session_id)
            item.aside.parked(record)
            return
        assert item.mark is not None
        item.mark.left -= 1
        if not self.options.waits:
            self.catching_up.known.single[item.session_id, event.offset] = record
            self.progress.beside.change(field_of(item.session_id, event.offset), "", text_of(record))
            self.lanes.next(item.session_id)
            return
        self.catching_up.known.waiting[item.session_id] = record
        self.progress.beside.change(field_of(item.session_id, None), "", text_of(record))
        for later in self.lanes.clear(item.session_id)[1:]:
            assert later.mark is not None
            later.mark.left -= 1
            self.catching_up.put_behind(item.session_id, later.event.offset)

    def check_encoding(self, item: Item, operations: tuple[Operation, ...]) -> None:
        """Raise what an operation would meet when it is committed."""
        encode_each(owner_of(self.group), item.session_id, operations, self.store.keys, KeyNumbers([]))

    def encrypted(
        self, event: RecordedEvent, operations: Iterable[Operation], seal: Seal | None = None
    ) -> Iterable[Operation]:
        """Return operations as they are stored; those of a projection, which knows the event alone, are as that is."""
        seal = event.seal if self.member.projection is not None else seal
        return operations if seal is None else seal.operations(owner_of(self.group), operations)

    async def until_committed(self, item: Item) -> None:
        """Return when an item that is over was committed; raises `LeaseLost` if it never will be."""
        while True:
            if item.mark is not None:
                if item.mark.number <= self.progress.number and not item.mark.left:
                    return
            elif item.stage is Stage.OVER and not self.progress.pending and not self._committing:
                return
            if self.lost:
                raise LeaseLost(self.group, self.lease.partition)
            await self.moved()

    async def moved(self) -> None:
        """Wait until something was committed, or an item has left somebody's hands, or the partition is lost."""
        await self._moved.wait()

    # How it ends

    async def settle(self, wait_for: Collection[Stage]) -> None:
        """Give no more items, and wait for those that are at certain stages; what becomes of others is refused."""
        self.giving_back = True
        while not self.lost and any(item.stage in wait_for for item in self._in_hand):
            await self.moved()

    async def end(self) -> None:
        """Commit what is handled, and end; what is being built is begun anew by somebody else."""
        self.giving_back = True
        while not (self.lost or self._building) and (self.progress.pending or self._committing):
            await self.moved()
        self.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def cancel(self) -> None:
        """End without any more waiting."""
        self.lose()
        self._task.cancel()

    def lose(self) -> None:
        """Let nothing become of what is still being handled."""
        if self.lost:
            return
        self.lost = True
        for timer in self._retries.values():
            timer.cancel()
        for item in self._in_hand:
            if item.timer is not None and item.stage is Stage.GIVEN:
                item.timer.cancel()
        self._dirty.set()
        self._tell_moved()


class _Over(Exception):
    """The partition is held no longer."""


def _first(group: ExceptionGroup[Exception]) -> Exception:
    found: Exception = group
    while isinstance(found, ExceptionGroup):
        found = found.exceptions[0]
    return found
