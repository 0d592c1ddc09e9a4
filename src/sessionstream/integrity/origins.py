"""Where an event comes from that does not belong where it stands: events have ids, and most ids have a time."""

from __future__ import annotations

import base64
import binascii
import dataclasses
from collections.abc import AsyncIterator, Sequence

from sessionstream.directory.listing import every_session_id
from sessionstream.integrity.diagnosis import Diagnosed, Stray
from sessionstream.integrity.reporting import Kind
from sessionstream.log.store import Store

__all__ = ["name_origins"]

_ID = 22
_AROUND_MS = 300_000
_MOST_SESSIONS = 20_000
_MOST_EVENTS = 20
_AT_ONCE = 64
_PAGE = 1000


async def name_origins(store: Store, session_id: str, found: Sequence[Diagnosed]) -> list[Diagnosed]:
    """Return the findings, and of the events that were copied from elsewhere, from where.

    An event is looked for by its id, in the minutes around the time that the id tells, in this session and in those of
    the namespace that were created first; so an origin that is found is one, and one that is not found may be.

    Args:
        store: where to look.
        session_id: the session that was verified.
        found: what was found; the entries that it is about are looked for, 20 at most.
    """
    strays = {one.stray.offset: one.stray for one in found if one.stray is not None and _time_of(one.stray) is not None}
    wanted = dict(list(strays.items())[:_MOST_EVENTS])
    origins: dict[str, str] = {}
    if wanted:
        await _search(store, session_id, wanted, origins)
    return [_named(one, origins.get(one.stray.offset, "") if one.stray is not None else "") for one in found]


def _named(one: Diagnosed, origin: str) -> Diagnosed:
    if not origin:
        return one
    finding = dataclasses.replace(one.finding, kind=Kind.COPIED, detail=f"it was copied from {origin}")
    return Diagnosed(finding, one.stray)


def _id_of(stray: Stray) -> bytes:
    return stray.words[1][:_ID] if len(stray.words) > 1 else b""


def _time_of(stray: Stray) -> int | None:
    """Return the milliseconds that an event's id tells, if it is an id."""
    identifier = _id_of(stray)
    try:
        raw = base64.urlsafe_b64decode(identifier + b"==")
    except (binascii.Error, ValueError):
        return None
    return int.from_bytes(raw[:6]) if len(raw) == 16 else None


async def _search(store: Store, session_id: str, wanted: dict[str, Stray], origins: dict[str, str]) -> None:
    group: list[str] = []
    looked = 0
    async for other in _sessions(store, session_id):
        group.append(other)
        looked += 1
        if len(group) == _AT_ONCE:
            await _look(store, session_id, group, wanted, origins)
            group = []
            if len(origins) == len(wanted) or looked >= _MOST_SESSIONS:
                return
    await _look(store, session_id, group, wanted, origins)


async def _sessions(store: Store, first: str) -> AsyncIterator[str]:
    yield first
    async for session_id in every_session_id(store):
        if session_id != first:
            yield session_id


async def _look(
    store: Store, session_id: str, group: Sequence[str], wanted: dict[str, Stray], origins: dict[str, str]
) -> None:
    for stray in [one for offset, one in wanted.items() if offset not in origins]:
        ms = _time_of(stray) or 0
        window = (str(max(0, ms - _AROUND_MS)), str(ms + _AROUND_MS))
        commands = [("XRANGE", store.keys.events(one), *window, "COUNT", _PAGE) for one in group]
        for other, page in zip(group, await store.server.calls(commands), strict=True):
            for identifier, words in page:
                itself = other == session_id and identifier.decode() == stray.offset
                if not itself and len(words or ()) > 1 and words[1][:_ID] == _id_of(stray):
                    where = "this session" if other == session_id else f"session {other!r}"
                    origins[stray.offset] = f"{identifier.decode()} of {where}"
