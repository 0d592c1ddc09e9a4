"""Sessions that nobody used for a while: marked idle, or ended when their time is over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NoReturn

from sessionstream.errors import (
    ConflictError,
    InvalidArgument,
    InvalidType,
    OutcomeUnknown,
    SessionNotFound,
    Unavailable,
)
from sessionstream.manager import SessionManager
from sessionstream.recipes.batches import each
from sessionstream.session import Session, SessionState

__all__ = ["cleanup_expired_sessions", "mark_idle", "monitor_session_activity"]

_HALF_AN_HOUR = timedelta(minutes=30)
_log = logging.getLogger(__name__)


async def mark_idle(manager: SessionManager, older_than: timedelta = _HALF_AN_HOUR) -> list[str]:
    """Set active sessions to IDLE whose metadata ``last_activity`` is too long ago.

    The mark loses against activity: a session to which anything was appended since it was looked at stays as it is.

    Args:
        manager: whose sessions.
        older_than: how long ago is too long.

    Returns:
        The ids of the sessions that this call marked. ``last_activity`` is ISO 8601; without a time zone it is the
        local time of this process, as ``datetime.now().isoformat()`` gives it. Sessions without one, or whose value is
        malformed, are passed over.
    """
    if not isinstance(older_than, timedelta):
        raise InvalidType(f"older_than is a timedelta, not a {type(older_than).__name__}")
    if older_than < timedelta(0):
        raise InvalidArgument(f"older_than is {older_than}, not 0 or more")
    now = datetime.now(UTC)
    idle = [session for session in await manager.get_all_active_sessions() if _idle_for(session, now) > older_than]
    done = await each(idle, lambda session: _mark(manager, session))
    return [session.session_id for session, marked in zip(idle, done, strict=True) if marked]


async def monitor_session_activity(manager: SessionManager) -> list[str]:
    """Set sessions to IDLE that nobody used for 30 minutes; see `mark_idle`."""
    return await mark_idle(manager)


async def cleanup_expired_sessions(
    manager: SessionManager, interval: float = 3600.0, report: Callable[[int], object] | None = None
) -> NoReturn:
    """End sessions whose time is over, again and again, until the task is cancelled.

    A server that is away is tried again at the next turn; that is logged.

    Args:
        manager: whose sessions.
        interval: seconds between two turns.
        report: called with the number of sessions that a turn ended.
    """
    while True:
        try:
            cleaned = await manager.cleanup_expired_sessions()
        except (Unavailable, OutcomeUnknown) as error:
            _log.warning("expired sessions were not cleaned up: %s", error)
        else:
            if report is not None:
                report(cleaned)
        await asyncio.sleep(interval)


def _idle_for(session: Session, now: datetime) -> timedelta:
    try:
        # A naive time is taken as local by astimezone.
        return now - datetime.fromisoformat(session.metadata["last_activity"]).astimezone(UTC)
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return timedelta.min


async def _mark(manager: SessionManager, session: Session) -> bool:
    try:
        return await manager.set_session_state(session.session_id, SessionState.IDLE, expected_version=session.version)
    except (ConflictError, SessionNotFound):
        return False
