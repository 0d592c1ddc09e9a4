"""A user's sessions: one list in the user's own partition.

A session and its user lie in different partitions, so no script can write both. The list is written before the session
exists; readers ask the session itself, pass over what is not the user's or not alive, and forget such an entry only
when it is older than an hour.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from sessionstream.errors import AuthenticationFailed, ServerReadOnly, SessionNotFound
from sessionstream.events.ids import checked_id
from sessionstream.events.stored import reading_stored
from sessionstream.lifecycle.enlisting import delist, latest_score
from sessionstream.lifecycle.reading import live_session
from sessionstream.log.history import checked_count
from sessionstream.log.store import Store
from sessionstream.session import Session

__all__ = ["sessions_of_user"]

_PAGE = 100
_HOUR_MS = 3_600_000


async def sessions_of_user(
    store: Store, user_id: str, *, limit: int | None = None, after: Session | str | None = None
) -> AsyncIterator[Session]:
    """Yield a user's sessions that are not over, newest first.

    Args:
        store: where they are kept.
        user_id: whose.
        limit: at most so many.
        after: a session, or its id; only older ones.

    Raises:
        SessionNotFound: nothing is known of the session ``after``.
    """
    key = store.keys.user(checked_id(user_id, "user_id"))
    left = None if limit is None else checked_count(limit, "limit")
    last = None if after is None else (await _score_of(store, key, after), _id_of(after).encode())
    size = _PAGE
    while left is None or left > 0:
        highest = "+inf" if last is None else last[0]
        page = await store.server.call("ZRANGE", key, highest, 0, "BYSCORE", "REV", "LIMIT", 0, size, "WITHSCORES")
        with reading_stored(f"the list of user {user_id!r}"):
            entries = [(int(float(score)), member) for member, score in zip(page[::2], page[1::2], strict=True)]
            ids = {member: member.decode() for _, member in entries}
        # A page begins with the score where the one before ended, so some of it may have been seen.
        fresh = [entry for entry in entries if last is None or entry < last]
        heads, now = await store.heads([ids[member] for _, member in fresh])
        for (score, member), head in zip(fresh, heads, strict=True):
            session = live_session(ids[member], head, now)
            if session is not None and session.user_id == user_id:
                yield session
                left = None if left is None else left - 1
                if left == 0:
                    return
            elif score // 1000 < now - _HOUR_MS:
                # Who may only read leaves it to others.
                with contextlib.suppress(AuthenticationFailed, ServerReadOnly):
                    await delist(store, user_id, ids[member], score // 1000)
        if len(entries) < size:
            return
        last, size = (fresh[-1], _PAGE) if fresh else (last, size * 2)


def _id_of(session: Session | str) -> str:
    return session.session_id if isinstance(session, Session) else checked_id(session, "after")


async def _score_of(store: Store, key: str, after: Session | str) -> int:
    session_id = _id_of(after)
    score = await store.server.call("ZSCORE", key, session_id)
    if score is not None:
        with reading_stored("a score of a user's list", session_id):
            return int(float(score))
    # It has ended and left the list, and with it went its microsecond: rather one twice than one that is passed over.
    if isinstance(after, Session):
        return latest_score(round(after.created_at.timestamp() * 1000))
    head, _ = await store.head(session_id)
    if b"created_at" not in head:
        raise SessionNotFound(session_id)
    return latest_score(int(head[b"created_at"]))
