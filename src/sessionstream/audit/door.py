"""What hangs on `SessionManager.audit`: every method delegates to the module that does it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import EllipsisType
from typing import Any

from sessionstream.audit import as_of as known_then
from sessionstream.audit import diff as differing
from sessionstream.audit import fork as forking
from sessionstream.audit.as_of import AsOf
from sessionstream.audit.diff import Diff
from sessionstream.audit.moments import Moment
from sessionstream.errors import InvalidArgument
from sessionstream.log.history import checked_count, checked_time, parse_offset
from sessionstream.log.store import Store
from sessionstream.session import Session

__all__ = ["Audit"]


class Audit:
    """The auditor's door.

    Args:
        store: the namespace to look at.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def as_of(
        self,
        session_id: str,
        at: Moment | None = None,
        *,
        offset: str | None = None,
        version: int | None = None,
        time: datetime | None = None,
    ) -> AsOf:
        """Return a session as it was known at a moment, which is given in exactly one way.

        Args:
            session_id: the session, ended or not.
            at: a version, an offset or an aware datetime.
            offset: up to and with this offset.
            version: after so many events.
            time: an aware datetime; also tells whether the session was expired by then.

        Raises:
            SessionNotFound: there was no such session then.
            HistoryTrimmed: the events up to then are gone, and no base snapshot holds what they made.
            InvalidArgument: none or several of the four are given, the datetime is naive, or the session has not come
                to that version or offset.
        """
        given = [one for one in (at, offset, version, time) if one is not None]
        if len(given) != 1:
            raise InvalidArgument("give exactly one of at, offset, version and time")
        if offset is not None:
            parse_offset(offset)
        elif version is not None:
            checked_count(version, "version")
        elif time is not None:
            checked_time(time, "time")
        return await known_then.as_of(self._store, session_id, given[0])

    async def diff(self, session_id: str, a: Moment, b: Moment) -> Diff:
        """Return what changed in a session between two moments, field by field, with the events that did it.

        Args:
            session_id: the session, ended or not.
            a: the earlier moment: a version, an offset or an aware datetime.
            b: the later one, or the same.

        Raises:
            SessionNotFound: there was no such session at the first one.
            HistoryTrimmed: events that are needed are gone.
            InvalidArgument: the second one lies before the first, or one of them is no moment.
        """
        return await differing.diff(self._store, session_id, a, b)

    async def fork(
        self,
        session_id: str,
        *,
        at: Moment,
        new_session_id: str | None = None,
        user_id: str | None = None,
        agent_id: str | None = None,
        metadata: Mapping[str, Any] | EllipsisType | None = ...,
        ttl: float | EllipsisType | None = ...,
    ) -> Session:
        """Begin a new session as another one was at a moment, and return it.

        It has the state and the metadata of that moment, and its latest checkpoint, if the data of that is still kept.
        Nothing else is copied: its messages and what `resume` gives are read through to the origin. An origin that was
        over goes on ACTIVE in the fork.

        Args:
            session_id: the origin, ended or not.
            at: a version, an offset or an aware datetime.
            new_session_id: the fork's id; the same fork under the same id again gives the same session.
            user_id: whose it is, if not the origin's user's.
            agent_id: with which agent, if not the origin's.
            metadata: instead of the origin's.
            ttl: seconds until it expires, None for never; otherwise the origin's own time to live begins anew.

        Raises:
            SessionNotFound: there was no such session then.
            SessionExists: the new id is in use, or ended and still kept.
            IdempotencyConflict: it is that of another fork.
            HistoryTrimmed: events that are needed are gone.
            CorruptEvent: the checkpoint's data is not what was saved.
            InvalidArgument: that is no moment, or the origin comes from 32 forks itself.
        """
        wanted = forking.Wanted(new_session_id, user_id, agent_id, metadata, ttl)
        return await forking.fork(self._store, session_id, at, wanted)
