"""One session's views, folded from its stream and put in place while appends go on."""

from __future__ import annotations

from sessionstream.events.recorded import NOWHERE
from sessionstream.fold import Spot, Views, fold
from sessionstream.log.encoding import Word
from sessionstream.log.history import Window, read_history
from sessionstream.log.store import Store
from sessionstream.projection import HEAD
from sessionstream.wire.scripts import load_script

__all__ = ["PATIENCE", "Folding"]

PATIENCE = 5
"""So often an exchange is tried beside the appends; then they are held back for its moment."""

_SWAP = load_script("sessionstream.rebuild", "swap")


class Folding:
    """A session's events as far as they were folded.

    Args:
        store: where the session is kept.
        session_id: the session.

    Attributes:
        views: what they made.
        events: how many there were.
        unreadable: how many of them do not decode, and changed nothing.
    """

    def __init__(self, store: Store, session_id: str) -> None:
        self._store = store
        self._session_id = session_id
        self._offset = NOWHERE
        self.views = Views(session_id)
        self.events = 0
        self.unreadable = 0

    async def catch_up(self) -> None:
        """Fold the events that were not folded yet."""
        window = Window(after=None if self._offset == NOWHERE else self._offset)
        async for event in read_history(self._store, self._session_id, window):
            fold(self._session_id, [event], self._store.projections, self.views)
            self._offset = event.offset
            self.events += 1
            self.unreadable += event.error is not None

    async def put_in_place(self) -> None:
        """Fold what is new, and make the session's own views that, until nothing comes in between."""
        partition = self._store.keys.partition(self._session_id)
        attempt = 0
        while True:
            await self.catch_up()
            async with self._store.paused(partition, unless=attempt < PATIENCE):
                if attempt >= PATIENCE:
                    await self.catch_up()
                if await self._store.server.script(_SWAP, *self._swap()):
                    return
            attempt += 1

    def _swap(self) -> tuple[list[str], list[Word]]:
        keys = [self._store.keys.head(self._session_id)]
        words: list[Word] = [self._offset, *_hash_words(self.views.hashes.get(Spot("", HEAD), {}))]
        for spot, fields in self.views.hashes.items():
            if spot.place.kind == "view":
                keys.append(self._store.keys.place(spot.projection, spot.place, self._session_id))
                words += _hash_words(fields)
        for spot, members in self.views.sets.items():
            if spot.place.kind == "ranking":
                keys.append(self._store.keys.place(spot.projection, spot.place, self._session_id))
                words += _set_words(members)
        return keys, words


def _hash_words(fields: dict[bytes, bytes]) -> list[Word]:
    pairs = [word for pair in fields.items() for word in pair]
    return ["hash", len(pairs), *pairs]


def _set_words(members: dict[bytes, float]) -> list[Word]:
    pairs: list[Word] = [word for member, score in members.items() for word in (repr(score), member)]
    return ["set", len(pairs), *pairs]
