"""One call of the append script for a group of appends, as it is sent."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sessionstream.events.base import EventType
from sessionstream.events.lifecycle import SessionCreated
from sessionstream.log.encoding import KeyNumbers
from sessionstream.log.group import Group
from sessionstream.log.keys import Keys
from sessionstream.log.packed_events import field_of, usual_pieces_of
from sessionstream.log.request import Append
from sessionstream.projection import Projection
from sessionstream.projections.directory import looks_at
from sessionstream.wire.packing import bulk, bulks
from sessionstream.wire.scripts import load_script

__all__ = ["APPEND", "APPEND_ALONE", "ScriptCalls"]

APPEND = load_script("sessionstream.log", "append")
APPEND_ALONE = load_script("sessionstream.log", "append_alone")

_EVALSHA = bulk(b"EVALSHA") + bulk(APPEND.sha.encode())
_ALL_USUAL = {False: bulk(b"u"), True: bulk(b"us")}
_ALL_USUAL_OF_ONE_TYPE = {False: bulk(b"un"), True: bulk(b"usn")}
# How a call begins that holds one append of the usual form: three keys; the stamp, a session, and two words.
_ALONE = b"*10\r\n%b%b%b" % (bulk(b"EVALSHA"), bulk(APPEND_ALONE.sha.encode()), bulk(b"3"))


class ScriptCalls:
    """Packs calls of the append script; see ``append.lua`` for its arguments.

    Args:
        keys: the names of the namespace's keys.
        projections: the inline projections.
        stamp: the mark of the namespace that this process can write to.
    """

    def __init__(self, keys: Keys, projections: Sequence[Projection], stamp: str) -> None:
        self._keys = keys
        self._projections = projections
        self._quiet = _QuietTypes(projections)
        self._stamp = bulk(stamp.encode())

    def pack(self, group: Group) -> list[bytes]:
        """Return the call for the appends of a group, in pieces."""
        partition, appends = group.partition, group.appends
        count, kinds = len(appends), group.usual_types
        if self._quiet.holds(kinds):
            if count == 1 and not group.unusual:
                return self._alone(appends[0])
            again, more = len(group.sessions) < count, list[str]()
            if len(kinds) == 1:
                [kind] = kinds
                mode, number, words = _ALL_USUAL_OF_ONE_TYPE[again], 1 + count, [field_of(kind)]
                words += usual_pieces_of(appends, kind)
            else:
                mode, number, words = _ALL_USUAL[again], 2 * count, usual_pieces_of(appends, None)
        else:
            more, number, mode, words = self._forms(partition, appends)
        keys = 2 + count + len(more)
        parts = [b"*%d\r\n%b%b" % (6 + keys + count + number, _EVALSHA, bulk(b"%d" % keys))]
        parts.append(self._keys.declared(partition))
        parts += [request.route.declared for request in appends]
        parts += (bulks(more) if more else b"", self._stamp, bulk(b"%d" % count), mode)
        parts += [request.route.named for request in appends]
        return parts + words

    def pack_alone(self, append: Append) -> bytes | None:
        """Return the call for one append of the usual form, or None if its event changes a view."""
        return b"".join(self._alone(append)) if self._quiet.holds((append.usual,)) else None

    def _alone(self, append: Append) -> list[bytes]:
        route = append.route
        declared = self._keys.declared(route.partition)
        return [_ALONE, declared, route.declared, self._stamp, route.named, *usual_pieces_of((append,), None)]

    def _forms(self, partition: int, appends: Sequence[Append]) -> tuple[list[str], int, bytes, list[bytes]]:
        """Return further keys, how many words there are, what they need, and the words; each append says its form."""
        operating = not all(self._is_silent(request) for request in appends)
        guarded = any(request.guarded for request in appends)
        projections = self._projections if operating else None
        numbers = KeyNumbers([self._keys.log(partition), self._keys.feed(partition)])
        numbers.keys += [request.route.events for request in appends]
        known = len(numbers.keys)
        kinds = {kind for request in appends for kind in request.types}
        shared = next(iter(kinds)) if len(kinds) == 1 else None
        words, pieces = (0, list[bytes]()) if shared is None else (1, [field_of(shared)])
        for request in appends:
            count, its_pieces = request.words(self._keys, numbers, projections, shared)
            words += count
            pieces += its_pieces
        mode = "fs" + "o" * operating + "g" * guarded + "n" * (shared is not None)
        return numbers.keys[known:], words, bulk(mode.encode()), pieces

    def _is_silent(self, request: Append) -> bool:
        """Whether no event of an append changes a view."""
        if request.sliding or request.guards.claims:
            return False
        return self._quiet.holds(request.types)


class _QuietTypes(dict[EventType | None, bool]):
    """Whether no projection makes anything of an event type, but the one by which sessions slide that do so."""

    def __init__(self, projections: Sequence[Projection]) -> None:
        super().__init__()
        self._projections = projections
        self._revision = -1

    def holds(self, kinds: Collection[EventType | None]) -> bool:
        """Whether all of these are such types; None is not."""
        if self._revision != Projection.revision:
            # A function that was registered since may have changed anything.
            self.clear()
            self._revision = Projection.revision
        return all([self[kind] for kind in kinds])  # noqa: C419 - a generator is slower

    def __missing__(self, kind: EventType | None) -> bool:
        cls = None if kind is None else kind.cls
        changes = cls is None or cls is SessionCreated or any(looks_at(one, cls) for one in self._projections)
        self[kind] = quiet = not changes
        return quiet
