"""What is parked of a held partition: who waits, and how those are caught up from their own streams.

A session that waits is put behind: the group's position passes its pointers, since what they tell of can be read from
the session's own stream later. That is done when somebody asks for it, event by event, until the stream ends. From
there on the feed goes on; as long as it is behind what was caught up, `Caught` says what to leave out of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from sessionstream.consumers.item import Aside, Item
from sessionstream.consumers.parking import Caught, Fields, Record, field_of, read_parked, text_of
from sessionstream.consumers.patience import persist
from sessionstream.events.recorded import RecordedEvent
from sessionstream.events.stored import reading_stored
from sessionstream.feed.cursor import BEGINNING
from sessionstream.feed.reading import count_of
from sessionstream.log.feed import Pointer
from sessionstream.log.gates import fields_of
from sessionstream.log.history import parse_offset

if TYPE_CHECKING:
    from sessionstream.consumers.held import Held

__all__ = ["CatchingUp"]

_PAGE = 100
_AT_ONCE = 16


class CatchingUp:
    """What is parked of one partition, while it is held.

    Args:
        held: the partition.

    Attributes:
        known: the fields, as they are or are about to be committed.
    """

    def __init__(self, held: Held) -> None:
        self._held = held
        self.known = Fields({}, {}, {})
        self._behind: dict[str, str] = {}
        self._working: set[tuple[str, str | None]] = set()
        self._asked = held.lease.asked
        self._look = asyncio.Event()
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def load(self) -> None:
        """Read what is parked, and what has failed before."""
        held, keys = self._held, self._held.store.keys
        partition = held.lease.partition
        found = await held.store.server.call("HGETALL", keys.group(held.group, partition))
        fields = fields_of(found)
        held.know_failing(fields.get(b"failing"))
        with reading_stored("what a group keeps"):
            held.places.know(fields)
            self._asked = int(fields.get(b"asked", 0))
        self.known = await self._read()

    async def _read(self) -> Fields:
        return await read_parked(self._held.store, self._held.group, self._held.lease.partition)

    def asked(self, count: int) -> None:
        """Look for what is asked, if that has been done since."""
        if count != self._asked:
            self._asked = count
            self._look.set()

    async def run(self) -> None:
        """Do what is asked, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                for session_id, record in self.known.waiting.items():
                    if record.asked and (session_id, None) not in self._working:
                        self._working.add((session_id, None))
                        tasks.create_task(self._catch_up(session_id))
                for (session_id, offset), record in self.known.single.items():
                    if record.asked and (session_id, offset) not in self._working:
                        self._working.add((session_id, offset))
                        tasks.create_task(self._handle_single(session_id, offset))
                await self._look.wait()
                self._look.clear()
                fields = await persist(self._read)
                self._learn(fields)

    def _learn(self, fields: Fields) -> None:
        """Take over what is asked; everything else is known better here."""
        for session_id, record in fields.waiting.items():
            if record.asked and session_id in self.known.waiting and (session_id, None) not in self._working:
                self.known.waiting[session_id] = record
        for key, record in fields.single.items():
            if record.asked and key in self.known.single and key not in self._working:
                self.known.single[key] = record

    # What the reader asks

    def left_of(self, pointer: Pointer, events: list[RecordedEvent]) -> list[RecordedEvent]:
        """Return which events of a pointer are to be handled now."""
        session_id = pointer.session_id
        if session_id in self.known.waiting:
            self.put_behind(session_id, pointer.offset)
            return []
        caught = self.known.caught.get(session_id)
        if caught is not None and parse_offset(pointer.offset) <= parse_offset(caught.offset):
            return []
        if not self.known.single:
            return events
        return [event for event in events if (session_id, event.offset) not in self.known.single]

    def built_later(self, removal: Pointer) -> bool:
        """Whether a projection was built of another session that has the id of the removed one by now."""
        caught = self.known.caught.get(removal.session_id)
        if caught is None or self._held.member.projection is None:
            return False
        return parse_offset(caught.offset) > parse_offset(removal.offset)

    def put_behind(self, session_id: str, offset: str) -> None:
        """Note up to where a session that waits was passed."""
        known = self._behind.get(session_id, BEGINNING)
        self._behind[session_id] = max(known, offset, key=parse_offset)

    def removed(self, session_id: str) -> None:
        """Forget what is parked of a session that was removed; what is under way finds out by itself."""
        record = self.known.waiting.get(session_id)
        if record is not None and (session_id, None) not in self._working:
            del self.known.waiting[session_id]
            self._behind.pop(session_id, None)
            self._drop(field_of(session_id, None), record)
        for (of, offset), record in list(self.known.single.items()):
            if of == session_id and (of, offset) not in self._working:
                del self.known.single[of, offset]
                self._drop(field_of(of, offset), record)

    def _drop(self, name: str, record: Record) -> None:
        beside = self._held.progress.beside
        beside.change(name, text_of(record), "")
        beside.counters["gone"] += 1
        self._held.dirty()

    def note_caught(self, session_id: str, caught: Caught) -> None:
        """Note how far a session was read ahead of the feed."""
        before = self.known.caught.get(session_id)
        self.known.caught[session_id] = caught
        changed = "" if before is None else text_of(before), text_of(caught)
        self._held.progress.beside.change(f"d:{session_id}", *changed)

    def committed(self, number: int) -> None:
        """Forget how far sessions were caught up ahead of the position, where that is behind it now."""
        for session_id, caught in list(self.known.caught.items()):
            if caught.number <= number:
                del self.known.caught[session_id]
                self._held.progress.beside.change(f"d:{session_id}", text_of(caught), "")
                self._held.dirty()

    def _replace(self, session_id: str, offset: str | None, record: Record) -> None:
        if offset is None:
            before, self.known.waiting[session_id] = self.known.waiting[session_id], record
        else:
            before, self.known.single[session_id, offset] = self.known.single[session_id, offset], record
        self._held.progress.beside.change(field_of(session_id, offset), text_of(before), text_of(record))
        self._held.dirty()

    # What is asked

    async def _catch_up(self, session_id: str) -> None:
        """Handle what a session has from its first unhandled event on."""
        async with self._turns:
            await self._passed(self.known.waiting[session_id].number)
            record = self.known.waiting[session_id]
            if record.asked == "discard":
                self._held.progress.beside.counters["discarded"] += 1
                record = msgspec.structs.replace(record, start=f"({record.offset}", asked="replay")
                self._replace(session_id, None, record)
            await self._follow_stream(session_id)
            self._working.discard((session_id, None))

    async def _follow_stream(self, session_id: str) -> None:
        """Handle a session's stream up to its end, or to an event that fails once more."""
        held = self._held
        last = self.known.waiting[session_id].start.removeprefix("(")
        while True:
            behind = self._behind.get(session_id, BEGINNING)
            start = self.known.waiting[session_id].start
            page = await persist(lambda: self._page(session_id, start))  # noqa: B023 - called before it changes
            if not page:
                # What the feed told of before is not there any more.
                last = max(last, behind, key=parse_offset)
                number = await persist(lambda: count_of(self._held.store, self._held.lease.partition))
                if self._behind.get(session_id, BEGINNING) == behind:
                    held.progress.beside.counters["gone"] += not start.startswith("(")
                    self._finish(session_id, last, number)
                    return
            for event in page:
                if not start.startswith("(") and event.offset != start:
                    held.progress.beside.counters["gone"] += 1
                wanted = held.options.types is None or event.type in held.options.types
                last, start = event.offset, f"({event.offset}"
                if not wanted:
                    self._go_behind(session_id, start)
                elif not await self._handle(event, None, lambda: self._go_behind(session_id, start)):  # noqa: B023
                    return

    def _go_behind(self, session_id: str, start: str) -> None:
        self._replace(session_id, None, msgspec.structs.replace(self.known.waiting[session_id], start=start))

    async def _page(self, session_id: str, start: str) -> list[RecordedEvent]:
        store = self._held.store
        page = await store.server.call("XRANGE", store.keys.events(session_id), start, "+", "COUNT", _PAGE)
        await store.remember_keys_of(page)
        return [RecordedEvent(session_id, at.decode(), words or (), store.opener) for at, words in page]

    def _finish(self, session_id: str, last: str, number: int) -> None:
        """Let a session go on with the feed."""
        record = self.known.waiting.pop(session_id)
        self._behind.pop(session_id, None)
        self.note_caught(session_id, Caught(last, number))
        self._held.progress.beside.change(field_of(session_id, None), text_of(record), "")
        self._held.dirty()

    async def _handle_single(self, session_id: str, offset: str) -> None:
        """Handle one event once more, or let go of it."""
        async with self._turns:
            key = (session_id, offset)
            await self._passed(self.known.single[key].number)
            if self.known.single[key].asked == "discard":
                self._held.progress.beside.counters["discarded"] += 1
                self._let_go(session_id, offset)
            else:
                page = await persist(lambda: self._page(session_id, offset))
                if page and page[0].offset == offset:
                    await self._handle(page[0], offset, lambda: self._let_go(session_id, offset))
                else:
                    self._held.progress.beside.counters["gone"] += 1
                    self._let_go(session_id, offset)
            self._working.discard(key)

    def _let_go(self, session_id: str, offset: str) -> None:
        record = self.known.single.pop((session_id, offset))
        self._held.progress.beside.change(field_of(session_id, offset), text_of(record), "")
        self._held.dirty()

    async def _handle(self, event: RecordedEvent, single: str | None, handled: Callable[[], None]) -> bool:
        """Have an event handled; False if it was parked again.

        Args:
            event: it.
            single: its offset if it is parked alone.
            handled: called in the step in which it is acknowledged.
        """
        outcome: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def acknowledged() -> None:
            handled()
            outcome.set_result(True)

        def parked(record: Record) -> None:
            self._replace(event.session_id, single, record)
            outcome.set_result(False)

        item = Item(self._held, event, None, 1)
        item.aside = Aside(acknowledged, parked)
        self._held.lanes.push(item)
        return await outcome

    async def _passed(self, number: int) -> None:
        """Wait until the group's position has passed what was parked: else a successor would meet it in the feed."""
        while self._held.progress.number < number:
            await self._held.moved()
