"""Who may use a session, and what is in the store: the two smallest recipes."""

from __future__ import annotations

import asyncio
from typing import Any

from sessionstream.errors import AccessDenied, SessionNotFound
from sessionstream.manager import SessionManager
from sessionstream.session import Session

__all__ = ["get_session_stats", "validate_session_access"]


async def get_session_stats(manager: SessionManager) -> dict[str, Any]:
    """Return how many sessions there are and how long the ended ones lasted.

    Returns:
        ``total_sessions``, ``active_sessions`` and ``expired_sessions``, each a count, and ``avg_session_duration`` in
        seconds.
    """
    total, active, expired, duration = await asyncio.gather(
        manager.get_total_session_count(),
        manager.get_active_session_count(),
        manager.get_expired_session_count(),
        manager.get_avg_session_duration(),
    )
    return {
        "total_sessions": total,
        "active_sessions": active,
        "expired_sessions": expired,
        "avg_session_duration": duration,
    }


async def validate_session_access(manager: SessionManager, session_id: str, user_id: str) -> Session:
    """Return a session if it is the user's.

    Raises:
        SessionNotFound: it is unknown, expired or deleted; a ValueError.
        AccessDenied: it is somebody else's; a PermissionError.
    """
    session = await manager.get_session(session_id)
    if session is None:
        raise SessionNotFound(session_id)
    if session.user_id != user_id:
        raise AccessDenied(session_id, user_id)
    return session
