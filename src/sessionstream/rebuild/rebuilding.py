"""Rebuilding one session or all of a namespace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sessionstream.directory.listing import session_ids_of
from sessionstream.errors import SessionNotFound
from sessionstream.lifecycle.enlisting import enlist_at
from sessionstream.lifecycle.reading import end_of
from sessionstream.log.store import Store
from sessionstream.rebuild.folding import Folding
from sessionstream.rebuild.partitions import SharedViews

__all__ = ["Rebuilt", "rebuild_all", "rebuild_session"]


@dataclass
class Rebuilt:
    """What a rebuild went through.

    Attributes:
        sessions: how many sessions.
        events: how many events they had.
        unreadable: how many of those do not decode, and changed no view.
    """

    sessions: int = 0
    events: int = 0
    unreadable: int = 0

    def add(self, folding: Folding) -> None:
        """Count one more session."""
        self.sessions += 1
        self.events += folding.events
        self.unreadable += folding.unreadable


async def rebuild_session(store: Store, session_id: str) -> Rebuilt:
    """Make one session's own views anew from its events; those that sessions share are not touched.

    Raises:
        SessionNotFound: nothing is kept of such a session.
        NamespaceMismatch: the namespace was made with other projections.
    """
    await store.existing_head(session_id)
    await store.prepare(store.keys.partition(session_id))
    rebuilt = Rebuilt()
    rebuilt.add(await _rebuild(store, session_id))
    return rebuilt


async def rebuild_all(
    store: Store, *, adopt: bool = False, progress: Callable[[int, int], None] | None = None
) -> Rebuilt:
    """Make all views of a namespace anew from the events, while appends go on.

    It may be cancelled at any moment: a view is either the old or the new one.

    Args:
        store: the namespace.
        adopt: let the namespace be one of this process's projections from now on; other writers are refused then.
        progress: called with how many sessions are done, and how many there are.

    Raises:
        NamespaceMismatch: it was made with other projections and ``adopt`` is not given, or with other partitions.
    """
    await store.check_readable()
    if adopt:
        await _adopt(store)
    await store.prepare(0)
    total = sum(await store.every_partition("ZCOUNT", store.keys.registry, 0, "+inf"))
    rebuilt = Rebuilt()
    for partition in range(store.keys.partitions):
        position = await store.server.call("HGET", store.keys.log(partition), "feed")
        shared = SharedViews(store, partition, position or b"")
        # What is created from now on needs no rebuilding; the feed tells the shared views of it.
        async for session_id in session_ids_of(store, partition, await store.now_ms()):
            try:
                folding = await _rebuild(store, session_id)
            except SessionNotFound:
                # It was retired meanwhile; the feed tells the shared views.
                continue
            shared.take(session_id, folding.views)
            rebuilt.add(folding)
            if progress is not None:
                progress(rebuilt.sessions, max(total, rebuilt.sessions))
        if position:
            await shared.put_in_place()
    return rebuilt


async def _rebuild(store: Store, session_id: str) -> Folding:
    folding = Folding(store, session_id)
    await folding.put_in_place()
    head, now = await store.head(session_id)
    if head and end_of(head, now) is None:
        await enlist_at(store, head[b"user_id"].decode(), session_id, int(head[b"created_at"]))
    return folding


async def _adopt(store: Store) -> None:
    stamps = await store.every_partition("HGET", store.keys.log, "stamp")
    for partition, found in enumerate(stamps):
        if found is not None or partition == 0:
            await store.server.call("HSET", store.keys.log(partition), "stamp", store.stamp)
