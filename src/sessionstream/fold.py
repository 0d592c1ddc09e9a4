"""The Python interpreter of view operations: what ``log/operations.lua`` and ``log/memberships.lua`` do in Redis.

Views are held as Redis would hold them, text as bytes and scores as floats, so that the two can be compared.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from sessionstream.events.lifecycle import SessionErased
from sessionstream.events.recorded import RecordedEvent, at_ms, version_of
from sessionstream.projection import (
    HEAD,
    Add,
    Increment,
    Move,
    Operation,
    Place,
    Projection,
    Put,
    Remove,
    Replace,
    Rescore,
    Slide,
    Symbol,
    Unset,
)

__all__ = ["Spot", "Views", "fold"]

_LARGEST = 2**53 - 1
_DIGITS = len(str(_LARGEST))
_INTEGER = re.compile(rb"-?[0-9]+\Z")


class Spot(NamedTuple):
    """One view: whose projection it is, and where that keeps it."""

    projection: str
    place: Place


class Views:
    """What the events of one session make of its views.

    Args:
        session_id: the session, which is the member in every index.

    Attributes:
        hashes: the fields of every hash, by spot; a partition's counters hold this session's share.
        sets: the members and scores of every sorted set, by spot.
    """

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        self.hashes: dict[Spot, dict[bytes, bytes]] = {}
        self.sets: dict[Spot, dict[bytes, float]] = {}

    @property
    def head(self) -> dict[bytes, bytes]:
        """The fields that projections keep in the session's own hash."""
        return self.hashes.setdefault(Spot("", HEAD), {})

    def apply(self, projection: str, operation: Operation, offset: str) -> None:
        """Carry out one operation of an event.

        Args:
            projection: the name of the projection that asks for it.
            operation: what to do.
            offset: of the event.
        """
        _INTERPRETERS[type(operation)](_At(self, projection, offset), operation)

    def empty(self) -> None:
        """Take back all that was made; a view that is empty is as good as none."""
        for fields in self.hashes.values():
            fields.clear()
        for members in self.sets.values():
            members.clear()


class _At:
    """The views, as one event of one projection sees them."""

    def __init__(self, views: Views, projection: str, offset: str) -> None:
        self._views = views
        self._projection = projection
        self._offset = offset
        self.member = views.session_id.encode()
        self.head = views.head

    def _spot(self, place: Place) -> Spot:
        return Spot("" if place.kind == "head" else self._projection, place)

    def hash(self, place: Place) -> dict[bytes, bytes]:
        return self._views.hashes.setdefault(self._spot(place), {})

    def set(self, place: Place) -> dict[bytes, float]:
        return self._views.sets.setdefault(self._spot(place), {})

    def named(self, place: Place, member: str) -> bytes:
        return member.encode() if place.kind == "ranking" else self.member

    def resolve(self, value: Any) -> bytes:
        if isinstance(value, Symbol):
            if value.mark == "@":
                return str(at_ms(self._offset) + int(value.rest or 0)).encode()
            return (str(version_of(self._offset)) if value.mark == "#" else self._offset + value.rest).encode()
        return value if isinstance(value, bytes) else str(value).encode()

    def score(self, value: Any) -> float:
        return float(self.resolve(value))


def _put(at: _At, operation: Put) -> None:
    at.hash(operation.place).update({field.encode(): at.resolve(value) for field, value in operation.fields.items()})


def _unset(at: _At, operation: Unset) -> None:
    fields = at.hash(operation.place)
    for field in operation.fields:
        fields.pop(field.encode(), None)


def _replace(at: _At, operation: Replace) -> None:
    fields, prefix = at.hash(operation.place), operation.prefix.encode()
    for field in [field for field in fields if field.startswith(prefix)]:
        del fields[field]
    fields.update({prefix + field.encode(): at.resolve(value) for field, value in operation.fields.items()})


def _move(at: _At, operation: Move) -> None:
    found = [score for place in operation.among if (score := at.set(place).pop(at.member, None)) is not None]
    if operation.into is not None:
        kept = found[0] if found else 0.0
        at.set(operation.into)[at.member] = kept if operation.score is None else at.score(operation.score)


def _add(at: _At, operation: Add) -> None:
    at.set(operation.place)[at.named(operation.place, operation.member)] = at.score(operation.score)


def _remove(at: _At, operation: Remove) -> None:
    at.set(operation.place).pop(at.named(operation.place, operation.member), None)


def _rescore(at: _At, operation: Rescore) -> None:
    members, member = at.set(operation.place), at.named(operation.place, operation.member)
    if member in members:
        members[member] = at.score(operation.score)


def _increment(at: _At, operation: Increment) -> None:
    fields, field = at.hash(operation.place), operation.field.encode()
    sum_ = _number(fields.get(field, b"")) + int(at.resolve(operation.by))
    fields[field] = str(max(-_LARGEST, min(_LARGEST, sum_))).encode()


def _number(text: bytes) -> int:
    # Python refuses to convert thousands of digits, which Redis reads as infinity.
    if not _INTEGER.match(text) or len(text.lstrip(b"-0")) > _DIGITS:
        return 0
    number = int(text.lstrip(b"-0") or b"0")
    if number > _LARGEST:
        return 0
    return -number if text.startswith(b"-") else number


def _slide(at: _At, operation: Slide) -> None:
    ttl = at.head.get(b"ttl", b"")
    if not ttl or at.head.get(b"sliding") != b"1":
        return
    expiry = at.resolve(Symbol("@", ttl.decode()))
    at.head[b"expires_at"] = expiry
    for place in operation.places:
        if at.member in at.set(place):
            at.set(place)[at.member] = float(expiry)


_INTERPRETERS: dict[type, Callable[[_At, Any], None]] = {
    Put: _put,
    Unset: _unset,
    Replace: _replace,
    Move: _move,
    Add: _add,
    Remove: _remove,
    Rescore: _rescore,
    Increment: _increment,
    Slide: _slide,
}


def fold(
    session_id: str, events: Iterable[RecordedEvent], projections: Sequence[Projection], into: Views | None = None
) -> Views:
    """Return the views that a session's events make, beginning with those given.

    Args:
        session_id: the session.
        events: in their order; entries that do not decode change nothing.
        projections: which to run, in their order.
        into: views of the events before, which are changed; none are the views of no event.

    Raises:
        KeyUnavailable: an event is stored encrypted, and its data key cannot be had.
    """
    views = into if into is not None else Views(session_id)
    for recorded in events:
        event = recorded.foldable
        if event is None:
            continue
        if type(event) is SessionErased:
            views.empty()
        seal = recorded.seal
        for projection in projections:
            operations = projection.operations(session_id, event)
            for operation in operations if seal is None else seal.operations(projection.name, operations):
                views.apply(projection.name, operation, recorded.offset)
    return views
