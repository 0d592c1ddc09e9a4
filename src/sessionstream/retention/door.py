"""What hangs on `SessionManager.retention`: every method delegates to the module that does it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

from sessionstream.events.recorded import RecordedEvent
from sessionstream.log.store import Store
from sessionstream.retention import holds as holding
from sessionstream.retention.archiving import Extent
from sessionstream.retention.holds import Hold
from sessionstream.retention.keeping import Archived, archive
from sessionstream.retention.last_checkpoints import keep_last
from sessionstream.retention.places import checked_folder
from sessionstream.retention.replaying import replay

__all__ = ["Retention"]


class Retention:
    """The door to what is kept.

    Args:
        store: the namespace.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def hold(self, session_id: str, reason: str, *, hold_id: str | None = None) -> str:
        """Keep all of a session until the hold is released, whatever asks for its removal; return the hold's id.

        Args:
            session_id: the session, ended or not.
            reason: why, in up to 1,000 characters.
            hold_id: the caller's own id for the hold, with which it may be placed again; otherwise a new one.

        Raises:
            SessionNotFound: there is no such session.
            InvalidArgument: a hold of this id stands for another reason.
        """
        return await holding.hold(self._store, session_id, reason, hold_id)

    async def release(self, session_id: str, hold_id: str) -> bool:
        """Release a hold; False if no such hold stands. The others go on standing."""
        return await holding.release(self._store, session_id, hold_id)

    async def holds(self, session_id: str | None = None) -> list[Hold]:
        """Return the holds that stand on a session, or on all; the oldest first."""
        if session_id is None:
            return await holding.holds_of_all(self._store)
        return await holding.holds_of(self._store, session_id)

    async def archive(
        self,
        session_id: str,
        folder: str | os.PathLike[str],
        *,
        upto: str | None = None,
        keep_events: int = 0,
        older_than: datetime | timedelta | None = None,
        compress: bool = True,
    ) -> Archived:
        """Write a session's events to files, read these back, and compare them with the stream; nothing is removed.

        The archive of an ended session, if it is to hold all of it, holds the data of its checkpoints too.

        What an archive in this folder has already is not written again. The extent is all of the session, as far as
        everything allows that is given of the following.

        Args:
            session_id: the session, ended or not.
            folder: of the archive; made if it is not there.
            upto: up to and with this offset.
            keep_events: not the newest so many.
            older_than: only what is from before this moment, or older than so long by the server's clock.
            compress: whether new files are gzipped.

        Raises:
            ArchiveFailed: a file could not be written or read.
            ArchiveDamaged: a file is damaged, or does not hold what the stream does.
            SessionNotFound: there is no such session.
        """
        extent = Extent(upto, keep_events, older_than)
        where = checked_folder(folder)
        return await archive(self._store, session_id, where, extent, compress=compress, trimming=False)

    async def trim(
        self,
        session_id: str,
        folder: str | os.PathLike[str],
        *,
        upto: str | None = None,
        keep_events: int = 0,
        older_than: datetime | timedelta | None = None,
        compress: bool = True,
    ) -> Archived:
        """Archive a session's events, then remove from its stream those that the archive is seen to hold.

        Never past what the oldest checkpoint covers, nor what the slowest consumer group has handled; the result says
        what it stopped at. The arguments are those of `archive`. One that was not finished may be called again.

        Raises:
            SessionHeld: a hold stands.
            ArchiveFailed: or `ArchiveDamaged`: nothing was trimmed of what the file was to hold.
            SessionNotFound: there is no such session.
        """
        extent = Extent(upto, keep_events, older_than)
        where = checked_folder(folder)
        return await archive(self._store, session_id, where, extent, compress=compress, trimming=True)

    def replay(self, session_id: str, folder: str | os.PathLike[str]) -> AsyncIterator[RecordedEvent]:
        """Yield all events of a session, from its archive and then from its stream, without a seam.

        Each file is checked as a whole before any of its events is given. A session that was removed is replayed from
        the archive alone.

        Args:
            session_id: the session.
            folder: of the archive.

        Raises:
            SessionNotFound: there is no such session, in the store or in the archive.
            ArchiveDamaged: a file is damaged, or is none of those that were written, or events are in neither.
        """
        return replay(self._store, session_id, checked_folder(folder))

    async def keep_checkpoints(self, session_id: str, last: int) -> int:
        """Delete a session's checkpoints but for the last so many without a label; return how many were deleted.

        Those that have a label all stay. The setting ``keep_checkpoints`` does the same after each that is saved.

        Args:
            session_id: the session, ended or not.
            last: how many, from 1.

        Raises:
            SessionNotFound: there is no such session.
            SessionHeld: a hold stands.
        """
        return await keep_last(self._store, session_id, last)
