"""The views that all sessions of a partition share: built beside the old ones, then put in their place in one step."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from sessionstream.directory.listing import session_ids_of
from sessionstream.errors import SessionNotFound, Unavailable
from sessionstream.events.recorded import version_of
from sessionstream.feed.cursor import position_of
from sessionstream.fold import Spot
from sessionstream.log.feed import pointers_of
from sessionstream.log.store import Store
from sessionstream.rebuild.contributions import Contributions, contribution_of
from sessionstream.rebuild.folding import PATIENCE, Folding, side_by_side
from sessionstream.wire.scripts import load_script

__all__ = ["SharedViews"]

_CLEAR = load_script("sessionstream.rebuild", "clear")
_EXCHANGE = load_script("sessionstream.rebuild", "exchange")
_STAGE = load_script("sessionstream.rebuild", "stage")
_CHUNK = 500
_MOST_PENDING = 10_000
_Item = TypeVar("_Item")


class SharedViews:
    """The indexes and counters of one partition; what differs from what was staged before is all that travels.

    Args:
        store: where they are kept.
        partition: which one.
    """

    def __init__(self, store: Store, partition: int) -> None:
        self._store = store
        self._partition = partition
        self._run = os.urandom(8).hex()
        self._record = store.keys.beside("", partition)
        self._feed = b""
        self._foldings: dict[str, Folding] = {}
        self._contributions = Contributions()

    async def begin(self, feed: bytes) -> None:
        """Take over from any rebuild that was not finished, and remove what it left.

        Args:
            feed: the position of the partition's feed before the first session is folded.
        """
        self._feed = feed
        server = self._store.server
        await server.call("HSET", self._record, "", self._run)
        left = [key for key in await server.call("HKEYS", self._record) if key]
        for keys in _chunks(left):
            self._check(await server.script(_CLEAR, [self._record, *keys], [self._run]))

    async def take(self, session_id: str, folding: Folding) -> None:
        """Count what a session contributes; its own views are forgotten."""
        self._count(session_id, folding, {})
        if self._contributions.pending > _MOST_PENDING:
            await self._stage()

    async def put_in_place(self) -> None:
        """Exchange the views in use for those built beside them, when nothing comes in between.

        Raises:
            NamespaceMismatch: another process has adopted the namespace.
            Unavailable: another rebuild of this namespace has taken over.
        """
        for attempt in itertools.count():
            await self._follow()
            async with self._store.paused(self._partition, unless=attempt < PATIENCE):
                if attempt >= PATIENCE:
                    await self._follow()
                if await self._exchange():
                    return

    async def _follow(self) -> None:
        """Fold and stage what was appended meanwhile."""
        await side_by_side(self._refold, await self._changed())
        await self._stage()

    async def _refold(self, session_id: str) -> None:
        folding = self._foldings.get(session_id) or Folding(self._store, session_id)
        before = contribution_of(folding.views)
        try:
            await folding.catch_up()
            self._count(session_id, folding, before)
        except SessionNotFound:
            self._foldings.pop(session_id, None)
            self._contributions.discount(before)

    def _count(self, session_id: str, folding: Folding, before: dict[Any, Any]) -> None:
        self._contributions.count(folding.views, before)
        folding.keep_shared(self._contributions.spots)
        self._foldings[session_id] = folding

    async def _changed(self) -> list[str]:
        """Return the sessions that the feed tells of since the last time; all, if it was trimmed meanwhile."""
        log, feed = self._store.keys.log(self._partition), self._store.keys.feed(self._partition)
        last = await self._store.server.call("HGET", log, ":feed") or b""
        before, seen = _number(self._feed), 0
        changed: dict[str, None] = {}
        while True:
            start = b"(" + self._feed if self._feed else b"-"
            page = await self._store.server.call("XRANGE", feed, start, "+", "COUNT", _CHUNK)
            for entry in page:
                self._feed = entry[0]
                pointers = pointers_of(entry)
                changed |= dict.fromkeys(pointer.session_id for pointer in pointers)
                seen += len(pointers)
            if len(page) < _CHUNK:
                break
        self._feed = max(self._feed, last, key=_number)
        if _number(self._feed) - before == seen:
            return list(changed)
        kept = [session_id async for session_id in session_ids_of(self._store, self._partition)]
        return list(dict.fromkeys([*changed, *kept, *self._foldings]))

    async def _stage(self) -> None:
        """Bring the views that are built beside up to what the sessions contribute."""
        for spot, cells in self._contributions.take_changes().items():
            is_hash = spot.place.kind == "counters"
            for chunk in _chunks(list(cells.items())) if cells else [[]]:
                gone = [name for name, value in chunk if value is None]
                words: list[Any] = []
                for name, value in chunk:
                    if value is not None:
                        words += (name, value) if is_hash else (repr(value), name)
                arguments = [self._run, "hash" if is_hash else "set", len(gone), *gone, *words]
                self._check(await self._store.server.script(_STAGE, [self._record, self._beside(spot)], arguments))

    async def _exchange(self) -> bool:
        keys = [self._store.keys.log(self._partition), self._record]
        for spot in self._contributions.spots:
            keys += (self._beside(spot), self._in_use(spot))
        answer = await self._store.server.script(_EXCHANGE, keys, [self._store.stamp, self._run, self._feed])
        self._check(answer != b"superseded")
        if answer == b"stamp":
            await self._store.prepare(self._partition)
        return bool(answer == b"done")

    def _check(self, ours: object) -> None:
        if not ours:
            raise Unavailable(f"another rebuild has taken over partition {self._partition}: let that one finish")

    def _in_use(self, spot: Spot) -> str:
        return self._store.keys.partition_place(spot.projection, spot.place, self._partition)

    def _beside(self, spot: Spot) -> str:
        return self._store.keys.beside(self._in_use(spot), self._partition)


def _number(position: bytes) -> int:
    return version_of(position_of(position)) if position else 0


def _chunks(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    return (items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK))
