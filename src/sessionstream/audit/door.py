"""What hangs on `SessionManager.audit`: every method delegates to the module that does it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sessionstream.audit import as_of as moments
from sessionstream.audit import causation
from sessionstream.audit.as_of import AsOf
from sessionstream.audit.causation import Trace
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

    async def trace(
        self,
        session_id: str,
        *,
        event: str | None = None,
        correlation_id: str | None = None,
        among: Iterable[str] = (),
        everywhere: bool = False,
    ) -> Trace:
        """Return a tree of what led to what in a session, by the causation ids of its events.

        Args:
            session_id: the session, ended or not.
            event: the id or the offset of an event: only what led to it, and what it led to.
            correlation_id: only events that belong to this.
            among: further sessions in which causes and effects may lie.
            everywhere: look at every session that is kept, for events of the correlation. No index tells where these
                are: all events of the namespace are read.

        Raises:
            SessionNotFound: nothing is kept of the session.
            InvalidArgument: there is no such event, or ``everywhere`` comes without a correlation.
        """
        return await causation.trace(
            self._store,
            session_id,
            event=event,
            correlation_id=correlation_id,
            among=among,
            everywhere=everywhere,
        )
