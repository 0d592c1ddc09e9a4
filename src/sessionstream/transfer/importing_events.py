"""Importing an export of events: every session with its offsets, times and ids as they were."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from sessionstream.errors import InvalidArgument, InvalidImportLine
from sessionstream.log.store import Store
from sessionstream.transfer.event_lines import EventLine, read_line, session_named
from sessionstream.transfer.restoring import Outcome, Restoring, ServerClock
from sessionstream.transfer.sources import checked_lines, pumped
from sessionstream.transfer.staging import MOST_BYTES, MOST_EVENTS

__all__ = ["Restored", "import_events"]

_BATCH = 128
_BATCHES_AHEAD = 4
_BOM = b"\xef\xbb\xbf"


@dataclass
class Restored:
    """What an import of events did, or has done so far.

    Attributes:
        lines: how many lines were read, empty ones aside.
        created: sessions that it made.
        unchanged: sessions that were there already, with all these events.
        events: how many events the sessions have that it made.
        checkpoints: how many bodies of checkpoints came with them.
        bodiless: checkpoints of these sessions whose bodies the export did not have; each as session and checkpoint.
        failures: what did not go in: for each refused session one line, with its number and the reason.
    """

    lines: int = 0
    created: int = 0
    unchanged: int = 0
    events: int = 0
    checkpoints: int = 0
    bodiless: list[tuple[str, str]] = field(default_factory=list)
    failures: list[InvalidImportLine] = field(default_factory=list)

    def count(self, session_id: str, outcome: Outcome) -> None:
        """Add what became of one session."""
        self.bodiless += [(session_id, checkpoint_id) for checkpoint_id in outcome.bodiless]
        self.checkpoints += outcome.checkpoints
        self.created += outcome.created
        self.unchanged += not outcome.created
        self.events += outcome.events if outcome.created else 0


async def import_events(
    store: Store,
    lines: Iterable[bytes | str],
    *,
    concurrency: int = 16,
    progress: Callable[[Restored], None] | None = None,
) -> Restored:
    """Bring back the sessions of an export of events, each in one step, and none that is there already.

    A session is there whole or not at all, so an import that was interrupted is completed by the same import again.
    Other sessions than a refused one go in.

    Args:
        store: where to.
        lines: a file opened for reading, or any lines; read in a thread. Those of a session follow each other.
        concurrency: how many sessions are written at a time, as far as each fits into one call.
        progress: called now and then with what was done so far.

    Raises:
        Unavailable: or `OutcomeUnknown`, `NamespaceMismatch`, `ServerError`: nothing more can be written.
    """
    checked_lines(lines)
    if isinstance(concurrency, bool) or not isinstance(concurrency, int) or concurrency < 1:
        raise InvalidArgument(f"concurrency is {concurrency!r}, not 1 or more")
    work = _Import(store, concurrency, progress or (lambda done: None))
    await work.run(lines)
    return work.done


class _Import:
    def __init__(self, store: Store, concurrency: int, progress: Callable[[Restored], None]) -> None:
        self._store = store
        self._progress = progress
        self._clock = ServerClock(store)
        self._free = asyncio.Semaphore(concurrency)
        self._group = asyncio.TaskGroup()
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._session_id: str | None = None
        self._piece: list[EventLine] = []
        self._size = 0
        self._open: Restoring | None = None
        self._refused = False
        self.done = Restored()

    async def run(self, lines: Iterable[bytes | str]) -> None:
        try:
            async with self._group:
                try:
                    await self._read(lines)
                    await self._end_session()
                finally:
                    await self._close()
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None

    async def _read(self, lines: Iterable[bytes | str]) -> None:
        number = 0
        try:
            async for batch in pumped(_batches(lines), _BATCHES_AHEAD):
                for text in batch:
                    number += 1
                    raw = (text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text).strip()
                    if number == 1:
                        raw = raw.removeprefix(_BOM)
                    if raw:
                        self.done.lines += 1
                        await self._line(number, raw)
        except InvalidImportLine as error:  # the source itself is damaged: there is no line after this one
            await self._malformed(error)

    async def _line(self, number: int, raw: bytes) -> None:
        try:
            line = read_line(number, raw)
        except InvalidArgument as error:
            await self._turn_to(session_named(raw) or self._session_id)
            await self._malformed(InvalidImportLine(number, str(error)))
            return
        await self._turn_to(line.event.session_id)
        if len(self._piece) == MOST_EVENTS or (self._piece and self._size + line.size > MOST_BYTES):
            await self._write_piece()
        if not self._refused:
            self._piece.append(line)
            self._size += line.size

    async def _turn_to(self, session_id: str | None) -> None:
        if session_id != self._session_id:
            await self._end_session()
            self._session_id, self._refused = session_id, False

    async def _malformed(self, error: InvalidImportLine) -> None:
        """A line that tells of no event counts as one of the session that is being read, unless that is complete."""
        if self._refused or (self._piece and self._piece[-1].last):
            self._failed(error)
        else:
            await self._refuse(error)

    async def _write_piece(self) -> None:
        piece, self._piece, self._size = self._piece, [], 0
        if self._open is None:
            await self._previous(piece[0].event.session_id)
            self._open = Restoring(self._store, piece[0].event.session_id, self._clock)
        try:
            await self._open.take(piece)
            self._progress(self.done)
        except InvalidImportLine as error:
            await self._refuse(error)

    async def _end_session(self) -> None:
        """Write what is left of the session whose lines were read; one that is a single piece beside others."""
        if self._open is None and self._piece:
            piece, self._piece, self._size = self._piece, [], 0
            session_id = piece[0].event.session_id
            await self._previous(session_id)
            await self._free.acquire()
            self._under_way[session_id] = self._group.create_task(self._write_whole(session_id, piece))
            return
        if self._piece:
            await self._write_piece()
        if self._open is not None:
            try:
                self._succeeded(str(self._session_id), await self._open.finish())
            except InvalidImportLine as error:
                await self._refuse(error)
            self._open = None

    async def _write_whole(self, session_id: str, piece: list[EventLine]) -> None:
        restoring = Restoring(self._store, session_id, self._clock)
        try:
            await restoring.take(piece)
            self._succeeded(session_id, await restoring.finish())
        except InvalidImportLine as error:
            await restoring.drop()
            self._failed(error)
        except BaseException:
            await restoring.drop()
            raise
        finally:
            self._free.release()
            self._under_way.pop(session_id, None)

    async def _previous(self, session_id: str) -> None:
        before = self._under_way.get(session_id)
        if before is not None:
            await asyncio.wait([before])

    async def _refuse(self, error: InvalidImportLine) -> None:
        """Write nothing of the session that is being read, and pass over its other lines."""
        await self._close()
        self._piece, self._size, self._refused = [], 0, True
        self._failed(error)

    async def _close(self) -> None:
        restoring, self._open = self._open, None
        if restoring is not None:
            await restoring.drop()

    def _succeeded(self, session_id: str, outcome: Outcome) -> None:
        self.done.count(session_id, outcome)
        self._progress(self.done)

    def _failed(self, error: InvalidImportLine) -> None:
        self.done.failures.append(error)
        self._progress(self.done)


def _batches(lines: Iterable[bytes | str]) -> Iterator[list[bytes | str]]:
    """Yield lines in batches: to hand them from thread to thread one by one costs more than to read them."""
    batch: list[bytes | str] = []
    size = 0
    try:
        for line in lines:
            batch.append(line)
            size += len(line)
            if len(batch) == _BATCH or size > MOST_BYTES:
                yield batch
                batch, size = [], 0
    except InvalidImportLine:
        yield batch
        raise
    yield batch
