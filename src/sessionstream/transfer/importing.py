"""Importing recorded sessions: lines are read in their order, several sessions are written at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from types import EllipsisType

from sessionstream.errors import (
    AccessDenied,
    ConflictError,
    InvalidArgument,
    InvalidImportLine,
    SessionArchived,
    SessionExists,
    SessionNotFound,
)
from sessionstream.lifecycle.creating import milliseconds
from sessionstream.log.store import Store
from sessionstream.transfer.lines import LineReader, RecordedSession
from sessionstream.transfer.sources import checked_lines, pumped
from sessionstream.transfer.writing import Outcome, write_session

__all__ = ["Imported", "import_messages"]

# What is wrong with one line alone; anything else would befall the next line too.
_OF_A_LINE = (InvalidArgument, SessionNotFound, SessionArchived, SessionExists, ConflictError, AccessDenied)


@dataclass
class Imported:
    """What an import did, or has done so far.

    Attributes:
        lines: how many lines were read, empty ones aside.
        created: sessions that it made.
        extended: sessions that were there, to which it added messages.
        unchanged: sessions that had all their messages already.
        messages: how many messages it appended.
        kept_metadata: sessions that were there, and whose metadata, left as it was, is not what the line says.
        failures: the lines that did not go in, each with its number and the reason.
    """

    lines: int = 0
    created: int = 0
    extended: int = 0
    unchanged: int = 0
    messages: int = 0
    kept_metadata: int = 0
    failures: list[InvalidImportLine] = field(default_factory=list)

    def count(self, outcome: Outcome) -> None:
        """Add what became of one session."""
        self.messages += outcome.messages
        self.kept_metadata += outcome.kept_metadata
        if outcome.created:
            self.created += 1
        elif outcome.messages:
            self.extended += 1
        else:
            self.unchanged += 1


async def import_messages(
    store: Store,
    lines: Iterable[bytes | str],
    *,
    user_id: str = "imported",
    agent_id: str = "imported",
    id_keys: Sequence[str] = (),
    ttl: float | EllipsisType | None = ...,
    concurrency: int = 16,
    progress: Callable[[Imported], None] | None = None,
) -> Imported:
    """Make sessions of JSON lines, each an object with OpenAI-style ``messages``; its other keys become metadata.

    A line leads to the same session id whenever it is imported, and a session is given only the messages that it does
    not have yet: so the same lines again add nothing, and an import that was interrupted is completed by another.

    Args:
        store: where to.
        lines: a file opened for reading, or any lines; read in a thread.
        user_id: whose the sessions are whose lines have no ``user_id``.
        agent_id: with which agent, where a line has no ``agent_id``.
        id_keys: the keys of a line that make its session's id; see `LineReader`.
        ttl: seconds until a new session expires, instead of the setting; None does not expire.
        concurrency: how many sessions are written at a time.
        progress: called after each line with what was done so far.

    Raises:
        Unavailable: or `OutcomeUnknown`, `NamespaceMismatch`, `ServerError`: nothing more can be written. What was, is
            complete or will be completed by the next import of these lines.
    """
    checked_lines(lines)
    if isinstance(concurrency, bool) or not isinstance(concurrency, int) or concurrency < 1:
        raise InvalidArgument(f"concurrency is {concurrency!r}, not 1 or more")
    reader = LineReader(user_id, agent_id, id_keys, store.settings.max_event_bytes)
    ttl_ms = milliseconds(store.settings.ttl if ttl is ... else ttl, "ttl")
    work = _Import(store, ttl_ms, concurrency, progress or (lambda done: None))
    await work.run(lines, reader)
    return work.done


class _Import:
    def __init__(
        self, store: Store, ttl_ms: int | None, concurrency: int, progress: Callable[[Imported], None]
    ) -> None:
        self._store = store
        self._ttl_ms = ttl_ms
        self._progress = progress
        self._free = asyncio.Semaphore(concurrency)
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self.done = Imported()

    async def run(self, lines: Iterable[bytes | str], reader: LineReader) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                await self._read(lines, reader, group)
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None

    async def _read(self, lines: Iterable[bytes | str], reader: LineReader, group: asyncio.TaskGroup) -> None:
        number = 0
        try:
            async for text in pumped(lines):
                number += 1
                try:
                    session = reader.read(number, text)
                except InvalidImportLine as error:
                    self._failed(error)
                else:
                    if session is not None:
                        await self._begin(session, group)
        except InvalidImportLine as error:  # the source itself is damaged: there is no line after this one
            self._failed(error)

    async def _begin(self, session: RecordedSession, group: asyncio.TaskGroup) -> None:
        before = self._under_way.get(session.session_id)
        if before is not None:
            await asyncio.wait([before])
        await self._free.acquire()
        self._under_way[session.session_id] = group.create_task(self._write(session))

    async def _write(self, session: RecordedSession) -> None:
        try:
            outcome = await write_session(self._store, session, self._ttl_ms)
        except _OF_A_LINE as error:
            self._failed(InvalidImportLine(session.line, str(error)))
        else:
            self.done.lines += 1
            self.done.count(outcome)
            self._progress(self.done)
        finally:
            self._free.release()
            self._under_way.pop(session.session_id, None)

    def _failed(self, error: InvalidImportLine) -> None:
        self.done.lines += 1
        self.done.failures.append(error)
        self._progress(self.done)
