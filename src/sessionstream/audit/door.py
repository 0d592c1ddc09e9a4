"""What hangs on `SessionManager.audit`: every method delegates to the module that does it."""

from __future__ import annotations

from datetime import datetime

from sessionstream.audit import as_of as moments
from sessionstream.audit.as_of import AsOf
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
        *,
        offset: str | None = None,
        version: int | None = None,
        time: datetime | None = None,
    ) -> AsOf:
        """Return a session as it was known at a moment, which is given in exactly one way.

        Args:
            session_id: the session, ended or not.
            offset: up to and with this offset.
            version: after so many events.
            time: an aware datetime; also tells whether the session was expired by then.

        Raises:
            SessionNotFound: there was no such session then.
            InvalidArgument: none or several of the three are given, the datetime is naive, or there is no such version.
        """
        return await moments.as_of(self._store, session_id, offset=offset, version=version, time=time)
