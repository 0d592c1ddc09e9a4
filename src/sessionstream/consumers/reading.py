"""What a held partition reads: the feed behind its position, a bounded stretch ahead of what is committed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sessionstream.consumers.patience import persist
from sessionstream.consumers.registry import position_in
from sessionstream.errors import UnknownPosition
from sessionstream.events.recorded import RecordedEvent
from sessionstream.feed.owners import Owners
from sessionstream.feed.reading import Told, read_events, read_pointers

if TYPE_CHECKING:
    from sessionstream.consumers.held import Held

__all__ = ["Reader"]

_ERASURE = "session.erased"
_AHEAD = 1_000
_PAGE = 250


class Reader:
    """Reads one partition.

    Args:
        held: the partition.
    """

    def __init__(self, held: Held) -> None:
        self._held = held
        self._after = held.progress.position
        self._room = asyncio.Event()
        self._owners = Owners(held.store)

    def go_on(self) -> None:
        """Look whether there is room again: something was handled, or committed."""
        self._room.set()

    async def run(self) -> None:
        """Read until cancelled.

        Raises:
            FeedTrimmed: what comes next is gone.
            UnknownPosition: the group stands where the feed has never been.
        """
        held = self._held
        # What was built before this began has moved it.
        self._after = held.progress.position
        partition = held.lease.partition
        with held.member.hub.watching([held.store.keys.feed(partition)]) as bell:
            while True:
                await self._until_room()
                try:
                    pointers = await persist(lambda: read_pointers(held.store, partition, self._after, _PAGE))
                except UnknownPosition:
                    # The server has lost what was read here; the group may stand at what it has kept.
                    position = await persist(lambda: position_in(held.store, held.group, partition))
                    if position == self._after:
                        raise
                    held.lose()
                    return
                if not pointers:
                    await persist(bell.wait)
                while pointers:
                    # Each may tell of very many events.
                    await self._until_room()
                    told = await persist(lambda some=pointers: read_events(held.store, some))  # type: ignore[misc]
                    await self._take(told)
                    pointers = pointers[len(told) :]

    async def _until_room(self) -> None:
        held = self._held
        while max(held.progress.ahead, held.lanes.count) >= _AHEAD or held.giving_back:
            self._room.clear()
            await self._room.wait()

    async def _take(self, told: list[Told]) -> None:
        wanted = await self._of_wanted_agents(told)
        for one in told:
            pointer = one.pointer
            self._after = pointer.position
            mark = self._held.progress.begin(pointer.position, pointer.number)
            events = []
            if not pointer.events:
                self._held.catching_up.removed(pointer.session_id)
                if not self._held.catching_up.built_later(pointer):
                    mark.removed = pointer
            elif wanted is None or pointer.session_id in wanted:
                events = self._events(one)
                mark.gone = pointer.events - len(one.events)
            if one.events and one.events[-1].type == _ERASURE:
                # Nothing stays in the group's views of a session that was erased.
                mark.removed = pointer
            self._held.take(mark, self._held.catching_up.left_of(pointer, events))

    def _events(self, told: Told) -> list[RecordedEvent]:
        types = self._held.options.types
        return told.events if types is None else [event for event in told.events if event.type in types]

    async def _of_wanted_agents(self, told: list[Told]) -> set[str] | None:
        """Return which of the sessions are of agents that are asked for, or None if all are."""
        agents = self._held.options.agents
        if agents is None:
            return None
        # Of a session that is removed nothing may tell whose it was; what it had is gone either way.
        await persist(lambda: self._owners.learn([one.pointer for one in told]))
        sessions = (one.pointer.session_id for one in told)
        return {session_id for session_id in sessions if self._owners.known(session_id).agent_id in agents}
