"""Up to where this process knows each session: what it appended itself, or was given to read."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import msgspec

from sessionstream.events.recorded import NOWHERE, RecordedEvent, version_of
from sessionstream.log.request import Appended

__all__ = ["Positions", "Reading"]

_MOST = 5_000


class Reading:
    """How far a session's history was given to one who reads it.

    Attributes:
        last: the event that was given last; None before the first.
    """

    __slots__ = ("last",)

    def __init__(self) -> None:
        self.last: RecordedEvent | None = None


class _Last(msgspec.Struct, frozen=True, gc=False):
    """The last event of a session that is known."""

    version: int
    offset: str


class Positions:
    """The offset up to which every event of a session is known here; the sessions used last are remembered.

    They are kept in two halves: when the younger one is full it becomes the older one, whose sessions are forgotten
    with the next, unless they are used meanwhile. That costs an append less than to keep all of them in their order.
    """

    def __init__(self) -> None:
        self._young: dict[str, _Last | Appended] = {}
        self._old: dict[str, _Last | Appended] = {}
        # Replaced as wholes, under the lock: readers begin and end in several threads.
        self._readings: dict[str, tuple[Reading, ...]] = {}
        self._lock = threading.Lock()

    def known(self, session_id: str) -> str:
        """Return the offset up to which all is known, ``0-0`` where nothing is."""
        self._catch_up(session_id)
        known = self._young.get(session_id) or self._old.get(session_id)
        return NOWHERE if known is None else known.offset

    def appended(self, made: Iterable[Appended]) -> None:
        """Note appends; one that follows events unknown here leaves the position before them."""
        young = self._young
        for appended in made:
            session_id = appended.session_id
            known = young.get(session_id)
            # What a batch gave is not kept: it has an id for each of its events.
            if known is not None and appended.count == 1 and known.version + 1 == appended.version:
                young[session_id] = appended
            else:
                self._follow(appended)
                young = self._young

    def _follow(self, appended: Appended) -> None:
        session_id, before = appended.session_id, appended.version - appended.count
        if before == 0:
            # What is still read of a removed session that had this id no longer counts.
            self._change_readings(session_id, lambda readings: ())
        self._catch_up(session_id)
        known = self._young.get(session_id) or self._old.get(session_id)
        # Before the first event there is nothing, whatever was known of a removed session that had this id.
        if known is None or known.version == before or before == 0:
            self._note(session_id, _Last(appended.version, appended.offset))

    def forget(self, session_id: str) -> None:
        """Forget what is known of a removed session, whose id another one has now."""
        self._change_readings(session_id, lambda readings: ())
        self._young.pop(session_id, None)
        self._old.pop(session_id, None)

    def read(self, session_id: str, offset: str) -> None:
        """Note that the events up to an offset were given to the caller."""
        known, version = self._young.get(session_id) or self._old.get(session_id), version_of(offset)
        if known is None or known.version < version:
            self._note(session_id, _Last(version, offset))

    @contextmanager
    def reading(self, session_id: str) -> Iterator[Reading]:
        """Note all that is given to a reader; it is looked up when the position is asked for, not at each event."""
        reading = Reading()
        self._change_readings(session_id, lambda readings: (*readings, reading))
        try:
            yield reading
        finally:
            self._catch_up(session_id)
            self._change_readings(session_id, lambda readings: tuple(one for one in readings if one is not reading))

    def _change_readings(self, session_id: str, change: Callable[[tuple[Reading, ...]], tuple[Reading, ...]]) -> None:
        with self._lock:
            readings = change(self._readings.get(session_id, ()))
            if readings:
                self._readings[session_id] = readings
            else:
                self._readings.pop(session_id, None)

    def _catch_up(self, session_id: str) -> None:
        for reading in self._readings.get(session_id, ()):
            if reading.last is not None:
                self.read(session_id, reading.last.offset)

    def _note(self, session_id: str, last: _Last) -> None:
        if len(self._young) >= _MOST:
            # Replaced as wholes: other threads' loops note theirs at the same time.
            self._old, self._young = self._young, {}
        self._young[session_id] = last
