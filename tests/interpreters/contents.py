"""What a namespace's views hold, as they are kept and as the streams have it; both by the name of the key.

A field '' and a member '' only keep a key from being empty, so they are left out, and an empty view is an absent one.
What the log and the locks keep in a head is no view.
"""

from __future__ import annotations

import itertools
from typing import Any

from redis.asyncio import Redis

from sessionstream.directory.listing import every_session_id
from sessionstream.events.recorded import RecordedEvent, version_of
from sessionstream.fold import Spot, Views, fold
from sessionstream.log.feed import pointers_of
from sessionstream.log.history import read_history
from sessionstream.log.store import Store

__all__ = ["Contents", "folded_views", "kept_views", "summed_views"]

_LARGEST = 2**53 - 1
Contents = dict[bytes, dict[bytes, Any]]


def _own_field(field: bytes) -> bool:
    """Whether a field of a head belongs to the log or to the locks."""
    return field in (b"offset", b"token") or field.startswith(b"lock_")


def _is_view(key: bytes) -> bool:
    """Whether a key holds what projections keep; a head does, among other things."""
    return key.partition(b"}:")[2].partition(b":")[0] in (b"head", b"view", b"ranking", b"index", b"counters")


async def kept_views(client: Redis, namespace: str) -> Contents:
    """What lies in the server."""
    contents: Contents = {}
    async for key in client.scan_iter(match=f"{namespace}:*", count=1000):
        if not _is_view(key):
            continue
        if await client.type(key) == b"hash":
            fields: Any = await client.hgetall(key)
            contents[key] = fields
        else:
            scored: list[Any] = await client.zrange(key, 0, -1, withscores=True)
            contents[key] = dict(scored)
    return _without_sentinels(contents)


async def folded_views(store: Store) -> Contents:
    """What Python makes of the streams; counters in the order of the feed, in which the server counted."""
    contents: Contents = {}
    for partition in range(store.keys.partitions):
        shared: dict[Spot, dict[bytes, bytes]] = {}
        folded: dict[str, Views] = {}
        events: dict[str, list[RecordedEvent]] = {}
        entries = await store.server.call("XRANGE", store.keys.feed(partition), "-", "+")
        for pointer in itertools.chain.from_iterable(map(pointers_of, entries)):
            session_id, last = pointer.session_id, version_of(pointer.offset)
            if session_id not in folded:
                folded[session_id] = Views(session_id)
                folded[session_id].hashes = _Hashes(shared)
                events[session_id] = [event async for event in read_history(store, session_id)]
            some = [one for one in events[session_id] if last - pointer.events < one.version <= last]
            fold(session_id, some, store.projections, folded[session_id])
        for views in folded.values():
            _add(contents, store, views)
        for spot, counts in shared.items():
            contents[store.keys.partition_place(spot.projection, spot.place, partition).encode()] = dict(counts)
    return _without_sentinels(contents)


async def summed_views(store: Store) -> Contents:
    """What Python makes of the streams, session by session; counters are the sums of what each session counted."""
    contents: Contents = {}
    async for session_id in every_session_id(store):
        views = fold(session_id, [event async for event in read_history(store, session_id)], store.projections)
        for spot in [spot for spot in views.hashes if spot.place.kind == "counters"]:
            sums = contents.setdefault(store.keys.place(spot.projection, spot.place, session_id).encode(), {})
            for field, share in views.hashes.pop(spot).items():
                sums[field] = sums.get(field, 0) + int(share)
        _add(contents, store, views)
    for key, sums in contents.items():
        if b"}:counters:" in key:
            contents[key] = {field: b"%d" % max(-_LARGEST, min(_LARGEST, total)) for field, total in sums.items()}
    return _without_sentinels(contents)


def _add(contents: Contents, store: Store, views: Views) -> None:
    everything: dict[Spot, dict[bytes, Any]] = {**views.hashes, **views.sets}
    for spot, content in everything.items():
        key = store.keys.place(spot.projection, spot.place, views.session_id).encode()
        contents.setdefault(key, {}).update(content)


class _Hashes(dict[Spot, dict[bytes, bytes]]):
    """The hashes of a session, of which the counters are those of its partition."""

    def __init__(self, shared: dict[Spot, dict[bytes, bytes]]) -> None:
        super().__init__()
        self._shared = shared

    def setdefault(self, spot: Spot, default: Any = None) -> dict[bytes, bytes]:
        """The hash of a spot, made if there is none."""
        if spot.place.kind == "counters":
            return self._shared.setdefault(spot, default)
        return super().setdefault(spot, default)


def _without_sentinels(contents: Contents) -> Contents:
    plain = {}
    for key, content in contents.items():
        kept = {name: value for name, value in content.items() if name and not (b"}:head:" in key and _own_field(name))}
        if kept:
            plain[key] = kept
    return plain
