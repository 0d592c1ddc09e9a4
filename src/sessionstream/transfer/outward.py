"""An export of any size into an outlet, which goes on where an interrupted one stopped."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from sessionstream.errors import (
    InvalidArgument,
    InvalidType,
    NamespaceMismatch,
    OutcomeUnknown,
    ServerError,
    SessionNotFound,
    SessionStreamError,
    Unavailable,
)
from sessionstream.events.recorded import version_of
from sessionstream.log.history import Window, checked_time
from sessionstream.log.store import Store
from sessionstream.session import Session
from sessionstream.transfer.choosing import Choice, Kept, candidate_count, chosen_sessions, kept_session
from sessionstream.transfer.cursor import Cursor, digest
from sessionstream.transfer.histories import first_are_gone
from sessionstream.transfer.outlets import LineFile, Outlet, part_of
from sessionstream.transfer.shapes import SHAPES, Item

__all__ = ["Exported", "Progressing", "Wanted", "expected_sessions", "export_into", "export_to_file"]

_SAVE_BYTES = 8 * 1024 * 1024
_SAVE_SECONDS = 1.0
# What would befall the next session too.
_OF_ALL_SESSIONS = (InvalidArgument, Unavailable, OutcomeUnknown, ServerError, NamespaceMismatch)


class Wanted(NamedTuple):
    """What is exported.

    Attributes:
        shape: ``messages``, ``events``, ``cloudevents`` or ``parquet``.
        session_ids: these sessions, in this order; None is those of the choice, in the order of their creation.
        choice: which sessions.
        since: only sessions that have events from this moment on, and only these events of them; of ``messages`` all.
        until: the same, up to this moment.
        with_ids: whether a line of messages also says ``session_id``, ``user_id`` and ``agent_id``.
        range_as_written: what tells this range from another one; by default its moments.
    """

    shape: str = "messages"
    session_ids: Sequence[str] | None = None
    choice: Choice = Choice()
    since: datetime | None = None
    until: datetime | None = None
    with_ids: bool = False
    range_as_written: Sequence[str | None] | None = None

    @property
    def identity(self) -> list[Any]:
        """What tells this export from another."""
        written = self.range_as_written or [
            None if one is None else one.isoformat() for one in (self.since, self.until)
        ]
        return [self.shape, self.session_ids, list(self.choice), list(written), self.with_ids]


@dataclass
class Exported:
    """What an export has written, this call and those before that it goes on from.

    Attributes:
        sessions: of how many sessions.
        items: how many lines, or rows.
        missing: sessions that were named and are not there, or were removed while they were written.
        cut: sessions whose oldest events are asked for and were removed, all that are asked for maybe.
        failures: the other sessions that could not be read to their end, each with the reason.
        resumed: whether an earlier call had begun.
    """

    sessions: int = 0
    items: int = 0
    missing: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)
    resumed: bool = False


def _done_of(at: Cursor) -> Exported:
    """Return what a cursor tells; what is added to its lists the cursor tells too."""
    return Exported(at.sessions, at.items, at.missing, at.cut, at.failures)


def _created_ms(session: Session) -> int:
    return round(session.created_at.timestamp() * 1000)


Progressing = Callable[[Exported, float], None]


async def expected_sessions(store: Store, wanted: Wanted) -> int:
    """Return how many sessions an export will look at, about; for a progress bar."""
    if wanted.session_ids is not None:
        return len(wanted.session_ids)
    return await candidate_count(store, wanted.choice)


async def export_to_file(
    store: Store,
    path: str | os.PathLike[str],
    wanted: Wanted,
    *,
    cursor: str | os.PathLike[str] | None = None,
    progress: Progressing | None = None,
) -> Exported:
    """Export into a file, which appears under its name when it is whole.

    Args:
        store: where the sessions are kept.
        path: the file; packed if it ends in ``.gz``, unless it is parquet.
        wanted: what to export.
        cursor: the file that tells how far the export has come. What was written stays there, under the file's name and
            ``.part``, when the call is interrupted or killed; the same call then goes on. It is gone in the end.
        progress: called now and then with what was done so far, and how many sessions were passed.

    Raises:
        InvalidArgument: the file cannot be written, the cursor is that of another export, or pyarrow is missing.
    """
    _check(wanted)
    cursor = None if cursor is None else Path(cursor)
    path = _checked_place(Path(path), cursor)
    begun = None if cursor is None else Cursor.begun(cursor, store.keys.namespace, wanted.identity)
    if cursor is not None and begun is not None and _is_in_place(path, begun):
        # The process died before it had removed the cursor.
        Cursor.remove(cursor)
        return replace(_done_of(begun), resumed=True)
    with _outlet(path, wanted.shape, begun, resumable=cursor is not None) as outlet:
        return await export_into(store, outlet, wanted, cursor=cursor, begun=begun, progress=progress)


def _check(wanted: Wanted) -> None:
    if wanted.shape not in SHAPES:
        raise InvalidArgument(f"{wanted.shape!r} is no shape of an export: {', '.join(SHAPES)}")
    if isinstance(wanted.session_ids, str | bytes):
        raise InvalidType(f"session_ids is a list of ids, not {wanted.session_ids!r}")
    for name in ("since", "until"):
        if (moment := getattr(wanted, name)) is not None:
            checked_time(moment, name)


def _checked_place(path: Path, cursor: Path | None) -> Path:
    """Return where the file will be: a link leads there. What is in its place is replaced, so it has to be a file."""
    path = path.resolve() if path.is_symlink() else path
    if not path.name or (path.exists() and not path.is_file()):
        raise InvalidArgument(f"{path}: it is there, and is no file")
    if cursor is not None and cursor.resolve() in (path.resolve(), part_of(path, resumable=True).resolve()):
        raise InvalidArgument(f"{cursor}: the cursor's file would be the export's own: give it another name")
    return path


def _is_in_place(path: Path, begun: Cursor) -> bool:
    return begun.complete and not part_of(path, resumable=True).exists()


def _outlet(path: Path, shape: str, begun: Cursor | None, *, resumable: bool) -> Any:
    resumed = begun.size if begun is not None else None
    if shape == "parquet":
        from sessionstream.transfer.parquet import ParquetFile

        return ParquetFile(path, resumed=resumed, resumable=resumable)
    return LineFile(path, resumed=resumed, resumable=resumable)


async def export_into(
    store: Store,
    outlet: Outlet,
    wanted: Wanted,
    *,
    cursor: Path | None = None,
    begun: Cursor | None = None,
    progress: Progressing | None = None,
) -> Exported:
    """Export into an outlet, and finish it; see `export_to_file`.

    Args:
        store: where the sessions are kept.
        outlet: takes the items.
        wanted: what to export.
        cursor: the file to note in how far the export has come.
        begun: what that file told.
        progress: called now and then.
    """
    _check(wanted)
    at = begun or Cursor(store.keys.namespace, digest(wanted.identity), wanted.since, wanted.until)
    work = _Export(store, outlet, wanted, cursor, at, progress or (lambda done, passed: None))
    work.done.resumed = begun is not None
    if not at.complete:
        try:
            await work.run()
        except (asyncio.CancelledError, SessionStreamError) as error:
            # What the disk refuses may have left half a line, so the position before it is the one that holds.
            if not isinstance(error, InvalidArgument):
                work.save()
            raise
        at.complete = True
        work.save()
    outlet.finish()
    if cursor is not None:
        Cursor.remove(cursor)
    return work.done


class _Export:
    def __init__(
        self, store: Store, outlet: Outlet, wanted: Wanted, cursor: Path | None, at: Cursor, progress: Progressing
    ) -> None:
        self._store = store
        self._outlet = outlet
        self._wanted = wanted
        self._cursor = cursor
        self._at = at
        self._progress = progress
        self._saved = time.monotonic()
        self.done = _done_of(at)

    async def run(self) -> None:
        passed = self._at.sessions
        async for kept, after in self._sessions():
            offset: str | None = after
            try:
                async for item in self._items(kept, after):
                    self._write(kept, item)
                    offset = item.offset
                    share = 0.0 if offset is None else version_of(offset) / max(1, kept.session.version)
                    self._progress(self.done, passed + min(1.0, share))
            except SessionNotFound:  # it was removed just now
                if offset is not None or self._wanted.session_ids is not None:
                    self.done.missing.append(kept.session.session_id)
            except _OF_ALL_SESSIONS:
                raise
            except SessionStreamError as error:
                self.done.failures.append((kept.session.session_id, str(error)))
            passed += 1
            self._pass(kept.session.session_id, kept.session)

    async def _items(self, kept: Kept, after: str | None) -> AsyncIterator[Item]:
        session, at = kept.session, self._at
        if at.since is not None and session.last_event_at is not None and session.last_event_at < at.since:
            return
        if at.until is not None and session.created_at > at.until:
            return
        window = Window(after=after, since=at.since, until=at.until)
        if after is None and self._wanted.shape != "messages" and first_are_gone(session, window):
            self._cut(session.session_id)
        items = SHAPES[self._wanted.shape](self._store, session, window, self._wanted.with_ids)
        async for item in items:
            yield item

    async def _sessions(self) -> AsyncIterator[tuple[Kept, str | None]]:
        """Yield the sessions that are left, each with the event behind which it goes on."""
        at, ids = self._at, self._wanted.session_ids
        written = at.session_id
        if written is not None and at.offset is not None:
            kept = await kept_session(self._store, written)
            # One that was made anew since, under the same id, comes in its own place.
            if kept is None or _created_ms(kept.session) != at.created_ms:
                self.done.missing.append(written)
                at.offset = None
            else:
                yield kept, at.offset
        if ids is None:
            after = None if written is None else (at.created_ms, written)
            async for kept in chosen_sessions(self._store, self._wanted.choice, after=after):
                yield kept, None
            return
        left = list(dict.fromkeys(ids))
        for session_id in left[left.index(written) + 1 if written is not None else 0 :]:
            kept = await kept_session(self._store, session_id)
            if kept is None:
                self.done.missing.append(session_id)
                self._pass(session_id)
            else:
                yield kept, None

    def _write(self, kept: Kept, item: Item) -> None:
        session, at = kept.session, self._at
        # The item first: where taking it fails, the position is still the one before it.
        self._outlet.write(item.value)
        if at.session_id != session.session_id:
            self.done.sessions += 1
            if at.since is None and item.offset is not None and version_of(item.offset) > 1:
                self._cut(session.session_id)
        self.done.items += 1
        self._pass(session.session_id, session)
        at.offset = None if item.last else item.offset
        at.sessions, at.items = self.done.sessions, self.done.items
        if self._cursor is not None and (
            self._outlet.pending >= _SAVE_BYTES or time.monotonic() - self._saved >= _SAVE_SECONDS
        ):
            self.save()

    def _cut(self, session_id: str) -> None:
        if self.done.cut[-1:] != [session_id]:
            self.done.cut.append(session_id)

    def _pass(self, session_id: str, session: Session | None = None) -> None:
        """Go on behind a session; one that was named need not be there."""
        self._at.session_id, self._at.offset = session_id, None
        self._at.created_ms = 0 if session is None else _created_ms(session)

    def save(self) -> None:
        """Note how far the export has come, when what was written up to there stays."""
        if self._cursor is not None:
            self._at.size = self._outlet.save()
            self._at.save(self._cursor)
        self._saved = time.monotonic()
