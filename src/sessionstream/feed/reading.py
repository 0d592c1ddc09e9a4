"""Pages of a partition's feed after a position, and the events that its pointers tell of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sessionstream.errors import FeedTrimmed, InvalidArgument, UnknownPosition
from sessionstream.events.encrypted import Opener
from sessionstream.events.recorded import RecordedEvent, at_ms, version_of
from sessionstream.feed.cursor import BEGINNING, Cursor, number_of, position_of
from sessionstream.log.feed import Pointer, pointers_of
from sessionstream.log.history import parse_offset
from sessionstream.log.store import Store

__all__ = ["Told", "count_of", "newest", "oldest", "read_events", "read_pointers"]

_PAGE = 500
_MOST_EVENTS = 1_000


class Told(NamedTuple):
    """A pointer, and what is kept of the events that it tells of.

    Attributes:
        pointer: it.
        events: fewer than ``pointer.events`` where some were removed since, by the end of a retention or a purge.
    """

    pointer: Pointer
    events: list[RecordedEvent]


async def read_pointers(store: Store, partition: int, after: str, count: int = _PAGE) -> list[Pointer]:
    """Return pointers of a partition behind a position, in commit order; none at the end of the feed.

    They follow on each other and on the position without a gap. An entry of the feed has several pointers and is
    never cut by the server, so there can be some more than ``count``.

    Args:
        store: whose feed.
        partition: which one.
        after: the position, ``<ms>-<n>``.
        count: about how many.

    Raises:
        InvalidArgument: the position is malformed.
        FeedTrimmed: pointers behind the position are gone.
        UnknownPosition: it lies past the end of the feed.
    """
    number = parse_offset(after)[1]
    log, feed = store.keys.log(partition), store.keys.feed(partition)
    page = await store.server.call("XRANGE", feed, f"({after}", "+", "COUNT", count)
    if page and _goes_on(page[0], after):
        pointers = [pointer for entry in page for pointer in pointers_of(entry)]
        return pointers[number + 1 - pointers[0].number :]
    # Known before the feed is looked at again, so that it cannot have ended later than this says.
    (end, first), page = await store.server.calls(
        [("HMGET", log, ":feed", ":feed_first"), ("XRANGE", feed, f"({after}", "+", "COUNT", 1)]
    )
    last = position_of(end)
    kept = _first_number(page[0]) if page else max(int(first or 1), number_of(last) + 1)
    past_end = number > number_of(last) or parse_offset(after) > parse_offset(last)
    if past_end or (page and _first_number(page[0]) <= number and not _goes_on(page[0], after)):
        raise UnknownPosition(after, last, f"the feed of partition {partition}")
    if kept > number + 1:
        raise FeedTrimmed(partition, after, _in_front(page[0]) if page else last)
    return await read_pointers(store, partition, after, count) if page else []


def _first_number(entry: Sequence[Any]) -> int:
    return number_of(entry[0].decode()) + 1 - len(entry[1]) // 2


def _goes_on(entry: Sequence[Any], after: str) -> bool:
    """Whether the next pointer behind a position is in an entry: its first one, or one behind another that is there."""
    number, end = number_of(after), entry[0].decode()
    first = _first_number(entry)
    # All of an entry are of one time. A feed that was lost and has grown again has others of the same numbers.
    return first == number + 1 or (first <= number < number_of(end) and at_ms(end) == at_ms(after))


def _in_front(entry: Sequence[Any]) -> str:
    number = _first_number(entry) - 1
    return f"{at_ms(entry[0].decode())}-{number}" if number else BEGINNING


async def count_of(store: Store, partition: int) -> int:
    """Return how many pointers the feed of a partition has had so far."""
    return number_of(position_of(await store.server.call("HGET", store.keys.log(partition), ":feed")))


async def newest(store: Store) -> Cursor:
    """Return the cursor behind everything that has been appended so far."""
    ends = await store.every_partition("HGET", store.keys.log, ":feed")
    return Cursor.of(store.keys, list(map(position_of, ends)))


async def oldest(store: Store) -> Cursor:
    """Return the cursor in front of the oldest pointers that are kept."""
    await store.check_readable()
    commands = [
        command
        for partition in range(store.keys.partitions)
        for command in (
            # The end first: a feed that is found empty behind it has been trimmed up to there at least.
            ("HGET", store.keys.log(partition), ":feed"),
            ("XRANGE", store.keys.feed(partition), "-", "+", "COUNT", 1),
        )
    ]
    replies = await store.server.calls(commands)
    ends = list(map(position_of, replies[::2]))
    found = zip(ends, replies[1::2], strict=True)
    return Cursor.of(store.keys, [_in_front(page[0]) if page else end for end, page in found])


async def read_events(store: Store, pointers: Sequence[Pointer]) -> list[Told]:
    """Return the events of pointers of one partition, up to some 1,000 of them, read in one round trip.

    Args:
        store: where they are kept.
        pointers: what `read_pointers` gave. As many of them, from the first one on, are answered as that allows; give
            the rest again.
    """
    if not pointers:
        raise InvalidArgument("there is no pointer to read the events of")
    taken, count = 0, 0
    while taken < len(pointers) and (not taken or count + pointers[taken].events <= _MOST_EVENTS):
        count += pointers[taken].events
        taken += 1
    asked = [pointer for pointer in pointers[:taken] if pointer.events]
    pages = iter(await store.server.calls([_range_of(store, pointer) for pointer in asked]) if asked else [])
    read = [next(pages) if pointer.events else [] for pointer in pointers[:taken]]
    if store.encryption is not None:
        await store.remember_keys_of(entry for page in read for entry in page)
    told = zip(pointers[:taken], read, strict=True)
    return [Told(pointer, _recorded(pointer, page, store.opener) if page else []) for pointer, page in told]


def _range_of(store: Store, pointer: Pointer) -> tuple[str | int, ...]:
    # Backward: the events of one append are of one time, those of a session that was restored are not.
    return "XREVRANGE", store.keys.events(pointer.session_id), pointer.offset, "-", "COUNT", pointer.events


def _recorded(pointer: Pointer, page: Sequence[Any], opener: Opener) -> list[RecordedEvent]:
    session_id = pointer.session_id
    found = [RecordedEvent(session_id, at.decode(), words or (), opener) for at, words in reversed(page)]
    # Where its own are gone there may be others in front of them.
    before = version_of(pointer.offset) - pointer.events
    return [event for event in found if event.version > before]
