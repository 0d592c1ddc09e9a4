"""Which groups there are, and how far each has come in each partition.

The hash `Keys.groups` of a partition names every group that reads it, with the group's position there: all pointers of
the feed up to it are handled, parked or passed over. A script of the partition can read it whole, so what must not pass
the slowest group decides in one step.
"""

from __future__ import annotations

import asyncio
import re

from sessionstream.errors import GroupNotFound, InvalidArgument, InvalidType
from sessionstream.events.stored import reading_stored
from sessionstream.feed.cursor import position_of
from sessionstream.log.gates import fields_of
from sessionstream.log.store import Store
from sessionstream.wire.scripts import load_script

__all__ = ["checked_name", "found", "position_in", "positions_of_group", "positions_of_groups"]

_FOUND = load_script("sessionstream.consumers", "found")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_GENERATION = re.compile(r"[a-z][a-z0-9_]*@\d+\.\d+\Z")


def checked_name(value: object, what: str, *, known: bool = False) -> str:
    """Return a name as given.

    Args:
        value: 1 to 64 of ``A-Z a-z 0-9 . _ -``.
        what: is named so, for the error.
        known: whether it may also be the group of a projection, such as ``spend@2.1``.

    Raises:
        InvalidArgument: it is no such name.
    """
    if not isinstance(value, str):
        raise InvalidType(f"{what} is a string, not a {type(value).__name__}")
    if not _NAME.match(value) and not (known and _GENERATION.match(value)):
        raise InvalidArgument(f"{what} {value!r} is not 1 to 64 of A-Z a-z 0-9 . _ - that begin with a letter or digit")
    return value


async def found(store: Store, group: str, after: list[str], build: str = "") -> None:
    """Make a group known in every partition where it is not.

    Args:
        store: the namespace.
        group: its name.
        after: for each partition where it begins: a position, or ``beginning``, or ``now``.
        build: what is built in each partition before the feed is read, or nothing.
    """
    keys = store.keys

    async def in_partition(partition: int) -> None:
        kept = [keys.group(group, partition), keys.parked(group, partition)]
        names = [keys.log(partition), keys.groups(partition), *kept]
        await store.server.script(_FOUND, names, [group, after[partition], build])

    # The first partition comes last: a group that is known there is known everywhere.
    await asyncio.gather(*map(in_partition, range(1, keys.partitions)))
    await in_partition(0)


async def positions_of_groups(store: Store, partition: int) -> dict[str, str]:
    """Return the position of every group that reads a partition, by the group's name.

    Args:
        store: the namespace.
        partition: which one.

    Returns:
        Positions ``<ms>-<n>``: the first ``n`` pointers of the feed are behind the group. The ``<ms>`` of a group
        that has not moved yet may be 0, so positions compare by ``n`` alone.
    """
    found: list[bytes] | dict[bytes, bytes] = await store.server.call("HGETALL", store.keys.groups(partition))
    with reading_stored("the consumer groups"):
        return {name.decode(): position_of(position) for name, position in fields_of(found).items()}


async def positions_of_group(store: Store, group: str) -> list[str]:
    """Return a group's position in each partition; raises `GroupNotFound` if there is no such group."""
    found = await store.every_partition("HGET", store.keys.groups, group)
    if found[0] is None:
        raise GroupNotFound(group)
    return list(map(position_of, found))


async def position_in(store: Store, group: str, partition: int) -> str:
    """Return a group's position in one partition; raises `GroupNotFound` if there is no such group."""
    found = await store.server.call("HGET", store.keys.groups(partition), group)
    if found is None:
        raise GroupNotFound(group)
    return position_of(found)
