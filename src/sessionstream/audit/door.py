"""What hangs on `SessionManager.audit`: every method delegates to the module that does it."""

from __future__ import annotations

from datetime import datetime

from sessionstream.audit import as_of as known_then
from sessionstream.audit.as_of import AsOf
from sessionstream.audit.moments import Moment
from sessionstream.errors import InvalidArgument
from sessionstream.log.history import checked_count, checked_time, parse_offset
from sessionstream.log.store import Store

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
