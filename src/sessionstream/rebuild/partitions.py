"""The views that all sessions of a partition share: built beside the old ones, then put in their place in one step."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sessionstream.errors import SessionNotFound
from sessionstream.fold import Spot, Views
from sessionstream.log.store import Store
from sessionstream.projections.directory import EXPIRY, STATES
from sessionstream.projections.statistics import LIFETIMES
from sessionstream.rebuild.folding import PATIENCE, Folding
from sessionstream.wire.scripts import load_script

__all__ = ["SharedViews"]

_EXCHANGE = load_script("sessionstream.rebuild", "exchange")
_CHUNK = 500
_ALWAYS = [Spot("directory", place) for place in (EXPIRY, *STATES.values())] + [Spot("statistics", LIFETIMES)]

Content = dict[bytes, bytes] | dict[bytes, float]


class SharedViews:
    """What the sessions of one partition make of its indexes and counters.

    Args:
        store: where they are kept.
        partition: which one.
        feed: the position of its feed before the first session was folded.
    """

    def __init__(self, store: Store, partition: int, feed: bytes) -> None:
        self._store = store
        self._partition = partition
        self._feed = feed
        self._sessions: dict[str, Views] = {}
        self._followed: dict[str, Folding] = {}
        self._spots: set[Spot] = set(_ALWAYS)
        self._beside: dict[Spot, Content] = {}

    def take(self, session_id: str, views: Views) -> None:
        """Note what a session contributes, instead of what it contributed before."""
        shared = Views(session_id)
        shared.hashes = {spot: fields for spot, fields in views.hashes.items() if spot.place.kind == "counters"}
        shared.sets = {spot: members for spot, members in views.sets.items() if spot.place.kind == "index"}
        self._sessions[session_id] = shared
        self._spots.update(shared.hashes, shared.sets)

    async def put_in_place(self) -> None:
        """Build the views beside the old ones and exchange them, until nothing comes in between."""
        await self._clear()
        attempt = 0
        while True:
            await self._build()
            async with self._store.paused(self._partition, unless=attempt < PATIENCE):
                if attempt >= PATIENCE:
                    await self._follow()
                    await self._build()
                keys: list[str] = [self._store.keys.log(self._partition)]
                for spot in self._spots:
                    keys += (self._beside_key(spot), self._key(spot))
                if await self._store.server.script(_EXCHANGE, keys, [self._feed]):
                    return
            await self._follow()
            attempt += 1

    async def _follow(self) -> None:
        """Fold again the sessions to which something was appended meanwhile."""
        start = b"(" + self._feed if self._feed else b"-"
        changed: dict[str, None] = {}
        async for position, session_id, retired in self._pointers(start):
            self._feed = position
            changed[session_id] = None
            if retired:
                self._followed.pop(session_id, None)
        for session_id in changed:
            folding = self._followed.setdefault(session_id, Folding(self._store, session_id))
            try:
                await folding.catch_up()
                self.take(session_id, folding.views)
            except SessionNotFound:
                # It was retired. If its id is used again, its events begin anew.
                self._sessions.pop(session_id, None)
                del self._followed[session_id]

    async def _pointers(self, start: bytes) -> Any:
        while True:
            page = await self._store.server.call(
                "XRANGE", self._store.keys.feed(self._partition), start, "+", "COUNT", _CHUNK
            )
            for position, fields in page:
                pointer = dict(zip(fields[::2], fields[1::2], strict=True))
                yield position, pointer[b"s"].decode(), pointer.get(b"type") == b"session.retired"
            if len(page) < _CHUNK:
                return
            start = b"(" + page[-1][0]

    async def _clear(self) -> None:
        """Remove what a rebuild that was cancelled has left."""
        await self._store.server.call("UNLINK", *(self._beside_key(spot) for spot in self._spots))

    async def _build(self) -> None:
        """Make the views beside what the sessions contribute, changing only what differs from the last time."""
        for spot in self._spots:
            if spot not in self._beside:
                sentinel = ("HSET", "", "") if spot.place.kind == "counters" else ("ZADD", "-inf", "")
                await self._store.server.call("UNLINK", self._beside_key(spot))
                await self._store.server.call(sentinel[0], self._beside_key(spot), *sentinel[1:])
                self._beside[spot] = {}
            wanted = _counters(self._sessions.values(), spot) if spot.place.kind == "counters" else self._members(spot)
            await self._patch(spot, self._beside[spot], wanted)
            self._beside[spot] = wanted

    def _members(self, spot: Spot) -> dict[bytes, float]:
        members: dict[bytes, float] = {}
        for views in self._sessions.values():
            members.update(views.sets.get(spot, {}))
        return members

    async def _patch(self, spot: Spot, before: Any, wanted: Any) -> None:
        key = self._beside_key(spot)
        counters = spot.place.kind == "counters"
        changed = [(name, value) for name, value in wanted.items() if before.get(name) != value]
        gone = [name for name in before if name not in wanted]
        for start in range(0, len(changed), _CHUNK):
            words: list[Any] = []
            for name, value in changed[start : start + _CHUNK]:
                words += (name, value) if counters else (repr(value), name)
            await self._store.server.call("HSET" if counters else "ZADD", key, *words)
        for start in range(0, len(gone), _CHUNK):
            await self._store.server.call("HDEL" if counters else "ZREM", key, *gone[start : start + _CHUNK])

    def _key(self, spot: Spot) -> str:
        return self._store.keys.partition_place(spot.projection, spot.place, self._partition)

    def _beside_key(self, spot: Spot) -> str:
        return self._store.keys.beside(self._key(spot), self._partition)


def _counters(sessions: Iterable[Views], spot: Spot) -> dict[bytes, bytes]:
    sums: dict[bytes, int] = {}
    largest = 2**53 - 1
    for views in sessions:
        for field, value in views.hashes.get(spot, {}).items():
            sums[field] = max(-largest, min(largest, sums.get(field, 0) + int(value)))
    return {field: str(total).encode() for field, total in sums.items()}
