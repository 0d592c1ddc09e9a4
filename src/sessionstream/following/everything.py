"""Following all sessions: the feed of every partition, from a cursor on."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypedDict

import msgspec

from sessionstream.errors import FollowerTooSlow, HistoryTrimmed, SessionStreamError, Unavailable
from sessionstream.events.lifecycle import SessionRetired
from sessionstream.events.recorded import RecordedEvent, at_ms, version_of
from sessionstream.feed.cursor import Cursor
from sessionstream.feed.hub import Bell, Hub
from sessionstream.feed.owners import Owners
from sessionstream.feed.reading import Told, newest, oldest, read_events, read_pointers
from sessionstream.following.choosing import Choice
from sessionstream.following.follower import Follower, WhenFull
from sessionstream.following.patience import patiently
from sessionstream.following.session import NOW, OLDEST
from sessionstream.log.feed import Pointer
from sessionstream.log.gates import name_in_log
from sessionstream.log.store import Store

__all__ = ["FeedFollower", "FollowAllOptions"]

_PAGE = 1_000
_MOST_TOLD = 10_000
_RETIRED = "session.retired"


class _Entry(NamedTuple):
    """What is next of a partition: an event, an error, or nothing but that its pointers were passed over."""

    item: RecordedEvent | SessionStreamError | None
    partition: int
    position: str | None


class FollowAllOptions(TypedDict, total=False):
    """The options of `FeedFollower`."""

    after: Cursor | str | None
    types: Iterable[str | type] | None
    agents: Iterable[str] | None
    users: Iterable[str] | None
    sessions: Iterable[str] | None
    buffer: int
    when_full: WhenFull


class FeedFollower(Follower[RecordedEvent]):
    """Gives the events of all sessions behind a cursor, then those that come: of each partition in commit order.

    Of a session that was removed since, nothing is given but that: an event ``session.retired``, at its last offset,
    whose user and agent are empty where they are not known any more. Where events of a session that is kept were
    trimmed, `HistoryTrimmed` says so once, and iterating again goes on behind it.

    Args:
        store: where the sessions are kept.
        hub: what wakes the follower.
        after: a cursor, or one as a string; None, or ``oldest``, is the oldest that is kept, ``now``
            leaves out what there is.
        types: only events of these types, by name or by class.
        agents: only sessions with these agents.
        users: only sessions of these users.
        sessions: only these sessions.
        buffer: see `Follower`.
        when_full: see `Follower`.

    Raises:
        InvalidArgument: an argument is malformed.
        CursorMismatch: the cursor is of another namespace, or of another number of partitions.
    """

    def __init__(
        self,
        store: Store,
        hub: Hub,
        *,
        after: Cursor | str | None = None,
        types: Iterable[str | type] | None = None,
        agents: Iterable[str] | None = None,
        users: Iterable[str] | None = None,
        sessions: Iterable[str] | None = None,
        buffer: int = 1_000,
        when_full: WhenFull = "wait",
    ) -> None:
        super().__init__(buffer=buffer, when_full=when_full)
        self._choice = Choice(types, agents, users, sessions)
        self._after = after if after in (None, NOW, OLDEST) else Cursor.parse(after, store.keys)
        self._store = store
        self._hub = hub
        self._owners = Owners(store)
        self._given: list[str] = []
        self._read_to: list[str] = []
        self._feeds = {store.keys.feed(partition): partition for partition in range(store.keys.partitions)}
        self._due: set[int] = set()
        self._live = False
        self._told: set[str] = set()
        self._ready: deque[_Entry] = deque()

    @property
    def cursor(self) -> Cursor:
        """Behind every append whose events were all given; store ``str(cursor)``, and give it as ``after``."""
        if not self._given:
            return self._after if isinstance(self._after, Cursor) else Cursor.beginning(self._store.keys)
        return Cursor.of(self._store.keys, self._given)

    async def _enter(self) -> Bell:
        await self._store.check_readable()
        if isinstance(self._after, Cursor):
            start = self._after
        else:
            start = await (newest if self._after == NOW else oldest)(self._store)
        self._given, self._read_to = list(start.positions), list(start.positions)
        return self._hub.watch(self._feeds)

    async def _read_on(self, bell: Bell) -> None:
        if not self._due:
            if self._live:
                self.caught_up.settle(True)
            self._due = {self._feeds[key] for key in await bell.wait()}
        await patiently(self._read_due, bell)

    async def _read_due(self) -> None:
        due = sorted(self._due)
        measured = self._drops and self._live
        count = self._buffer + 1 if measured else max(1, min(self._buffer, _PAGE) // len(due))
        pages = await self._all([read_pointers(self._store, one, self._read_to[one], count) for one in due])
        if measured and await self._wanted_of(pages) > self._buffer:
            self._failure = FollowerTooSlow(None, str(self.cursor), self._buffer)
            return
        read = [(one, page) for one, page in zip(due, pages, strict=True) if page is not None]
        await self._all([self._read_page(one, page, whole=len(page) < count) for one, page in read])
        self._live = self._live or not self._due

    async def _wanted_of(self, pages: Sequence[Sequence[Pointer] | None]) -> int:
        """Return how many events there are of sessions that are wanted."""
        count = 0
        for page in filter(None, pages):
            wanted = await self._choice.of(page, self._owners)
            count += sum(pointer.events for pointer in page if pointer.number in wanted)
        return count

    async def _all(self, reading: Sequence[Any]) -> list[Any]:
        """Return what each gives, None where it failed; what one partition meets keeps nothing of the others back."""
        found = await asyncio.gather(*reading, return_exceptions=True)
        for one in found:
            if isinstance(one, Unavailable):
                if not self._ready:
                    raise one
            elif isinstance(one, BaseException):
                self._failure = self._failure or (one if isinstance(one, Exception) else None)
        return [None if isinstance(one, BaseException) else one for one in found]

    async def _read_page(self, partition: int, pointers: Sequence[Pointer], *, whole: bool) -> None:
        wanted = await self._choice.of(pointers, self._owners)
        asked = [pointer for pointer in pointers if pointer.number in wanted]
        told = await read_events(self._store, asked) if asked else []
        lacking = [one for one in told if len(one.events) < one.pointer.events]
        gone = {one.pointer.number: await self._gone(one) for one in lacking}
        by_number = {one.pointer.number: one for one in told}
        # What is more than fits one answer is read again.
        end = asked[len(told)].number if len(told) < len(asked) else None
        for pointer in pointers:
            if pointer.number == end:
                break
            items: list[RecordedEvent | SessionStreamError] = []
            if pointer.number in wanted:
                items += self._items(by_number[pointer.number])
            error = gone.get(pointer.number)
            if error is not None and pointer.session_id not in self._told:
                self._tell(pointer.session_id)
                items.append(error)
            self._ready.extend(_Entry(item, partition, None) for item in items[:-1])
            self._ready.append(_Entry(items[-1] if items else None, partition, pointer.position))
            self._read_to[partition] = pointer.position
        if whole and end is None:
            self._due.discard(partition)

    def _tell(self, session_id: str) -> None:
        if len(self._told) >= _MOST_TOLD:
            self._told.clear()
        self._told.add(session_id)

    def _items(self, told: Told) -> list[RecordedEvent]:
        if told.pointer.events:
            return [event for event in told.events if self._choice.has_event(event, self._owners)]
        if not self._choice.has_type(_RETIRED):
            return []
        return [_retired(told.pointer, self._owners)]

    async def _gone(self, told: Told) -> HistoryTrimmed | None:
        """Return the error where a session that is kept lacks events; None where it was removed."""
        session_id = told.pointer.session_id
        log = self._store.keys.log(self._store.keys.partition(session_id))
        gate, page = await self._store.server.calls(
            [
                ("HGET", log, name_in_log(session_id)),
                ("XRANGE", self._store.keys.events(session_id), "-", "+", "COUNT", 1),
            ]
        )
        first = page[0][0].decode() if page else None
        # Whose stream is whole has the id of one that was removed.
        if gate is None or (first is not None and version_of(first) == 1):
            return None
        offset, count = told.pointer.offset, told.pointer.events
        return HistoryTrimmed(session_id, f"{at_ms(offset)}-{version_of(offset) - count}", first)

    def _take(self) -> RecordedEvent | None:
        while self._ready:
            item, partition, position = self._ready.popleft()
            if position is not None:
                self._given[partition] = position
            if isinstance(item, SessionStreamError):
                raise item
            if item is not None:
                return item
        return None

    def _empty(self) -> None:
        self._ready.clear()


def _retired(pointer: Pointer, owners: Owners) -> RecordedEvent:
    """Return the event that the feed tells of by a pointer alone; its id is the same for every reader."""
    user, agent = owners.known(pointer.session_id)
    data = msgspec.json.encode(SessionRetired(user_id=user, agent_id=agent, created_ms=0, ended_ms=0))
    told = f"{pointer.session_id} {pointer.position}".encode()
    identifier = base64.urlsafe_b64encode(hashlib.sha256(told).digest()[:16])[:22]
    return RecordedEvent(pointer.session_id, pointer.offset, (_RETIRED.encode(), identifier + data))
