"""When a base snapshot is made, and how it is kept.

A base is made when, since the one before it, the session has grown by 16 times that one's bytes, and by 1,000 events.
So bases are dense while views are small and rare where they are large, none has to be thinned out, and those of a
session together hold about a sixteenth of what its events do; or, where its views are as large as its events, about as
much as these views.
"""

from __future__ import annotations

import contextlib

from sessionstream.bases.encoding import BaseName, encode_base, names_of
from sessionstream.bases.folded import Folded
from sessionstream.bases.reading import base_names, entries_behind, nearest
from sessionstream.events.recorded import version_of
from sessionstream.log.gates import name_in_log
from sessionstream.log.history import parse_offset
from sessionstream.log.store import Store
from sessionstream.wire.scripts import load_script

__all__ = ["LEAST_EVENTS", "keep", "write"]

LEAST_EVENTS = 1_000
"""So many events lie between two bases at least."""

_SHARE = 16
_MOST_REPLACED = 500
_KEEP = load_script("sessionstream.bases", "keep")


async def keep(store: Store, session_id: str, until: str) -> int:
    """Make the bases that are due up to an offset, each from the one before it, and return how many were made.

    Args:
        store: where the session is kept.
        session_id: the session.
        until: the offset of one of its events.

    Raises:
        SessionNotFound: nothing is kept of such a session.
        HistoryTrimmed: events are gone that are needed.
    """
    if not await _may_be_due(store, session_id, until):
        return 0
    folded = await nearest(store, session_id, until) or Folded(session_id, store.projections)
    version, weight, size, made = folded.version, folded.weight, folded.base_size, 0
    async with contextlib.aclosing(entries_behind(store, folded, until)) as pages:
        async for page in pages:
            folded.take(page)
            if not folded.sure:
                break
            if folded.version - version >= LEAST_EVENTS and folded.weight - weight >= _SHARE * size:
                written = await _write(store, folded, pinned=False)
                if written is None:
                    break
                version, weight, size, made = folded.version, folded.weight, written.size, made + 1
    return made


async def _may_be_due(store: Store, session_id: str, until: str) -> bool:
    """Whether a base may be due, by what the names of the others say and the usual size of the session's events."""
    ours = names_of(store.projections)
    for name in await base_names(store, session_id):
        if name.projections == ours and parse_offset(name.offset) <= parse_offset(until):
            version = version_of(name.offset)
            events = version_of(until) - version
            grown = events * name.weight // version if version else 0
            return events >= LEAST_EVENTS and grown >= _SHARE * name.size
    return version_of(until) >= LEAST_EVENTS


async def write(store: Store, folded: Folded, *, pinned: bool = False) -> bool:
    """Keep the views of a session as a base.

    Args:
        store: where the session is kept.
        folded: its views, up to an event that is in its stream still.
        pinned: whether events up to there will be removed, so that this base must never be replaced.

    Returns:
        False if it was not kept: the session is gone, or the namespace is one of other projections, or there was an
        event of which a process that knows its type might make something else.
    """
    return folded.sure and await _write(store, folded, pinned=pinned) is not None


async def _write(store: Store, folded: Folded, *, pinned: bool) -> BaseName | None:
    keys, session_id = store.keys, folded.session_id
    name, value = encode_base(folded, store.projections, pinned=pinned)
    replaced = [
        other.field()
        for other in await base_names(store, session_id)
        if not other.pinned and (other.offset == name.offset or other.projections != name.projections)
    ]
    gone = [field for field in replaced if field != name.field()][:_MOST_REPLACED]
    answer = await store.server.script(
        _KEEP,
        [keys.log(keys.partition(session_id)), keys.events(session_id), keys.bases(session_id)],
        [store.stamp, name_in_log(session_id), folded.offset, name.field(), value, *gone],
    )
    return name if answer == 1 else None
