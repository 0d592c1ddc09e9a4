"""What hangs on `SessionManager.audit`: every method delegates to the module that does it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from datetime import datetime
from pathlib import Path

from sessionstream.audit import as_of as moments
from sessionstream.audit.as_of import AsOf
from sessionstream.errors import IntegrityError
from sessionstream.events.recorded import RecordedEvent
from sessionstream.integrity import auditing, sealing, verifying
from sessionstream.integrity.auditing import anchor_of
from sessionstream.integrity.evidence import write_evidence
from sessionstream.integrity.keyring import Keyring
from sessionstream.integrity.reporting import Verification
from sessionstream.integrity.sealing import Sealed
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
            anchor: a file, which is written, or replaced, when all of them are sealed.
            refused: called with the error of a session that is not sealed any further, instead of raising.
        """
        path = None if anchor is None else Path(anchor)
        return auditing.seal_all(self._store, self._keyring(), session_ids, anchor=path, refused=refused)

    async def verify(
        self,
        session_id: str,
        *,
        anchor: Path | str | None = None,
        archived: AsyncIterator[RecordedEvent] | None = None,
    ) -> Verification:
        """Verify a session, and return what was found, and what could and could not be checked.

        Args:
            session_id: the session, ended or not.
            anchor: a file that `seal_all` wrote.
            archived: the events that are no more in the stream, from version 1 on.

        Raises:
            SessionNotFound: nothing is kept of such a session, and no anchor knows it.
            SealKeyMissing: there is no ``seal_key``.
            InvalidAnchor: the file is no anchor of this namespace, or was altered.
        """
        keyring = self._keyring()
        known = anchor_of(self._store, keyring, anchor)
        return await verifying.verify_session(self._store, keyring, session_id, anchor=known, archived=archived)

    def verify_all(
        self, session_ids: Iterable[str] | None = None, *, anchor: Path | str | None = None
    ) -> AsyncIterator[Verification]:
        """Verify sessions, one after the other, also those that only the anchor knows; see `verify`.

        Args:
            session_ids: which; None is every one.
            anchor: a file that `seal_all` wrote.
        """
        keyring = self._keyring()
        known = anchor_of(self._store, keyring, anchor)
        return auditing.verify_all(self._store, keyring, session_ids, anchor=known)

    async def evidence(
        self, session_id: str, file: Path | str, *, archived: AsyncIterator[RecordedEvent] | None = None
    ) -> int:
        """Write a session, its seals and its checkpoints into one file, and return how many events that are.

        Args:
            session_id: the session, ended or not.
            file: which appears when all of it is on the disk; `python -m sessionstream.integrity` verifies it.
            archived: the events that are no more in the stream, from version 1 on.

        Raises:
            SessionNotFound: nothing is kept of such a session.
            SealKeyMissing: there is no ``seal_key``.
            InvalidEvidence: the file cannot be written.
        """
        return await write_evidence(self._store, self._keyring(), session_id, Path(file), archived=archived)

    def _keyring(self) -> Keyring:
        return Keyring.of(self._store.settings)
