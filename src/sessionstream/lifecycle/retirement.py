"""The end of an ended session's retention: all of it is removed in one step, and the feed is trimmed by age."""

from __future__ import annotations

from collections.abc import AsyncIterator

from sessionstream.bases import Folded, nearest
from sessionstream.errors import ArchiveDamaged, ArchiveFailed, CorruptEvent, HistoryTrimmed
from sessionstream.events.lifecycle import SessionRetired
from sessionstream.events.recorded import NOWHERE, RecordedEvent
from sessionstream.fold import Views, fold
from sessionstream.lifecycle.enlisting import delist
from sessionstream.lifecycle.reading import ENDS
from sessionstream.log.encoding import KeyNumbers, encode_each, encode_operations
from sessionstream.log.fencing import owner_for
from sessionstream.log.history import read_entries, read_history, trimmed_to
from sessionstream.log.members import pages_of
from sessionstream.log.store import Store
from sessionstream.projection import Increment, Operation, Remove
from sessionstream.projections import BUILT_IN
from sessionstream.projections.checkpoints import ORDER, SAVED
from sessionstream.projections.directory import ERASED, STATES
from sessionstream.wire.scripts import load_script

__all__ = ["NOT_ARCHIVED", "keys_beside", "retire", "retire_due", "trim_feed", "undoing"]

_RETIRE = load_script("sessionstream.log", "retire")
_TRIM = load_script("sessionstream.log", "trim")
_ENDED = (STATES["expired"], STATES["deleted"], ERASED)
_MOST_LOOKED_AT = 400

NOT_ARCHIVED = (ArchiveDamaged, ArchiveFailed, CorruptEvent, HistoryTrimmed)
"""What is raised for a session that could not be archived, so that it stays; it is no reason to leave the others."""


async def retire_due(store: Store, partition: int, most: int | None = None) -> int:
    """Remove the sessions of a partition whose retention is over.

    Args:
        store: where they are kept.
        partition: which one.
        most: at most so many; None is all that are due.

    Returns:
        How many were removed.

    Raises:
        ArchiveFailed: or another of `NOT_ARCHIVED`: a session could not be archived and stays; the others were removed.
    """
    retention = store.settings.retention
    if retention is None:
        return 0
    count, failure = 0, None
    due = await store.now_ms() - int(retention * 1000)
    async for page in _due(store, partition, due, None if most is None else _MOST_LOOKED_AT):
        for session_id in page:
            if most is not None and count >= most:
                return count
            try:
                count += await _archive_and_retire(store, session_id)
            except NOT_ARCHIVED as error:
                failure = failure or error
    if failure is not None:
        raise failure
    return count


async def _archive_and_retire(store: Store, session_id: str) -> bool:
    if store.archive_first is None:
        return await retire(store, session_id)
    archived_to = await store.archive_first(session_id)
    return archived_to is not None and await retire(store, session_id, at=archived_to)


async def _due(store: Store, partition: int, due_ms: int, most: int | None) -> AsyncIterator[list[str]]:
    """Yield pages of sessions that ended by then, those that ended first in front; some may be held, and stay."""
    for place in _ENDED:
        looked_at = 0
        async for page in pages_of(store, store.keys.partition_place("directory", place, partition), "0", str(due_ms)):
            yield page
            looked_at += len(page)
            if most is not None and looked_at >= most:
                break


