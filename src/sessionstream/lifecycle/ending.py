"""How sessions end: deleted, expired, swept."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence

from sessionstream.errors import NotPermittedInPhase, SessionHeld, SessionNotFound, SessionsHeld, SessionStreamError
from sessionstream.events.base import LIVE, Phase
from sessionstream.events.lifecycle import SessionDeleted, SessionExpired
from sessionstream.lifecycle.enlisting import delist
from sessionstream.lifecycle.holding import require_unheld
from sessionstream.lifecycle.reading import ENDS, Head, end_of
from sessionstream.lifecycle.retirement import retire
from sessionstream.log.store import Store
from sessionstream.projections.directory import EXPIRY

__all__ = ["delete", "delete_many", "end_forgotten", "end_now", "expired_event", "forget_ended", "sweep"]

_LAPSED = frozenset({Phase.LAPSED})
_PAGE = 64


def expired_event(head: Head) -> SessionExpired:
    """Return the event that ends a session by expiry."""
    return SessionExpired(
        user_id=head[b"user_id"].decode(), agent_id=head[b"agent_id"].decode(), created_ms=int(head[b"created_at"])
    )


async def delete(store: Store, session_id: str, *, purge: bool = False) -> bool:
    """End a session; False if there is none, or it is over. With ``purge`` all of it is removed, ended or not.

    Raises:
        SessionHeld: a hold stands. With ``purge`` the session may have ended, if the hold came in that moment.
    """
    head, now = await store.head(session_id)
    if not head:
        return False
    over = end_of(head, now) is not None
    if not purge:
        if not over:
            require_unheld(session_id, head)
        return not over and await _delete(store, session_id, head)
    await end_now(store, session_id, head, now)
    removed = await retire(store, session_id)
    if not removed:
        require_unheld(session_id, (await store.head(session_id))[0])
    return removed


async def end_now(store: Store, session_id: str, head: Head, now_ms: int) -> None:
    """See that a session is over, and that an event says so; raises `SessionHeld` where a hold stands.

    Args:
        store: where it is kept.
        session_id: the session.
        head: as it was read.
        now_ms: by the server's clock, when that was.
    """
    require_unheld(session_id, head)
    ended = end_of(head, now_ms) is None and await _delete(store, session_id, head)
    if not ended and head[b"state"] not in ENDS:
        await _end(store, session_id, expired_event(head), _LAPSED)


async def _delete(store: Store, session_id: str, head: Head) -> bool:
    event = SessionDeleted(
        user_id=head[b"user_id"].decode(), agent_id=head[b"agent_id"].decode(), created_ms=int(head[b"created_at"])
    )
    try:
        return await _end(store, session_id, event, LIVE, unheld=True)
    except SessionHeld:
        # It was placed since the head was read, which tells its reason by now.
        require_unheld(session_id, (await store.head(session_id))[0])
        raise


async def delete_many(store: Store, session_ids: Iterable[str]) -> int:
    """End many sessions, 64 at a time, and return how many this call ended.

    Raises:
        SessionsHeld: some are held; all others have ended.
    """
    ids = list(session_ids)
    count, held = 0, dict[str, Sequence[str]]()

    async def end(session_id: str) -> bool:
        try:
            return await delete(store, session_id)
        except SessionHeld as error:
            held[session_id] = error.reasons
            return False

    for start in range(0, len(ids), _PAGE):
        count += sum(await asyncio.gather(*map(end, ids[start : start + _PAGE])))
    if held:
        raise SessionsHeld(held, count)
    return count


async def sweep(store: Store) -> int:
    """End every session whose time is over, and return how many this call ended."""
    count = 0
    for partition in range(store.keys.partitions):
        async for ids in _lapsed(store, partition):
            count += await _end_lapsed(store, ids)
    return count


async def end_forgotten(store: Store, partition: int, most: int) -> int:
    """End sessions whose time was over a whole retention ago, and that nobody has swept since.

    Args:
        store: where they are kept.
        partition: which one.
        most: at most so many.

    Returns:
        How many this call ended.
    """
    if store.settings.retention is None:
        return 0
    forgotten = await store.now_ms() - int(store.settings.retention * 1000)
    key = store.keys.partition_place("directory", EXPIRY, partition)
    page = await store.server.call("ZRANGEBYSCORE", key, 0, forgotten, "LIMIT", 0, most)
    return await _end_lapsed(store, [member.decode(errors="replace") for member in page]) if page else 0


async def _end_lapsed(store: Store, session_ids: list[str]) -> int:
    heads, now = await store.heads(session_ids)
    over = [
        (session_id, head)
        for session_id, head in zip(session_ids, heads, strict=True)
        if head and head[b"state"] not in ENDS and end_of(head, now) == "expired"
    ]
    ends = (_end(store, session_id, expired_event(head), _LAPSED) for session_id, head in over)
    return sum(await asyncio.gather(*ends))


async def _lapsed(store: Store, partition: int) -> AsyncIterator[list[str]]:
    key = store.keys.partition_place("directory", EXPIRY, partition)
    seen: set[str] = set()
    passed = 0
    while True:
        now = await store.now_ms()
        page = await store.server.call("ZRANGEBYSCORE", key, 0, now, "LIMIT", passed, _PAGE)
        if not page:
            return
        fresh = [session_id for member in page if (session_id := member.decode(errors="replace")) not in seen]
        # What was ended has left the index; what stayed, because it was refreshed meanwhile, is passed over.
        passed += len(page) - len(fresh)
        seen.update(fresh)
        if fresh:
            yield fresh


async def _end(
    store: Store,
    session_id: str,
    event: SessionDeleted | SessionExpired,
    only: frozenset[Phase],
    *,
    unheld: bool = False,
) -> bool:
    try:
        await store.append(session_id, [event], only=only, unheld=unheld)
    except (SessionNotFound, NotPermittedInPhase):
        return False
    await forget_ended(store, session_id, event)
    return True


async def forget_ended(store: Store, session_id: str, event: SessionDeleted | SessionExpired) -> None:
    """Take a session that has just ended out of its user's list, and tell who wants to know."""
    for tell in store.endings:
        tell(session_id)
    # The session is over: an error now would say that it is not. Readers pass over the entry.
    with contextlib.suppress(SessionStreamError):
        await delist(store, event.user_id, session_id, event.created_ms)
