"""A session's views as far as its entries were folded; what changes no view is not even decoded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sessionstream.events.base import registered, types_by_word
from sessionstream.events.encrypted import EncryptedEvent, Opener
from sessionstream.events.recorded import NOWHERE, RecordedEvent, UnknownEvent, UnreadableEvent, version_of
from sessionstream.fold import Views, fold
from sessionstream.projection import Projection
from sessionstream.projections import BUILT_IN
from sessionstream.projections.directory import looks_at

__all__ = ["Folded"]

Entry = Sequence[Any]


class Folded:
    """The views that a session's events make up to an offset.

    Args:
        session_id: the session.
        projections: which to run, in their order.
        views: of the events before; none are the views of no event.
        offset: of the last event that they hold.
        weight: bytes of the events that they hold.
        opener: what decrypts the events.

    Attributes:
        session_id: the session.
        views: what the events make.
        offset: of the last one; ``0-0`` before the first.
        weight: bytes of their values.
        sure: whether every process with these projections makes the same of them. One that knows an event's type, or a
            newer version of it, may make something of an event that this process cannot read.
    """

    def __init__(
        self,
        session_id: str,
        projections: Sequence[Projection],
        views: Views | None = None,
        offset: str = NOWHERE,
        weight: int = 0,
        *,
        opener: Opener,
    ) -> None:
        self.session_id = session_id
        self.views = Views(session_id) if views is None else views
        self.offset = offset
        self.weight = weight
        self.sure = True
        self._opener = opener
        self._projections = projections
        self._own = any(projection not in BUILT_IN for projection in projections)
        self._quiet = _QuietWords(projections)

    @property
    def version(self) -> int:
        """How many events the session had."""
        return version_of(self.offset)

    def take(self, entries: Sequence[Entry]) -> None:
        """Fold what follows.

        Args:
            entries: of the stream, as the server gives them, oldest first.
        """
        quiet, weight, waiting = self._quiet, 0, list[Entry]()
        slides = self._slides()
        for entry in entries:
            words = entry[1]
            if words:
                weight += len(words[1])
                if quiet[words[0]]:
                    if slides:
                        waiting.append(entry)
                    continue
            if waiting:
                self._slide(waiting)
                waiting = []
            self.fold(entry)
            slides = self._slides()
        if waiting:
            self._slide(waiting)
        if entries:
            self.offset = entries[-1][0].decode()
        self.weight += weight

    def is_quiet(self, entry: Entry) -> bool:
        """Whether an entry changes no view, but that it may let the session's time to live slide."""
        return bool(entry[1]) and self._quiet[entry[1][0]]

    def fold(self, entry: Entry) -> RecordedEvent:
        """Fold one entry, whatever it is, and return its event; the offset and the weight are the caller's to note."""
        event = RecordedEvent(self.session_id, entry[0].decode(), entry[1] or (), self._opener)
        data = event.data
        if isinstance(data, UnreadableEvent | EncryptedEvent) or (
            isinstance(data, UnknownEvent) and (self._own or registered(data.type) is not None)
        ):
            self.sure = False
        fold(self.session_id, [event], self._projections, self.views)
        return event

    def _slides(self) -> bool:
        return self.views.head.get(b"sliding") == b"1"

    def _slide(self, entries: list[Entry]) -> None:
        """Fold a run of quiet entries: each undoes what the one before it made, so the last one that can be read is."""
        for entry in reversed(entries):
            if not isinstance(self.fold(entry).data, UnreadableEvent):
                return


class _QuietWords(dict[bytes, bool]):
    """Whether no projection makes anything of the entries of a type, but the one by which sessions slide does."""

    def __init__(self, projections: Sequence[Projection]) -> None:
        super().__init__()
        self._projections = projections

    def __missing__(self, word: bytes) -> bool:
        kind = types_by_word.get(word)
        if kind is not None:
            quiet = not any(looks_at(projection, kind.cls) for projection in self._projections)
        else:
            named = registered(word.partition(b"@")[0].decode(errors="replace"))
            quiet = named is None and not any(looks_at(projection, UnknownEvent) for projection in self._projections)
        self[word] = quiet
        return quiet
