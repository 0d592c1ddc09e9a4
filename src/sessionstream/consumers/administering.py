"""What is done to a group from outside: moved, deleted, and what it has parked."""

from __future__ import annotations

import asyncio
from typing import Literal

import msgspec

from sessionstream.consumers.parking import Fields, Parked, Record, field_of, parked_of, read_fields, text_of
from sessionstream.consumers.registry import positions_of_group
from sessionstream.errors import FeedTrimmed, GroupNotFound
from sessionstream.events.ids import checked_id
from sessionstream.events.stored import reading_stored
from sessionstream.feed.cursor import number_of
from sessionstream.feed.reading import oldest, read_pointers
from sessionstream.log.gates import fields_of
from sessionstream.log.history import parse_offset
from sessionstream.log.store import Store
from sessionstream.wire.scripts import load_script

__all__ = ["ask", "group_names", "move_group", "parked_events", "skip_trimmed"]

_ASK = load_script("sessionstream.consumers", "ask")
_RESET = load_script("sessionstream.consumers", "reset")


async def group_names(store: Store) -> list[str]:
    """Return the names of all groups, sorted."""
    await store.check_readable()
    names = await store.server.call("HKEYS", store.keys.groups(0))
    with reading_stored("the consumer groups"):
        return sorted(name.decode() for name in names)


async def _fields(store: Store, group: str) -> list[Fields]:
    await positions_of_group(store, group)
    rows = await store.every_partition("HGETALL", lambda partition: store.keys.parked(group, partition))
    return [read_fields(fields_of(row)) for row in rows]


async def parked_events(store: Store, group: str) -> list[Parked]:
    """Return what a group has parked, oldest event of each partition first."""
    found = await _fields(store, group)
    records = [record for fields in found for record in (*fields.waiting.values(), *fields.single.values())]
    await store.remember(text.encode() for record in records for text in (record.message, record.trace))
    return [parked for fields in found for parked in parked_of(group, fields, store.opener)]


async def ask(
    store: Store,
    group: str,
    what: Literal["replay", "discard"],
    session_id: str | None,
    offset: str | None,
) -> int:
    """Ask the holders to do something with what is parked, and return of how many events that was asked.

    Args:
        store: the namespace.
        group: the group.
        what: with all that fits.
        session_id: only of this session.
        offset: only this event.

    Raises:
        InvalidArgument: that is no session's id, or no offset.
    """
    if session_id is not None:
        checked_id(session_id, "session_id")
    if offset is not None:
        parse_offset(offset)
    count = 0
    for partition, fields in enumerate(await _fields(store, group)):
        found = [(field_of(session, None), session, record) for session, record in fields.waiting.items()]
        found += [(field_of(session, at), session, record) for (session, at), record in fields.single.items()]
        for name, session, record in found:
            fits = session_id in (None, session) and offset in (None, record.offset)
            if fits and await _ask(store, group, partition, name, record, what):
                count += 1
    return count


async def _ask(
    store: Store, group: str, partition: int, name: str, record: Record, what: Literal["replay", "discard"]
) -> bool:
    """Ask for one; False if it is no longer parked, or something is asked already."""
    if record.asked:
        return record.asked == what
    keys = store.keys
    asked = msgspec.structs.replace(record, asked=what)
    answer = await store.server.script(
        _ASK,
        [keys.groups(partition), keys.group(group, partition), keys.parked(group, partition)],
        [group, name, text_of(record), text_of(asked)],
    )
    return bool(answer == 1)


async def move_group(store: Store, group: str, to: list[str]) -> None:
    """Move a group to a position in each partition; what its members do meanwhile is refused."""
    await positions_of_group(store, group)
    await asyncio.gather(*(_move(store, group, partition, position) for partition, position in enumerate(to)))


async def _move(store: Store, group: str, partition: int, position: str, only_from: str = "") -> bool:
    keys = store.keys
    names = [keys.groups(partition), keys.group(group, partition), keys.parked(group, partition)]
    answer = await store.server.script(_RESET, names, [group, position, only_from])
    if answer == -1:
        raise GroupNotFound(group)
    return bool(answer == 1)


async def skip_trimmed(store: Store, group: str) -> int:
    """Move a group over what is gone from the feed, and return over how many appends."""
    positions, kept = await positions_of_group(store, group), await oldest(store)
    count = 0
    for partition, position in enumerate(positions):
        try:
            await read_pointers(store, partition, position, 1)
        except FeedTrimmed:
            first = kept.positions[partition]
            if await _move(store, group, partition, first, position):
                count += number_of(first) - number_of(position)
    return count
