"""All views of a namespace, by key: as the server holds them, and as the streams make them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sessionstream import SessionManager
from sessionstream.directory.listing import every_session_id
from sessionstream.fold import fold
from sessionstream.log.history import read_history
from sessionstream.log.store import Store
from tests.nodes import keys_of

__all__ = ["Views", "assert_folded", "beside", "erase", "folded", "stored"]

Views = dict[str, dict[bytes, Any]]

_KINDS = re.compile(r".*?:\{\d+\}:(head|view|ranking|index|counters):", re.DOTALL)


async def assert_folded(manager: SessionManager) -> Views:
    """Fail unless every view is what the events make of it; return the views."""
    there = await stored(manager.store)
    assert there == await folded(manager.store)
    return there


async def stored(store: Store) -> Views:
    """Return what the server holds: without sentinels, and without what the log and the locks keep in the head."""
    views: Views = {}
    for key in await keys_of(store):
        if (kind := _KINDS.match(key)) is None:
            continue
        if kind[1] in ("ranking", "index"):
            reply = await store.server.call("ZRANGE", key, 0, -1, "WITHSCORES")
            views[key] = {name: float(score) for name, score in _pairs(reply)}
        else:
            views[key] = dict(_pairs(await store.server.call("HGETALL", key)))
        if kind[1] == "head":
            views[key] = {name: value for name, value in views[key].items() if not _of_the_log(name)}
    return _without_nothing(views)


async def folded(store: Store) -> Views:
    """Return what the events of all kept sessions make: an index is their union, counters are their sums."""
    views: Views = {}
    async for session_id in every_session_id(store):
        events = [event async for event in read_history(store, session_id)]
        made = fold(session_id, events, store.projections)
        for spot, content in (*made.hashes.items(), *made.sets.items()):
            view = views.setdefault(store.keys.place(spot.projection, spot.place, session_id), {})
            if spot.place.kind == "counters":
                content = {name: b"%d" % (int(view.get(name, 0)) + int(by)) for name, by in content.items()}
            view.update(content)
    return _without_nothing(views)


async def erase(store: Store, which: Callable[[str], bool] = lambda key: True) -> None:
    """Delete every view whose key is chosen; of heads all but what the log and the locks keep there."""
    for key in await keys_of(store):
        kind = _KINDS.match(key)
        if kind is None or not which(key):
            continue
        if kind[1] != "head":
            await store.server.call("UNLINK", key)
        elif fields := [name for name in await store.server.call("HKEYS", key) if not _of_the_log(name)]:
            await store.server.call("HDEL", key, *fields)


async def beside(store: Store) -> list[str]:
    """Return the keys that a rebuild builds beside the views in use."""
    return [key for key in await keys_of(store) if ":beside" in key]


def _of_the_log(field: bytes) -> bool:
    return field in (b"offset", b"token") or field.startswith(b"lock_")


def _pairs(reply: list[Any]) -> list[tuple[bytes, Any]]:
    return list(zip(reply[::2], reply[1::2], strict=True))


def _without_nothing(views: Views) -> Views:
    """Leave out sentinels, counters at 0 and empty views: absent and empty are the same."""
    full = {
        key: {name: value for name, value in view.items() if name and not (":counters:" in key and value == b"0")}
        for key, view in views.items()
    }
    return {key: view for key, view in full.items() if view}
