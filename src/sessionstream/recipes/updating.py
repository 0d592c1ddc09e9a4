"""Reading, changing and writing a session while nobody else does."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from sessionstream.errors import InvalidType
from sessionstream.lifecycle.reading import require_live, session_from
from sessionstream.manager import SessionManager
from sessionstream.session import Session

__all__ = ["safe_session_update"]

Update = Callable[[Session], Session] | Callable[[Session], Awaitable[Session]]


async def safe_session_update(
    manager: SessionManager, session_id: str, update_func: Update, **lock_options: Any
) -> Session:
    """Change a session under its lock, and return it as it is then.

    Every write until the lock is released is fenced: if the lock was lost meanwhile, it is refused. What
    ``update_func`` raises goes on as it is, and nothing is written.

    Args:
        manager: whose session.
        session_id: the session.
        update_func: takes the session as it is now, not as a cache has it, and returns it changed; may be async.
        lock_options: ``timeout``, ``lease`` and ``max_hold``; see `SessionManager.lock`.

    Raises:
        SessionNotFound: it is unknown; or `SessionEnded`.
        LockTimeout: somebody else held the lock all the time.
        LockLost: the lock was lost; nothing was written since.
        InvalidType: ``update_func`` returned no session.
    """
    if not callable(update_func):
        raise InvalidType(f"update_func is a function, not a {type(update_func).__name__}")
    async with manager.lock(session_id, **lock_options):
        head, now = await manager.store.head(session_id)
        require_live(session_id, head, now)
        updated: Any = update_func(session_from(session_id, head))
        if inspect.isawaitable(updated):
            updated = await updated
        await manager.update_session(session_id, updated)
        assert isinstance(updated, Session)
        return updated
