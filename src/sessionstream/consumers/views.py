"""Reading what a group keeps in views of its own."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from sessionstream.consumers.committing import owner_of
from sessionstream.errors import InvalidArgument, InvalidType
from sessionstream.events.ids import checked_id
from sessionstream.events.stored import reading_stored
from sessionstream.log.history import checked_count
from sessionstream.log.store import Store
from sessionstream.projection import Place

__all__ = ["GroupViews"]

_Find = Callable[[], Awaitable[str]]


class GroupViews:
    """The views that a group changes with `Item.apply`, or that a projection makes.

    Args:
        store: the namespace.
        group: gives the name of the group that keeps them, each time something is read.
    """

    def __init__(self, store: Store, group: _Find) -> None:
        self._store = store
        self._group = group

    async def fields(self, place: Place, session_id: str) -> dict[str, bytes]:
        """Return the fields of a session's hash; nothing if it has none.

        Args:
            place: where it is kept, made by `sessionstream.projection.view`.
            session_id: the session.

        Raises:
            KeyUnavailable: it is stored encrypted, and the key cannot be had.
            KeyDestroyed: it is stored encrypted, and the key was destroyed.
        """
        group, found = await self._read("HGETALL", place, "view", session_id)
        fields = {name: value for name, value in _pairs(found) if name}
        return {name.decode(): value for name, value in (await self._opened(group, place, session_id, fields)).items()}

    async def _opened(
        self, group: str, place: Place, session_id: str, fields: dict[bytes, bytes]
    ) -> dict[bytes, bytes]:
        store, owner = self._store, owner_of(group)
        await store.remember(fields.values())
        with reading_stored(f"the view {place.name!r} of group {group!r}", session_id):
            return {name: store.opener.field(session_id, owner, place, name, value) for name, value in fields.items()}

    async def ranking(self, place: Place, session_id: str) -> dict[str, float]:
        """Return the members of a session's ranking and their scores, lowest first.

        Args:
            place: where it is kept, made by `sessionstream.projection.ranking`.
            session_id: the session.
        """
        _, found = await self._read("ZRANGE", place, "ranking", session_id, "0", "-1", "WITHSCORES")
        return {member.decode(): float(score) for member, score in _pairs(found) if member}

    async def counters(self, place: Place) -> dict[str, int]:
        """Return the counters of all partitions, added up.

        Args:
            place: where they are kept, made by `sessionstream.projection.counters`.
        """
        sums: Counter[str] = Counter()
        for found in await self._from_all("HGETALL", place, "counters"):
            for name, value in _pairs(found):
                if name:
                    sums[name.decode()] += int(value)
        return dict(sums)

    async def index(self, place: Place, *, limit: int = 100, lowest: bool = False) -> list[tuple[str, float]]:
        """Return the sessions of an index with their scores, highest first.

        Args:
            place: where it is kept, made by `sessionstream.projection.index`.
            limit: at most so many.
            lowest: whether the lowest come first.
        """
        if checked_count(limit, "limit") < 1:
            raise InvalidArgument(f"limit is {limit}, not 1 or more")
        command = "ZRANGE" if lowest else "ZREVRANGE"
        rows = await self._from_all(command, place, "index", "0", str(limit), "WITHSCORES")
        found = [(member.decode(), float(score)) for row in rows for member, score in _pairs(row) if member]
        choose = heapq.nsmallest if lowest else heapq.nlargest
        return choose(limit, found, key=lambda one: (one[1], one[0]))

    async def _read(self, command: str, place: Place, kind: str, session_id: str, *rest: str) -> tuple[str, Any]:
        _check(place, kind)
        checked_id(session_id, "session_id")
        await self._store.check_readable()
        while True:
            group = await self._group()
            key = self._store.keys.place(owner_of(group), place, session_id)
            found = await self._store.server.call(command, key, *rest)
            if await self._group() == group:
                return group, found

    async def _from_all(self, command: str, place: Place, kind: str, *rest: str) -> Sequence[Any]:
        _check(place, kind)
        while True:
            group = await self._group()
            name = partial(self._store.keys.partition_place, owner_of(group), place)
            found = await self._store.every_partition(command, name, *rest)
            if await self._group() == group:
                return found


def _check(place: object, kind: str) -> None:
    if not isinstance(place, Place):
        raise InvalidType(f"a place is made by sessionstream.projection.{kind}, not a {type(place).__name__}")
    if place.kind != kind:
        raise InvalidArgument(f"{place!r} is no {kind}")


def _pairs(found: Any) -> list[tuple[bytes, Any]]:
    if isinstance(found, dict):
        return list(found.items())
    if found and isinstance(found[0], list):
        return [tuple(pair) for pair in found]
    return list(zip(found[::2], found[1::2], strict=True))
