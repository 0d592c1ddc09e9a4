"""Removing a group: its views, its positions, and what it has parked."""

from __future__ import annotations

from collections.abc import AsyncIterator

from sessionstream.consumers.places import keys_of_partition, keys_of_session, places_in
from sessionstream.directory.listing import session_ids_of
from sessionstream.feed.cursor import position_of
from sessionstream.log.feed import pointers_of
from sessionstream.log.store import Store
from sessionstream.wire.scripts import load_script

__all__ = ["delete_group", "remove_views"]

_FORGET = load_script("sessionstream.consumers", "forget")
_AT_ONCE = 500


async def remove_views(store: Store, group: str, partition: int, after: str | None = None) -> None:
    """Remove the views that a group keeps in a partition; of the group itself nothing changes.

    Args:
        store: the namespace.
        group: its name.
        partition: which one.
        after: the position from which on the feed tells of removed sessions that have views still; None if the group
            itself will come to them.
    """
    keys = store.keys
    fields = await store.server.call("HKEYS", keys.group(group, partition))
    places = places_in(fields)
    own = [place for place in places if place.kind in ("view", "ranking")]
    gone = list(keys_of_partition(keys, group, partition, places))
    if own:
        for sessions in (session_ids_of(store, partition), _removed_behind(store, partition, after)):
            async for session_id in sessions:
                gone += keys_of_session(keys, group, session_id, own)
                if len(gone) >= _AT_ONCE:
                    await store.server.call("UNLINK", *gone)
                    gone = []
    if gone:
        await store.server.call("UNLINK", *gone)


async def _removed_behind(store: Store, partition: int, after: str | None) -> AsyncIterator[str]:
    """Yield the sessions of whose removal the feed tells behind a position."""
    while after is not None:
        page = await store.server.call("XRANGE", store.keys.feed(partition), f"({after}", "+", "COUNT", _AT_ONCE)
        after = page[-1][0].decode() if page else None
        for pointer in (pointer for entry in page for pointer in pointers_of(entry)):
            if not pointer.events:
                yield pointer.session_id


async def delete_group(store: Store, group: str) -> bool:
    """Remove a group, and all that it keeps; False if there is none."""
    await store.check_readable()
    keys, known = store.keys, False
    positions = await store.every_partition("HGET", keys.groups, group)
    # The first partition goes last: as long as the group is there, it is one, and whoever deletes it goes on.
    for partition in range(keys.partitions - 1, -1, -1):
        after = position_of(positions[partition])
        names = [keys.groups(partition), keys.group(group, partition)]
        if partition == 0:
            await remove_views(store, group, partition, after)
        known = bool(await store.server.script(_FORGET, names, [group])) or known
        await remove_views(store, group, partition, after)
        await store.server.call("UNLINK", keys.group(group, partition), keys.parked(group, partition))
    return known
