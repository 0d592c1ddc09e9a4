"""Which sessions are meant, and in which order: that of their creation, merged over all partitions."""

from __future__ import annotations

import heapq
from collections.abc import AsyncIterator, Callable, Sequence
from typing import NamedTuple

from sessionstream.directory.users import sessions_of_user
from sessionstream.events.ids import checked_id
from sessionstream.lifecycle.reading import end_of, session_from
from sessionstream.log.store import Store
from sessionstream.projections.directory import agent
from sessionstream.session import Session

__all__ = ["Choice", "Kept", "candidate_count", "chosen_sessions", "kept_session"]

_PAGE = 200


class Choice(NamedTuple):
    """Which sessions are meant; without anything, all that are not over.

    Attributes:
        user_id: only this user's.
        agent_id: only this agent's.
        states: only those in one of these states, of which ``expired`` and ``deleted`` need ``ended``.
        ended: also those that are over and still kept.
    """

    user_id: str | None = None
    agent_id: str | None = None
    states: Sequence[str] = ()
    ended: bool = False


class Kept(NamedTuple):
    """A session of which something is kept.

    Attributes:
        session: as it is.
        end: ``expired`` or ``deleted`` for one that is over, swept or not, else None.
    """

    session: Session
    end: str | None

    @property
    def state(self) -> str:
        """Its state's name; ``deleted`` for a deleted one."""
        return self.end or self.session.state.value


async def kept_session(store: Store, session_id: str) -> Kept | None:
    """Return a session, over or not, or None if nothing is kept of it."""
    head, now = await store.head(session_id)
    return Kept(session_from(session_id, head), end_of(head, now)) if b"offset" in head else None


async def chosen_sessions(
    store: Store, choice: Choice, *, newest_first: bool = False, after: tuple[int, str] | None = None
) -> AsyncIterator[Kept]:
    """Yield the sessions that are meant, in the order of their creation or in the opposite one.

    Args:
        store: where they are kept.
        choice: which.
        newest_first: whether in the opposite one.
        after: the milliseconds of a session's creation and its id: only those that come behind it in the order of
            creation; of one millisecond, those come first whose ids do.
    """
    async for page in _paged(_candidates(store, choice, newest_first, 0 if after is None else after[0])):
        heads, now = await store.heads(page)
        for session_id, head in zip(page, heads, strict=True):
            if b"offset" not in head or (after is not None and (int(head[b"created_at"]), session_id) <= after):
                continue
            kept = Kept(session_from(session_id, head), end_of(head, now))
            if _is_meant(kept, choice):
                yield kept


def _is_meant(kept: Kept, choice: Choice) -> bool:
    return (
        (choice.ended or kept.end is None)
        and choice.user_id in (None, kept.session.user_id)
        and choice.agent_id in (None, kept.session.agent_id)
        and (not choice.states or kept.state in choice.states)
    )


async def _candidates(store: Store, choice: Choice, newest_first: bool, since_ms: int) -> AsyncIterator[str]:
    """Yield the ids of the smallest index that holds every session that is meant."""
    if choice.user_id is not None and not choice.ended:
        listed = sessions_of_user(store, choice.user_id)
        found = sorted([(session.created_at, session.session_id) async for session in listed], reverse=newest_first)
        for _, session_id in found:
            yield session_id
        return
    async for session_id in _merged(store, _index_of(store, choice), newest_first, since_ms):
        yield session_id


def _index_of(store: Store, choice: Choice) -> Callable[[int], str]:
    """Return what names the smallest set of each partition that holds all sessions of a choice."""
    if choice.agent_id is None or choice.ended:
        return store.keys.registry
    place = agent(checked_id(choice.agent_id, "agent_id"))
    return lambda partition: store.keys.partition_place("directory", place, partition)


async def candidate_count(store: Store, choice: Choice) -> int:
    """Return how many sessions are looked at to find those that are meant."""
    if choice.user_id is not None and not choice.ended:
        key = store.keys.user(checked_id(choice.user_id, "user_id"))
        return int(await store.server.call("ZCOUNT", key, 0, "+inf"))
    counts: list[int] = await store.every_partition("ZCOUNT", _index_of(store, choice), 0, "+inf")
    return sum(counts)


async def _paged(ids: AsyncIterator[str]) -> AsyncIterator[list[str]]:
    page: list[str] = []
    size = 20  # the first ones soon, for a caller that wants no more
    async for session_id in ids:
        page.append(session_id)
        if len(page) == size:
            yield page
            page, size = [], _PAGE
    if page:
        yield page


async def _merged(store: Store, name: Callable[[int], str], newest_first: bool, since_ms: int) -> AsyncIterator[str]:
    """Yield the members of one sorted set in each partition, in the order of their scores over all of them."""
    await store.check_readable()
    sign = -1.0 if newest_first else 1.0
    sources = [_Source(store, name(partition), newest_first, since_ms) for partition in range(store.keys.partitions)]
    pages = await store.server.calls([source.command() for source in sources])
    heap: list[tuple[float, str, int]] = []
    for number, (source, page) in enumerate(zip(sources, pages, strict=True)):
        source.take(page)
        if source.page:
            score, member = source.page.pop()
            heap.append((sign * score, member, number))
    heapq.heapify(heap)
    while heap:
        _, member, number = heap[0]
        yield member
        following = await sources[number].next()
        if following is None:
            heapq.heappop(heap)
        else:
            heapq.heapreplace(heap, (sign * following[0], following[1], number))


class _Source:
    """One sorted set, read page by page; none twice, and none missed that stays where it is.

    Attributes:
        page: what was read and not given yet, the next one last.
    """

    def __init__(self, store: Store, key: str, newest_first: bool, since_ms: int) -> None:
        self._store = store
        self._key = key
        self._newest_first = newest_first
        self._edge = "+inf" if newest_first else str(since_ms)
        self._seen: set[bytes] = set()
        self._ended = False
        self.page: list[tuple[float, str]] = []

    def command(self) -> tuple[str | int, ...]:
        """Return the command that reads the next page, which `take` is given."""
        bounds = (self._edge, "0", "BYSCORE", "REV") if self._newest_first else (self._edge, "+inf", "BYSCORE")
        return ("ZRANGE", self._key, *bounds, "LIMIT", 0, _PAGE + len(self._seen), "WITHSCORES")

    def take(self, reply: Sequence[bytes]) -> None:
        """Take the members of a page that were not seen before."""
        members, scores = reply[::2], reply[1::2]
        self._ended = len(members) < _PAGE + len(self._seen)
        pairs = list(zip(scores, members, strict=True))
        self.page = [(float(score), member.decode()) for score, member in reversed(pairs) if member not in self._seen]
        if scores:
            # Members of the last score may go on behind the page, so the next one begins with it once more.
            self._seen = {member for score, member in pairs if score == scores[-1]}
            self._edge = scores[-1].decode()

    async def next(self) -> tuple[float, str] | None:
        """Return the next score and member, or None behind the last one."""
        if not self.page and not self._ended:
            self.take(await self._store.server.call(*self.command()))
        return self.page.pop() if self.page else None
