"""What hangs on `SessionManager.audit`: every method delegates to the module that does it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from types import EllipsisType
from typing import Any

from sessionstream.audit import as_of as known_then
from sessionstream.audit import causation
from sessionstream.audit import diff as differing
from sessionstream.audit import fork as forking
from sessionstream.audit.as_of import AsOf
from sessionstream.audit.causation import Trace
from sessionstream.audit.diff import Diff
from sessionstream.audit.moments import Moment
from sessionstream.errors import IntegrityError, InvalidArgument
from sessionstream.events.arguments import checked_path
from sessionstream.integrity import auditing, sealing, verifying
from sessionstream.integrity.auditing import anchor_of
from sessionstream.integrity.evidence import write_evidence
from sessionstream.integrity.keyring import Keyring
from sessionstream.integrity.reading import Archive
from sessionstream.integrity.reporting import Verification
from sessionstream.integrity.sealing import Sealed
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

    async def seal(self, session_id: str) -> Sealed:
        """Seal what a session has since its last seal, and return how far it is sealed.

        Raises:
            SessionNotFound: nothing is kept of such a session.
            SealKeyMissing: there is no ``seal_key``.
            HistoryAltered: or `SealKeyUnknown`: it is not sealed any further.
        """
        return await sealing.seal_session(self._store, self._keyring(), session_id)

    def seal_all(
        self,
        session_ids: Iterable[str] | None = None,
        *,
        anchor: Path | str | None = None,
        refused: Callable[[IntegrityError], None] | None = None,
    ) -> AsyncIterator[Sealed]:
        """Seal sessions, and yield how far each is sealed; see `sessionstream.integrity.auditing.seal_all`.

        Args:
            session_ids: which; None is every one that is kept.
            anchor: a file, which is written, or replaced, when all of them are sealed. A session that the one before
                tells to be rolled back is not sealed any further; that, and which are lost, the new one tells too.
            refused: called with the error of a session that is not sealed any further, or lost, instead of raising.
        """
        path = None if anchor is None else checked_path(anchor, "anchor")
        return auditing.seal_all(self._store, self._keyring(), session_ids, anchor=path, refused=refused)

    async def verify(
        self,
        session_id: str,
        *,
        anchor: Path | str | None = None,
        archived: Archive | None = None,
    ) -> Verification:
        """Verify a session, and return what was found, and what could and could not be checked.

        Args:
            session_id: the session, ended or not.
            anchor: a file that `seal_all` wrote.
            archived: gives a session's events that are no more in the stream, as ``retention.replay`` does:
                ``lambda session_id: manager.retention.replay(session_id, folder)``.

        Raises:
            SessionNotFound: nothing is kept of such a session, and no anchor knows it.
            SealKeyMissing: there is no ``seal_key``.
            InvalidAnchor: the file is no anchor of this namespace, or was altered.
        """
        keyring = self._keyring()
        known = anchor_of(self._store, keyring, anchor)
        return await verifying.verify_session(self._store, keyring, session_id, anchor=known, archived=archived)

    def verify_all(
        self,
        session_ids: Iterable[str] | None = None,
        *,
        anchor: Path | str | None = None,
        archived: Archive | None = None,
    ) -> AsyncIterator[Verification]:
        """Verify sessions, one after the other, also those that only the anchor knows; see `verify`.

        Args:
            session_ids: which; None is every one.
            anchor: a file that `seal_all` wrote.
            archived: as of `verify`.
        """
        keyring = self._keyring()
        known = anchor_of(self._store, keyring, anchor)
        return auditing.verify_all(self._store, keyring, session_ids, anchor=known, archived=archived)

    async def evidence(self, session_id: str, file: Path | str, *, archived: Archive | None = None) -> int:
        """Write a session, its seals and its checkpoints into one file, and return how many events that are.

        Args:
            session_id: the session, ended or not.
            file: which appears when all of it is on the disk; `python -m sessionstream.integrity` verifies it.
            archived: as of `verify`.

        Raises:
            SessionNotFound: nothing is kept of such a session.
            SealKeyMissing: there is no ``seal_key``.
            InvalidEvidence: the file cannot be written.
        """
        return await write_evidence(
            self._store, self._keyring(), session_id, checked_path(file, "file"), archived=archived
        )

    def _keyring(self) -> Keyring:
        return Keyring.of(self._store.settings)
