"""One session's views, folded from its stream and put in place while appends go on."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from sessionstream.bases import Folded, nearest, write
from sessionstream.bases.reading import base_names, is_erased
from sessionstream.errors import HistoryTrimmed, SessionNotFound
from sessionstream.events.recorded import NOWHERE, RecordedEvent, UnreadableEvent, version_of
from sessionstream.events.stored import reading_stored
from sessionstream.fold import Spot, Views, fold
from sessionstream.log.encoding import Word
from sessionstream.log.gates import name_in_log
from sessionstream.log.history import Window, parse_offset, read_entries, read_history, trimmed_to
from sessionstream.log.store import Store
from sessionstream.projection import HEAD
from sessionstream.wire.scripts import load_script

__all__ = ["PATIENCE", "Archived", "Folding", "side_by_side"]

PATIENCE = 5
"""So often an exchange is tried beside the appends; then they are held back for its moment."""

_SWAP = load_script("sessionstream.rebuild", "swap")
_AT_ONCE = 16
_Result = TypeVar("_Result")
Archived = Callable[[str], AsyncIterator[RecordedEvent]]
"""Gives the events of a session that were trimmed from its stream."""
_OWN = ("view", "ranking")
_HEAD = Spot("", HEAD)
# All that the operations on shared views read of a session's own: see `sessionstream.projection.Slide`.
_SLIDING = (b"ttl", b"sliding")


class Folding:
    """A session's events as far as they were folded.

    Args:
        store: where the session is kept.
        session_id: the session.
        archived: gives the events of a session that were trimmed, where there is no base of these projections.

    Attributes:
        views: what they made.
        events: how many there were.
        unreadable: how many of them do not decode, and changed nothing.
    """

    __slots__ = ("_archived", "_folded", "_known", "_session_id", "_store", "events", "unreadable", "views")

    def __init__(self, store: Store, session_id: str, archived: Archived | None = None) -> None:
        self._archived = archived
        self._store = store
        self._session_id = session_id
        self._begin()

    def _begin(self) -> None:
        self._folded = self._known = NOWHERE
        self.views = Views(self._session_id)
        self.events = 0
        self.unreadable = 0

    @property
    def offset(self) -> str:
        """Of the last event that was folded."""
        return self._folded

    async def catch_up(self) -> None:
        """Fold the events that were not folded yet.

        Raises:
            SessionNotFound: nothing is kept of the session.
            HistoryTrimmed: its first events are gone, and there is no base of these projections behind them.
        """
        window = Window(after=None if self._folded == NOWHERE else self._folded)
        continuing = self._folded != NOWHERE
        try:
            async for event in read_history(self._store, self._session_id, window):
                if continuing and self._is_renewed(event):
                    break
                if self._folded == NOWHERE and event.version > 1 and await self._is_trimmed():
                    raise HistoryTrimmed(self._session_id, first=event.offset)
                continuing = False
                self._fold(event)
            else:
                self._known = self._folded
                return
            self._begin()
        except HistoryTrimmed as error:
            await self._begin_behind(error)
        await self.catch_up()

    async def _is_trimmed(self) -> bool:
        """Whether the first events were trimmed, and not lost; the head may be what is lost."""
        return any(name.pinned for name in await base_names(self._store, self._session_id))

    async def _begin_behind(self, error: HistoryTrimmed) -> None:
        """Begin with what the trimmed events have made: a base holds that, or an archive; otherwise raise the error."""
        folded = await nearest(self._store, self._session_id, error.first)
        if folded is None and await is_erased(self._store, self._session_id):
            # What was trimmed before has made nothing, as what was erased has not.
            begins = await trimmed_to(self._store, self._session_id) or NOWHERE
            folded = Folded(self._session_id, self._store.projections, offset=begins, opener=self._store.opener)
        if folded is None or error.first is None or folded.version < version_of(error.first) - 1:
            if self._archived is None or error.first is None:
                raise error
            folded = await self._fold_archived(self._archived, error.first)
        self._begin()
        self.views, self._folded = folded.views, folded.offset

    async def _fold_archived(self, archived: Archived, first: str) -> Folded:
        """Fold what an archive holds and the first event that is kept, and keep that as a base."""
        folded = Folded(self._session_id, self._store.projections, opener=self._store.opener)
        async for event in archived(self._session_id):
            folded.take([(event.offset.encode(), event.words)])
        async for page in read_entries(self._store, self._session_id, folded.offset, first):
            folded.take(page)
        await write(self._store, folded, pinned=True)
        return folded

    def _is_renewed(self, event: RecordedEvent) -> bool:
        """Whether what follows is of another life: the session was removed, and its id was used again."""
        return event.version <= version_of(self._folded)

    def _fold(self, event: RecordedEvent) -> None:
        fold(self._session_id, [event], self._store.projections, self.views)
        self._folded = event.offset
        self.events += 1
        self.unreadable += isinstance(event.data, UnreadableEvent)

    async def put_in_place(self) -> None:
        """Fold what is new, and make the session's own views that, until nothing comes in between.

        Raises:
            SessionNotFound: nothing is kept of the session.
            NamespaceMismatch: another process has adopted the namespace.
        """
        await self.catch_up()
        partition = self._store.keys.partition(self._session_id)
        for attempt in itertools.count():
            async with self._store.paused(partition, unless=attempt < PATIENCE):
                # Nothing is appended during a pause, so the second try has what the first one lacked.
                if await self._swap() or (attempt >= PATIENCE and await self._swap()):
                    return

    async def _swap(self) -> bool:
        if b"user_id" not in self.views.head:
            # The creation is lost or does not decode: what the views still tell is more than the stream does.
            return True
        keys, words = self._content()
        stands = [self._store.stamp, self._known, self._folded, name_in_log(self._session_id)]
        answer = await self._store.server.script(_SWAP, keys, [*stands, *words])
        if answer == 1:
            return True
        if answer == b"stamp":
            await self._store.prepare(self._store.keys.partition(self._session_id))
            return False
        known, rest = answer
        opener = self._store.opener
        followed = [RecordedEvent(self._session_id, at.decode(), data, opener) for at, data in rest]
        await self._follow(known.decode(), followed)
        return False

    async def _follow(self, known: str, events: list[RecordedEvent]) -> None:
        """Fold what was appended since, which the refusal told; a longer rest is read."""
        if not known:
            raise SessionNotFound(self._session_id)
        with reading_stored("the gate", self._session_id):
            parse_offset(known)
        if version_of(known) < version_of(self._folded) or (events and self._is_renewed(events[0])):
            self._begin()
            await self.catch_up()
            # The stream may hold entries that no append has put there, behind the last one of which the head knows.
            self._known = min(known, self._folded, key=version_of)
            return
        for event in events:
            self._fold(event)
        if version_of(known) > version_of(self._folded):
            await self.catch_up()
        # The stream may lack its last entries. Then the views are those of the entries that are left.
        self._known = max(known, self._folded, key=version_of)

    def _content(self) -> tuple[list[str], list[Word]]:
        names, session_id = self._store.keys, self._session_id
        keys = [names.head(session_id), names.events(session_id), names.log(names.partition(session_id))]
        words = _hash_words(self.views.head)
        for spot, fields in self.views.hashes.items():
            if spot.place.kind in _OWN:
                keys.append(names.place(spot.projection, spot.place, session_id))
                words += _hash_words(fields)
        for spot, members in self.views.sets.items():
            if spot.place.kind in _OWN:
                keys.append(names.place(spot.projection, spot.place, session_id))
                words += _set_words(members)
        return keys, words

    def keep_shared(self, spots: Mapping[Spot, Spot]) -> None:
        """Forget the session's own views; what it contributes to those that sessions share can be caught up still.

        Args:
            spots: the shared views; thousands of sessions hold these same objects.
        """
        head = {field: value for field in _SLIDING if (value := self.views.head.get(field)) is not None}
        self.views.hashes = {spots[spot]: one for spot, one in self.views.hashes.items() if spot in spots}
        self.views.hashes[_HEAD] = head
        self.views.sets = {spots[spot]: one for spot, one in self.views.sets.items() if one and spot in spots}


async def side_by_side(work: Callable[[str], Awaitable[_Result]], session_ids: Sequence[str]) -> list[_Result]:
    """Do some sessions' work at a time and return the results in order; errors are raised when the rest has ended."""
    results: list[_Result] = []
    for start in range(0, len(session_ids), _AT_ONCE):
        some = session_ids[start : start + _AT_ONCE]
        for result in await asyncio.gather(*map(work, some), return_exceptions=True):
            if isinstance(result, BaseException):
                raise result
            results.append(result)
    return results


def _hash_words(fields: dict[bytes, bytes]) -> list[Word]:
    pairs: list[Word] = [word for pair in fields.items() for word in pair]
    return ["hash", len(pairs), *pairs]


def _set_words(members: dict[bytes, float]) -> list[Word]:
    pairs: list[Word] = [word for member, score in members.items() for word in (repr(score), member)]
    return ["set", len(pairs), *pairs]
