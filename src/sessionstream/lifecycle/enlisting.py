"""A session's place in its user's list, which lies in the user's own partition; see `sessionstream.directory.users`."""

from __future__ import annotations

from sessionstream.log.store import Store
from sessionstream.wire.scripts import load_script

__all__ = ["delist", "enlist", "enlist_at", "latest_score"]

_DELIST = load_script("sessionstream.lifecycle", "delist")
_ENLIST = load_script("sessionstream.lifecycle", "enlist")


async def enlist(store: Store, user_id: str, session_id: str) -> None:
    """Note a session that is about to be created in its user's list."""
    await store.server.script(_ENLIST, [store.keys.user(user_id)], [session_id])


async def enlist_at(store: Store, user_id: str, session_id: str, created_ms: int) -> None:
    """Note an existing session in its user's list, unless it is there: not for a removed one that had the same id."""
    await store.server.call("ZADD", store.keys.user(user_id), "GT", created_ms * 1000, session_id)


async def delist(store: Store, user_id: str, session_id: str, created_ms: int) -> None:
    """Take an ended session out of its user's list; a later one with the same id, should there be one, stays."""
    await store.server.script(_DELIST, [store.keys.user(user_id)], [session_id, latest_score(created_ms)])


def latest_score(created_ms: int) -> int:
    """Return the highest score that a session can have in its user's list: it is noted before it is created."""
    return created_ms * 1000 + 999
