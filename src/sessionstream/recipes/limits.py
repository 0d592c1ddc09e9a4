"""How many sessions a user may have at once."""

from __future__ import annotations

from sessionstream.errors import InvalidArgument, InvalidType, LockError, SessionHeld, SessionNotFound
from sessionstream.manager import SessionManager
from sessionstream.recipes.batches import each

__all__ = ["enforce_session_limit"]

_GRACE = 0.5


async def enforce_session_limit(manager: SessionManager, user_id: str, max_sessions: int = 5) -> list[str]:
    """Delete a user's oldest sessions until at most ``max_sessions`` remain; a locked one is never deleted.

    Each is deleted under its own lock, so that nobody can acquire it in between. If more than ``max_sessions`` are
    locked, more remain.

    Args:
        manager: whose sessions.
        user_id: whose.
        max_sessions: how many may remain; one less, before a session is created, makes room for it.

    Returns:
        The ids of the sessions that this call deleted, oldest first.
    """
    if isinstance(max_sessions, bool) or not isinstance(max_sessions, int):
        raise InvalidType(f"max_sessions is an int, not a {type(max_sessions).__name__}")
    if max_sessions < 0:
        raise InvalidArgument(f"max_sessions is {max_sessions}, not 0 or more")
    deleted: list[str] = []
    locked: set[str] = set()
    while True:
        ids = [session.session_id for session in reversed(await manager.get_sessions_by_user(user_id))]
        excess = len(ids) - max_sessions
        rest = [session_id for session_id in ids if session_id not in locked]
        if excess <= 0 or not rest:
            return deleted
        while excess > 0 and rest:
            batch, rest = rest[:excess], rest[excess:]
            outcomes = await each(batch, lambda session_id: _delete_unlocked(manager, session_id))
            for session_id, gone in zip(batch, outcomes, strict=True):
                if gone is None:
                    locked.add(session_id)
                    continue
                excess -= 1
                if gone:
                    deleted.append(session_id)


async def _delete_unlocked(manager: SessionManager, session_id: str) -> bool | None:
    """Return whether this call deleted the session, which is gone either way; None if it is locked or held.

    Another call of the same kind holds the lock for a moment too, and must not be taken for its owner.
    """
    gone: bool | None = None
    try:
        async with manager.lock(session_id, timeout=_GRACE):
            gone = await manager.delete_session(session_id)
    except SessionNotFound:
        return gone is True
    except (LockError, SessionHeld):
        pass
    return gone