async def retire(store: Store, session_id: str, *, at: str | None = None) -> bool:
    """Remove all of an ended session.

    Args:
        store: where it is kept.
        session_id: the session.
        at: only if this is still the offset of its last event.

    Returns:
        False if it is gone already, has not ended, is held, or goes on behind ``at``.
    """
    head, _ = await store.head(session_id)
    if head.get(b"state") not in ENDS or b"held" in head:
        return False
    if (owner := owner_for(store.fence(session_id))) is not None and head[b"user_id"] != owner.encode():
        return False
    if at is not None and head[b"offset"] != at.encode():
        return False
    event = SessionRetired(
        user_id=head[b"user_id"].decode(),
        agent_id=head[b"agent_id"].decode(),
        created_ms=int(head[b"created_at"]),
        ended_ms=int(head[b"ended_at"]),
        erased=head[b"state"] == b"erased",
    )
    keys = store.keys
    views = await _views_of_users(store, session_id)
    partition = keys.partition(session_id)
    numbers = KeyNumbers([keys.log(partition), keys.feed(partition), keys.registry(partition), keys.head(session_id)])
    gone = [keys.events(session_id), keys.seals(session_id), *keys_beside(store, session_id, views)]
    for key in gone:
        numbers[key]
    count, words = encode_operations(session_id, event, BUILT_IN, keys, numbers, sliding=False)
    for owner, operations in undoing(views).items():
        more, added = encode_each(owner, session_id, operations, keys, numbers)
        count, words = count + more, words + added
    args = [store.stamp, session_id, head[b"offset"], 1 + len(gone), count, *words]
    if not event.erased:
        await delist(store, event.user_id, session_id, event.created_ms)
    removed = await store.server.script(_RETIRE, numbers.keys, args)
    if removed < 0:
        await store.prepare(keys.partition(session_id))
    return bool(removed > 0)


async def trim_feed(store: Store, partition: int) -> int:
    """Trim the feed of a partition by age, and return how many pointers were removed."""
    kept = int(store.settings.feed_retention * 1000)
    return int(await store.server.script(_TRIM, [store.keys.log(partition), store.keys.feed(partition)], [kept]))


async def _views_of_users(store: Store, session_id: str) -> Views:
    """Return what the user's own projections keep of a session: only its events tell, and the base of a trimmed one."""
    views = Views(session_id)
    own = [projection for projection in store.projections if projection not in BUILT_IN]
    if not own:
        return views
    try:
        async for event in read_history(store, session_id):
            fold(session_id, [event], own, views)
    except HistoryTrimmed as error:
        folded = await nearest(store, session_id, error.first) or Folded(session_id, own, opener=store.opener)
        views, names = folded.views, {"", *(projection.name for projection in own)}
        views.hashes = {spot: fields for spot, fields in views.hashes.items() if spot.projection in names}
        views.sets = {spot: members for spot, members in views.sets.items() if spot.projection in names}
        async for page in read_entries(store, session_id, await trimmed_to(store, session_id) or NOWHERE):
            events = [RecordedEvent(session_id, at.decode(), words or (), store.opener) for at, words in page]
            fold(session_id, events, own, views)
    return views


def keys_beside(store: Store, session_id: str, views: Views) -> list[str]:
    """Return the keys of all that is a session's own, but for its stream, its head and its seals.

    Args:
        store: where it is kept.
        session_id: the session.
        views: what its events make.
    """
    keys = store.keys
    spots = [spot for spot in (*views.hashes, *views.sets) if spot.place.kind in ("view", "ranking")]
    return [
        keys.idempotency(session_id),
        keys.bodies(session_id),
        keys.bases(session_id),
        keys.deltas(session_id),
        keys.place("checkpoints", ORDER, session_id),
        keys.place("checkpoints", SAVED, session_id),
        *(keys.place(spot.projection, spot.place, session_id) for spot in spots),
    ]


def undoing(views: Views) -> dict[str, list[Operation]]:
    """Return for each projection what takes back what a session's events did to the views that all sessions share."""
    undo: dict[str, list[Operation]] = {}
    for spot, members in views.sets.items():
        if spot.place.kind == "index" and members:
            undo.setdefault(spot.projection, []).append(Remove(spot.place))
    for spot, fields in views.hashes.items():
        if spot.place.kind == "counters":
            undo.setdefault(spot.projection, []).extend(
                Increment(spot.place, field.decode(), -int(value)) for field, value in fields.items()
            )
    return undo
