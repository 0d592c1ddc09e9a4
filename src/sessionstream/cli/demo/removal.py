"""Taking a throw-away namespace away again: every key that its events can have made is known by name."""

from __future__ import annotations

from collections.abc import Iterable

from sessionstream.directory.listing import every_session_id
from sessionstream.fold import fold
from sessionstream.log.history import read_history
from sessionstream.log.store import Store

__all__ = ["remove_namespace"]


async def remove_namespace(store: Store, user_ids: Iterable[str]) -> int:
    """Delete all keys of a namespace that nobody else uses, and return how many there were.

    Args:
        store: the namespace.
        user_ids: whose sessions it may hold: a list of theirs may be there without a session, after a process died.
    """
    keys = store.keys
    names = {name(partition) for partition in range(keys.partitions) for name in (keys.log, keys.feed, keys.registry)}
    names |= {keys.user(user_id) for user_id in user_ids}
    async for session_id in every_session_id(store):
        names |= await _keys_of(store, session_id)
    return sum(await store.server.calls([("UNLINK", name) for name in sorted(names)]))


async def _keys_of(store: Store, session_id: str) -> set[str]:
    keys = store.keys
    events = [event async for event in read_history(store, session_id)]
    views = fold(session_id, events, store.projections)
    return {
        keys.head(session_id),
        keys.events(session_id),
        keys.idempotency(session_id),
        keys.bodies(session_id),
        *(keys.place(spot.projection, spot.place, session_id) for spot in (*views.hashes, *views.sets)),
    }
