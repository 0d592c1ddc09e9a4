"""All views of a namespace, as they are in Redis and as the streams make them."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from sessionstream.directory.listing import every_session_id
from sessionstream.fold import Spot, fold
from sessionstream.log.history import read_history
from sessionstream.log.store import Store

__all__ = ["folded_views", "stored_views"]

_OF_THE_LOG = {b"offset", b"token"}

Views = dict[str, dict[bytes, Any]]


async def folded_views(store: Store) -> Views:
    """Return what the events of all sessions make of every view, by key; empty views are left out."""
    found: defaultdict[str, dict[bytes, Any]] = defaultdict(dict)
    async for session_id in every_session_id(store):
        events = [event async for event in read_history(store, session_id)]
        views = fold(session_id, events, store.projections)
        for spot, fields in views.hashes.items():
            for field, value in fields.items():
                _put(found[_key(store, spot, session_id)], spot, field, value)
        for spot, members in views.sets.items():
            found[_key(store, spot, session_id)].update(members)
    return {key: view for key, view in found.items() if view}


async def stored_views(store: Store, keys: list[str]) -> Views:
    """Return what the server holds under keys, without what the log itself keeps there; empty views are left out."""
    found: Views = {}
    for key in keys:
        kind = await store.server.call("TYPE", key)
        if kind == b"hash":
            reply = await store.server.call("HGETALL", key)
            fields = dict(zip(reply[::2], reply[1::2], strict=True))
            found[key] = {name: value for name, value in fields.items() if name and name not in _OF_THE_LOG}
        elif kind == b"zset":
            reply = await store.server.call("ZRANGE", key, 0, -1, "WITHSCORES")
            found[key] = {name: float(score) for name, score in zip(reply[::2], reply[1::2], strict=True) if name}
    return {key: view for key, view in found.items() if view}


def _key(store: Store, spot: Spot, session_id: str) -> str:
    return store.keys.place(spot.projection, spot.place, session_id)


def _put(view: dict[bytes, Any], spot: Spot, field: bytes, value: bytes) -> None:
    if spot.place.kind == "counters":
        view[field] = str(int(view.get(field, b"0")) + int(value)).encode()
    else:
        view[field] = value
