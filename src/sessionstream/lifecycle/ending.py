"""How sessions end: deleted, expired, swept."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable

from sessionstream.errors import NotPermittedInPhase, SessionNotFound, SessionStreamError
from sessionstream.events.base import LIVE, Phase
from sessionstream.events.lifecycle import SessionDeleted, SessionExpired
from sessionstream.lifecycle.enlisting import delist
from sessionstream.lifecycle.reading import Head, end_of
from sessionstream.lifecycle.retirement import retire
from sessionstream.log.store import Store
from sessionstream.projections.directory import EXPIRY

__all__ = ["delete", "delete_many", "expired_event", "sweep"]

_LAPSED = frozenset({Phase.LAPSED})
_PAGE = 64


def expired_event(head: Head) -> SessionExpired:
    """Return the event that ends a session by expiry."""
    return SessionExpired(
        user_id=head[b"user_id"].decode(), agent_id=head[b"agent_id"].decode(), created_ms=int(head[b"created_at"])
    )


async def delete(store: Store, session_id: str, *, purge: bool = False) -> bool:
    """End a session; False if there is none, or it is over. With ``purge`` all of it is removed, ended or not."""
    head, now = await store.head(session_id)
    if not head:
        return False
    ended = end_of(head, now) is None and await _end(
        store,
        session_id,
        SessionDeleted(
            user_id=head[b"user_id"].decode(), agent_id=head[b"agent_id"].decode(), created_ms=int(head[b"created_at"])
        ),
        LIVE,
    )
    if not purge:
        return ended
    if not ended and head[b"state"] not in (b"expired", b"deleted"):
        await _end(store, session_id, expired_event(head), _LAPSED)
    return await retire(store, session_id)


async def delete_many(store: Store, session_ids: Iterable[str]) -> int:
    """End many sessions, 64 at a time, and return how many this call ended."""
    ids = list(session_ids)
    count = 0
    for start in range(0, len(ids), _PAGE):
        count += sum(await asyncio.gather(*(delete(store, session_id) for session_id in ids[start : start + _PAGE])))
    return count


async def sweep(store: Store) -> int:
    """End every session whose time is over, and return how many this call ended."""
    count = 0
    for partition in range(store.keys.partitions):
        async for ids in _lapsed(store, partition):
            heads, now = await store.heads(ids)
            over = [
                (session_id, head)
                for session_id, head in zip(ids, heads, strict=True)
                if head and head[b"state"] not in (b"expired", b"deleted") and end_of(head, now) == "expired"
            ]
            count += sum(
                await asyncio.gather(
                    *(_end(store, session_id, expired_event(head), _LAPSED) for session_id, head in over)
                )
            )
    return count


async def _lapsed(store: Store, partition: int) -> AsyncIterator[list[str]]:
    key = store.keys.partition_place("directory", EXPIRY, partition)
    seen: set[str] = set()
    passed = 0
    while True:
        now = await store.now_ms()
        page = await store.server.call("ZRANGEBYSCORE", key, 0, now, "LIMIT", passed, _PAGE)
        if not page:
            return
        fresh = [session_id for member in page if (session_id := member.decode()) not in seen]
        # What was ended has left the index; what stayed, because it was refreshed meanwhile, is passed over.
        passed += len(page) - len(fresh)
        seen.update(fresh)
        if fresh:
            yield fresh


async def _end(store: Store, session_id: str, event: SessionDeleted | SessionExpired, only: frozenset[Phase]) -> bool:
    try:
        await store.append(session_id, [event], only=only)
    except (SessionNotFound, NotPermittedInPhase):
        return False
    # The session is over: an error now would say that it is not. Readers pass over the entry.
    with contextlib.suppress(SessionStreamError):
        await delist(store, event.user_id, session_id, event.created_ms)
    return True
