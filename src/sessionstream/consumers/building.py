"""A projection's views of one partition, built from the sessions' own streams before the feed is read.

The group stands at a position of the feed when it is made; from there the feed is read later. Each session's stream
is read up to its end, and what of it the feed tells of again is left out there: see `Caught`. A holder that takes over
from one that died begins the partition anew, from the same position.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from sessionstream.consumers.parking import Caught
from sessionstream.consumers.patience import persist
from sessionstream.consumers.removing import remove_views
from sessionstream.directory.listing import session_ids_of
from sessionstream.errors import CorruptRecord, HistoryTrimmed, SessionNotFound
from sessionstream.events.recorded import RecordedEvent
from sessionstream.feed.cursor import number_of
from sessionstream.feed.reading import count_of, read_pointers
from sessionstream.log.history import Window, parse_offset, read_history
from sessionstream.projection import Operation, Projection, check_for_group

if TYPE_CHECKING:
    from sessionstream.consumers.held import Held

__all__ = ["Building", "_operations_of"]

_log = logging.getLogger("sessionstream")
_MOST_OPERATED = 200
_MOST_CAUGHT = 500


class Building:
    """Builds the views of one held partition.

    Args:
        held: the partition.
    """

    def __init__(self, held: Held) -> None:
        self._held = held
        self._last: dict[str, str] = {}

    async def run(self) -> None:
        """Build, unless the partition is lost meanwhile."""
        held = self._held
        if held.lease.build != "todo":
            await persist(lambda: remove_views(held.store, held.group, held.lease.partition))
        held.progress.beside.fields.update(build="begun", done="0")
        await self._commit()
        async for session_id in session_ids_of(held.store, held.lease.partition):
            if held.lost:
                return
            await self._take(session_id)
        end = await self._catch()
        held.progress.beside.fields.update(build="", end=str(end), done=str(len(self._last)))
        await self._commit()

    async def _commit(self) -> None:
        await self._held.commit(self._held.progress.take())

    async def _take(self, session_id: str) -> None:
        """Carry out what all events of a session mean."""
        held = self._held
        try:
            async for event in self._events(session_id):
                self._last[session_id] = event.offset
                data = event.foldable
                if data is None:
                    continue
                if held.member.projection is None:
                    raise CorruptRecord("what a group builds", "it is of no projection")
                operations = _operations_of(held.member.projection, session_id, data)
                if not operations:
                    continue
                held.places.note(operations)
                operations = list(held.encrypted(event, operations))
                beside = held.progress.beside
                beside.operated.append((session_id, event.offset, operations))
                if len(beside.operated) >= _MOST_OPERATED:
                    await self._commit()
        except SessionNotFound:
            # It was removed meanwhile; the feed tells of that behind the group's position.
            return
        held.progress.beside.fields["done"] = str(len(self._last))

    async def _events(self, session_id: str) -> AsyncIterator[RecordedEvent]:
        """Yield a session's events; of one that was trimmed, those that are kept."""
        store = self._held.store
        try:
            async for event in read_history(store, session_id):
                yield event
        except HistoryTrimmed as trimmed:
            _log.warning("group %r: %s", self._held.group, trimmed)
            if trimmed.first is not None:
                ms, version = parse_offset(trimmed.first)
                async for event in read_history(store, session_id, Window(after=f"{ms}-{version - 1}")):
                    yield event

    async def _catch(self) -> int:
        """Note which sessions were read further than the feed has come; return how far it has."""
        held, after = self._held, self._held.progress.position
        partition = held.lease.partition
        last = await persist(lambda: count_of(held.store, partition))
        caught: dict[str, str] = {}
        while number_of(after) < last:
            pointers = await persist(lambda: read_pointers(held.store, partition, after))  # noqa: B023
            for pointer in pointers:
                read = self._last.get(pointer.session_id)
                if read is not None and parse_offset(pointer.offset) <= parse_offset(read):
                    caught[pointer.session_id] = read
            after = pointers[-1].position
        for session_id, offset in caught.items():
            held.catching_up.note_caught(session_id, Caught(offset, last))
            if len(held.progress.beside.parked) >= _MOST_CAUGHT:
                await self._commit()
        return last


def _operations_of(projection: Projection, session_id: str, data: object) -> list[Operation]:
    """Return what an event means to a projection that is run from the feed.

    Raises:
        EventTypeError: it failed, or an operation is for the store's own views.
    """
    found: list[Operation] = list(projection.operations(session_id, data))
    for operation in found:
        check_for_group(operation)
    return found
