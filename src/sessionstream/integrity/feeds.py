"""What the feed of a partition tells of its sessions: how far each was, and that it was retired."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sessionstream.errors import CorruptRecord
from sessionstream.events.recorded import version_of
from sessionstream.integrity.reporting import Undecodable
from sessionstream.log.feed import Pointer, pointers_of
from sessionstream.log.store import Store

__all__ = ["FeedWord", "FeedWords", "Word", "read_feed"]

_PAGE = 1000
_MOST_PAGES = 100


class Word(NamedTuple):
    """What a feed says of a session.

    Attributes:
        pointer: that of the greatest version since it was last made anew, or None.
        since: the milliseconds from which on the feed is there.
        whole: whether all of it was read from then on.
        retired: whether it tells that a session of this id was retired.
    """

    pointer: Pointer | None
    since: int
    whole: bool
    retired: bool


class FeedWord:
    """What one partition's feed says, read once.

    Args:
        since: the milliseconds from which on it was read.
        whole: whether it was read to its end.
        last: the last pointer of each session.
        retired: the sessions of which it tells that they were retired.
    """

    def __init__(self, since: int, whole: bool, last: dict[str, Pointer], retired: set[str]) -> None:
        self._since, self._whole, self._last, self._retired = since, whole, last, retired

    def of(self, session_id: str) -> Word:
        """Return what it says of a session."""
        return Word(self._last.get(session_id), self._since, self._whole, session_id in self._retired)


async def read_feed(store: Store, partition: int, since: int = 0, only: str | None = None) -> FeedWord:
    """Read a partition's feed.

    Args:
        store: where it lies.
        partition: which one.
        since: from these milliseconds on.
        only: the one session that is asked for; then no more than 100,000 entries are read.
    """
    key, start = store.keys.feed(partition), str(since)
    first = await store.server.call("XRANGE", key, "-", "+", "COUNT", 1)
    begins = _begin_of(first[0]) if first else 2**63
    last: dict[str, Pointer] = {}
    retired: set[str] = set()
    pages = 0
    while only is None or pages < _MOST_PAGES:
        page = await store.server.call("XRANGE", key, start, "+", "COUNT", _PAGE)
        for entry in page:
            for pointer in _pointers(entry):
                if only is None or pointer.session_id == only:
                    last[pointer.session_id] = _farthest(last.get(pointer.session_id), pointer)
                    if not pointer.events:
                        retired.add(pointer.session_id)
        if len(page) < _PAGE:
            return FeedWord(max(since, begins), True, last, retired)
        start, pages = "(" + page[-1][0].decode(), pages + 1
    return FeedWord(max(since, begins), False, last, retired)


def _farthest(known: Pointer | None, pointer: Pointer) -> Pointer:
    """Return which of two pointers of a session tells of more: the later one, unless the session was set back."""
    if known is None or not known.events or not pointer.events:
        return pointer
    return known if version_of(known.offset) > version_of(pointer.offset) else pointer


def _pointers(entry: Sequence[Any]) -> list[Pointer]:
    try:
        return pointers_of(entry)
    except CorruptRecord:
        raise Undecodable(f"entry {entry[0].decode()} of the feed") from None


def _begin_of(first: Sequence[Any]) -> int:
    """Return the milliseconds from which on nothing is missing in a feed, by its first entry."""
    identifier, fields = first
    ms, number = identifier.decode().split("-")
    # What was trimmed in front of it may be of the same millisecond.
    return int(ms) + (int(number) > len(fields) // 2)


class FeedWords:
    """Every partition's feed, each read once, when it is first asked for.

    Args:
        store: where they lie.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._read: dict[int, FeedWord] = {}

    async def of(self, session_id: str) -> Word:
        """Return what is said of a session."""
        partition = self._store.keys.partition(session_id)
        if partition not in self._read:
            # One at a time: sessions are gone through partition by partition.
            self._read = {partition: await read_feed(self._store, partition)}
        return self._read[partition].of(session_id)
