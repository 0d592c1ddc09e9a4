"""When a base snapshot is made, and how it is kept.

A base is made when the session has grown by 1,000 events since the one before. It is a whole one if, since the last
whole one, the events have grown by 16 times that one's bytes; otherwise it holds what differs from the one before it,
and is made when the events since have 16 times the bytes of the last such difference. So a moment is never far behind
a base, none has to be thinned out, and the bases of a session hold an eighth of what its events do at most; or, where
its views are as large as its events, about as much as these views.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from sessionstream.bases.encoding import BaseName, encode_base, names_of
from sessionstream.bases.folded import Folded
from sessionstream.bases.reading import base_names, chain_of, entries_behind, nearest
from sessionstream.events.recorded import version_of
from sessionstream.fold import Views
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
    names = await base_names(store, session_id)
    chain = _own_chain(store, names, until)
    if not _may_be_due(chain, until):
        return 0
    folded = await nearest(store, session_id, until) or Folded(session_id, store.projections, opener=store.opener)
    if chain and chain[-1].offset != folded.offset:
        chain = []
    growth, made = _Growth(folded, chain), 0
    async with contextlib.aclosing(entries_behind(store, folded, until)) as pages:
        async for page in pages:
            folded.take(page)
            if not folded.sure:
                break
            if growth.is_due:
                name = await _write(store, folded, names, *growth.next())
                if name is None:
                    break
                growth.made(name)
                names.append(name)
                made += 1
    return made


class _Growth:
    """By how much a session has grown since its bases.

    Args:
        folded: its views, which grow.
        chain: the last base, with those on which it rests; nothing if what is folded is no base of these projections.
    """

    def __init__(self, folded: Folded, chain: Sequence[BaseName]) -> None:
        self._folded = folded
        self._begin = folded.version, folded.weight
        self._whole = chain[0] if chain else None
        self._last = chain[-1] if chain else None
        self._before = _copy(folded.views)

    @property
    def is_due(self) -> bool:
        """Whether a base is to be made now."""
        version, weight = self._begin
        last = self._last
        size = 0 if last is None or last.parent is None else last.size
        events = self._folded.version - version
        return events >= LEAST_EVENTS and (self._is_whole() or self._folded.weight - weight >= _SHARE * size)

    def _is_whole(self) -> bool:
        whole = self._whole
        return whole is None or self._folded.weight - whole.weight >= _SHARE * whole.size

    def next(self) -> tuple[str | None, Views | None]:
        """Return the offset of the base on which the next one rests, and what that one holds; None twice for none."""
        return (None, None) if self._is_whole() or self._last is None else (self._last.offset, self._before)

    def made(self, name: BaseName) -> None:
        """Note that a base was made of what is folded now."""
        self._begin = self._folded.version, self._folded.weight
        self._whole = name if name.parent is None else self._whole
        self._last, self._before = name, _copy(self._folded.views)


def _copy(views: Views) -> Views:
    copied = Views(views.session_id)
    copied.hashes = {spot: dict(fields) for spot, fields in views.hashes.items()}
    copied.sets = {spot: dict(members) for spot, members in views.sets.items()}
    return copied


def _own_chain(store: Store, names: Sequence[BaseName], until: str) -> list[BaseName]:
    """Return the last base of these very projections up to an offset, with those on which it rests."""
    ours = names_of(store.projections)
    for name in [name for name in names if name.projections == ours]:
        if parse_offset(name.offset) <= parse_offset(until) and (chain := chain_of(name, names)):
            return chain
    return []


def _may_be_due(chain: Sequence[BaseName], until: str) -> bool:
    """Whether a base may be due, by what the last one's name says and the usual size of the session's events."""
    if not chain:
        return version_of(until) >= LEAST_EVENTS
    last = chain[-1]
    version = version_of(last.offset)
    events = version_of(until) - version
    grown = events * last.weight // max(1, version)
    return events >= LEAST_EVENTS and (last.parent is None or grown >= _SHARE * last.size)


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
    names = await base_names(store, folded.session_id)
    return folded.sure and await _write(store, folded, names, pinned=pinned) is not None


async def _write(
    store: Store,
    folded: Folded,
    others: Sequence[BaseName],
    parent: str | None = None,
    since: Views | None = None,
    *,
    pinned: bool = False,
) -> BaseName | None:
    """Write a base and return its name; None if it was refused.

    Args:
        store: where the session is kept.
        folded: what it holds.
        others: the bases that are kept already.
        parent: the offset of the base on which it rests, if on any.
        since: what that one holds.
        pinned: see `write`.
    """
    keys, session_id = store.keys, folded.session_id
    name = BaseName(folded.offset, folded.weight, 0, pinned, parent, names_of(store.projections))
    name, value = encode_base(folded.views, name, since)
    replaced = [
        other.field()
        for other in others
        if not other.pinned and (other.offset == name.offset or other.projections != name.projections)
    ]
    gone = [field for field in replaced if field != name.field()][:_MOST_REPLACED]
    answer = await store.server.script(
        _KEEP,
        [keys.log(keys.partition(session_id)), keys.events(session_id), keys.bases(session_id)],
        [store.stamp, name_in_log(session_id), folded.offset, name.field(), value, *gone],
    )
    return name if answer == 1 else None
