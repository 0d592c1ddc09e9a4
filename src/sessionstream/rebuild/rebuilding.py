"""Rebuilding one session or all of a namespace."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from sessionstream.bases.keeping import LEAST_EVENTS, keep
from sessionstream.directory.listing import session_ids_of
from sessionstream.errors import InvalidArgument, SessionNotFound
from sessionstream.lifecycle.enlisting import enlist_at
from sessionstream.lifecycle.reading import ENDS
from sessionstream.log.members import pages_of
from sessionstream.log.store import Store
from sessionstream.rebuild.folding import Archived, Folding, side_by_side
from sessionstream.rebuild.partitions import SharedViews

__all__ = ["Rebuilt", "rebuild_all", "rebuild_session", "rebuild_views"]

_GROUP = 64


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


async def rebuild_views(
    store: Store, session_id: str | None, archived: Archived | None = None, **options: Any
) -> Rebuilt:
    """Make the views of one session, or with None of all, anew; the options are for all: see `rebuild_all`."""
    if session_id is None:
        return await rebuild_all(store, archived=archived, **options)
    if options:
        raise InvalidArgument(f"{', '.join(options)}: only for a rebuild of all sessions")
    return await rebuild_session(store, session_id, archived)


async def rebuild_session(store: Store, session_id: str, archived: Archived | None = None) -> Rebuilt:
    """Make one session's own views anew from its events; those that sessions share are not touched.

    Raises:
        HistoryTrimmed: its first events are gone, and there is no base of these projections and no archive.
        SessionNotFound: nothing is kept of such a session.
        NamespaceMismatch: the namespace was made with other projections.
    """
    rebuilt = Rebuilt()
    rebuilt.add(await _rebuild(store, session_id, archived))
    return rebuilt


async def rebuild_all(
    store: Store,
    *,
    adopt: bool = False,
    progress: Callable[[int, int], None] | None = None,
    archived: Archived | None = None,
) -> Rebuilt:
    """Make all views of a namespace anew from the events, while appends go on.

    It may be cancelled at any moment: a view is either the old or the new one.

    Args:
        store: the namespace.
        adopt: let the namespace be one of this process's projections from now on; other writers are refused then.
        progress: called with how many sessions are done, and how many there are.
        archived: gives the events of a session that were trimmed, where there is no base of these projections.

    Raises:
        HistoryTrimmed: a session's first events are gone, and there is no base of these projections and no archive.
            With ``adopt`` that is found before anything is changed.
        ArchiveDamaged: the archive does not hold them, or not as they were; likewise.
        NamespaceMismatch: it was made with other projections and ``adopt`` is not given, or with other partitions; or
            it is encrypted, and this process has no keys.
        Unavailable: another rebuild of this namespace has taken over.
    """
    await store.check_readable()
    if adopt:
        await store.check_adoptable()
        await _require_foldable(store, archived)
        # Every partition at once, also those that nobody has written to: no other writer can mark one any more.
        await store.every_partition("HSET", store.keys.log, ":stamp", store.stamp)
    await store.prepare(0)
    total = sum(await store.every_partition("ZCOUNT", store.keys.registry, 0, "+inf"))
    rebuilt = Rebuilt()
    for partition in range(store.keys.partitions):
        await _rebuild_partition(store, partition, rebuilt, lambda: _tell(progress, rebuilt, total), archived)
    return rebuilt


async def _require_foldable(store: Store, archived: Archived | None) -> None:
    """Fold each trimmed session: what these projections cannot be folded of is told before they are adopted."""
    for partition in range(store.keys.partitions):
        async for page in pages_of(store, store.keys.registry(partition), "0"):
            heads, _ = await store.heads(page)
            for session_id, head in zip(page, heads, strict=True):
                if b"trimmed" in head:
                    with contextlib.suppress(SessionNotFound):
                        await Folding(store, session_id, archived).catch_up()


def _tell(progress: Callable[[int, int], None] | None, rebuilt: Rebuilt, total: int) -> None:
    if progress is not None:
        progress(rebuilt.sessions, max(total, rebuilt.sessions))


async def _rebuild_partition(
    store: Store, partition: int, rebuilt: Rebuilt, tell: Callable[[], None], archived: Archived | None
) -> None:
    feed = await store.server.call("HGET", store.keys.log(partition), ":feed")
    if feed is None:
        return
    await store.prepare(partition)
    shared = SharedViews(store, partition)
    await shared.begin(feed)

    async def rebuild(session_id: str) -> Folding | None:
        try:
            return await _rebuild(store, session_id, archived)
        except SessionNotFound:
            return None

    async for session_ids in _sessions_until_now(store, partition):
        for session_id, folding in zip(session_ids, await side_by_side(rebuild, session_ids), strict=True):
            # What was removed meanwhile is told by the feed.
            if folding is not None:
                rebuilt.add(folding)
                await shared.take(session_id, folding)
                tell()
    await shared.put_in_place()


async def _sessions_until_now(store: Store, partition: int) -> AsyncIterator[list[str]]:
    """Yield the sessions of a partition in groups; what is created from now on needs no rebuilding."""
    last = await store.server.call("ZRANGE", store.keys.registry(partition), -1, -1, "WITHSCORES")
    if not last or not last[0]:
        return
    group: list[str] = []
    async for session_id in session_ids_of(store, partition, int(min(float(last[1]), 2.0**62))):
        group.append(session_id)
        if len(group) == _GROUP:
            yield group
            group = []
    if group:
        yield group


async def _rebuild(store: Store, session_id: str, archived: Archived | None) -> Folding:
    folding = Folding(store, session_id, archived)
    await folding.put_in_place()
    head = folding.views.head
    # A creation that does not decode leaves nobody whose session it could be.
    if b"user_id" in head and head.get(b"state") not in ENDS:
        await enlist_at(store, head[b"user_id"].decode(), session_id, int(head[b"created_at"]))
    if folding.events >= LEAST_EVENTS:
        await keep(store, session_id, folding.offset)
    return folding
