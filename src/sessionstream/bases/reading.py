"""Folding a session up to a moment, from the nearest base snapshot before it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from sessionstream.bases.encoding import BaseName, apply_base, names_of
from sessionstream.bases.folded import Folded
from sessionstream.errors import HistoryTrimmed
from sessionstream.events.recorded import NOWHERE, version_of
from sessionstream.fold import Views
from sessionstream.log.history import first_offset, parse_offset, read_entries, trimmed_to
from sessionstream.log.store import Store

__all__ = ["base_names", "chain_of", "entries_behind", "fold_until", "is_erased", "nearest"]


async def base_names(store: Store, session_id: str) -> list[BaseName]:
    """Return the names of all bases that are kept of a session, latest first."""
    fields = await store.server.call("HKEYS", store.keys.bases(session_id))
    names = [name for field in fields if (name := BaseName.parse(field)) is not None]
    return sorted(names, key=lambda name: parse_offset(name.offset), reverse=True)


def chain_of(name: BaseName, names: Sequence[BaseName]) -> list[BaseName]:
    """Return a base with those on which it rests, a whole one first; nothing if one of these is not there."""
    # Of two at one offset the whole one comes last, and stays.
    known = {one.offset: one for one in sorted(names, key=_is_whole) if one.projections == name.projections}
    chain = [name]
    while (parent := chain[-1].parent) is not None:
        found = known.get(parent)
        # Each lies before the one that rests on it, so this ends.
        if found is None or parse_offset(found.offset) >= parse_offset(chain[-1].offset):
            return []
        chain.append(found)
    return chain[::-1]


def _is_whole(name: BaseName) -> bool:
    return name.parent is None


async def nearest(store: Store, session_id: str, until: str | None = None) -> Folded | None:
    """Return the latest base at or before an offset that can be relied on, or None.

    Args:
        store: where the session is kept.
        session_id: the session.
        until: the offset; None is the session's present end.
    """
    ours, names = set(names_of(store.projections)), await base_names(store, session_id)
    for name in names:
        if ours <= set(name.projections) and (until is None or parse_offset(name.offset) <= parse_offset(until)):
            folded = await _read(store, session_id, chain_of(name, names))
            if folded is not None:
                return folded
    return None


async def _read(store: Store, session_id: str, chain: Sequence[BaseName]) -> Folded | None:
    """Return the views that the last base of a chain holds; None if one of them is not there, or not whole."""
    if not chain:
        return None
    fields = [name.field() for name in chain]
    values = await store.server.call("HMGET", store.keys.bases(session_id), *fields)
    views = Views(session_id)
    for name, value in zip(chain, values, strict=True):
        if value is None or not apply_base(views, name, value, store.projections):
            return None
    last = chain[-1]
    return Folded(session_id, store.projections, views, last.offset, last.weight, opener=store.opener)


async def fold_until(store: Store, session_id: str, until: str | None = None) -> Folded:
    """Return what a session's events make up to and with an offset; the events themselves are not collected.

    Args:
        store: where it is kept.
        session_id: the session, ended or not.
        until: the offset; None is the session's present end.

    Raises:
        SessionNotFound: nothing is kept of such a session.
        HistoryTrimmed: events are gone that are needed, and no base holds what they made.
    """
    await store.check_readable()
    folded = await nearest(store, session_id, until) or Folded(session_id, store.projections, opener=store.opener)
    try:
        await _take_behind(store, folded, until)
    except HistoryTrimmed:
        if not await is_erased(store, session_id) or folded.offset != NOWHERE:
            raise
        # What was trimmed before has made nothing, as what was erased has not.
        begins = await trimmed_to(store, session_id) or NOWHERE
        folded = Folded(session_id, store.projections, offset=begins, opener=store.opener)
        await _take_behind(store, folded, until)
    return folded


async def _take_behind(store: Store, folded: Folded, until: str | None) -> None:
    async with contextlib.aclosing(entries_behind(store, folded, until)) as pages:
        async for page in pages:
            folded.take(page)


async def is_erased(store: Store, session_id: str) -> bool:
    """Whether a session was erased."""
    return bool(await store.server.call("HGET", store.keys.head(session_id), "state") == b"erased")


async def entries_behind(store: Store, folded: Folded, until: str | None) -> AsyncGenerator[list[Any], None]:
    """Yield the entries that follow on what is folded, in pages, up to and with an offset.

    Args:
        store: where the session is kept.
        folded: where to begin.
        until: the offset; None is the session's present end.

    Raises:
        SessionNotFound: nothing is kept of such a session.
        HistoryTrimmed: what would follow is gone.
    """
    known = folded.offset
    if until is not None and parse_offset(known) >= parse_offset(until):
        return
    seen = False
    async with contextlib.aclosing(read_entries(store, folded.session_id, known, until)) as pages:
        async for page in pages:
            if not seen and version_of(page[0][0].decode()) != version_of(known) + 1:
                await _require_kept(store, folded.session_id, known)
            seen = True
            yield page
    if not seen:
        await _require_kept(store, folded.session_id, known)


async def _require_kept(store: Store, session_id: str, after: str) -> None:
    """Raise `HistoryTrimmed` if a session's stream begins later than behind an offset; a hole further on is no trim."""
    begins = await first_offset(store, session_id)
    if begins is None:
        head, _ = await store.existing_head(session_id)
        kept = version_of(head[b"offset"].decode()) <= version_of(after)
    else:
        kept = version_of(begins) <= version_of(after) + 1
    if not kept:
        raise HistoryTrimmed(session_id, after=None if after == NOWHERE else after, first=begins)
