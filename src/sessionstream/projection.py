"""Projections: pure functions from one event to operations on views, and the operations' meaning over a dict.

The operations are total and deterministic. They run in Redis, inside the append (``log/operations.lua``), and here, over
a dict, for replay; a property test holds the two equal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from sessionstream.errors import EventTypeError

__all__ = [
    "AT",
    "HEAD",
    "OFFSET",
    "VERSION",
    "Add",
    "Increment",
    "Move",
    "Operation",
    "Place",
    "Projection",
    "Put",
    "Remove",
    "Replace",
    "Rescore",
    "Slide",
    "Symbol",
    "Unset",
    "counters",
    "index",
    "ranking",
    "view",
]

_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")


class Symbol(NamedTuple):
    """A value that only the append knows; ``AT + n`` shifts a time, ``OFFSET + text`` adds text."""

    mark: str
    rest: str = ""

    def __add__(self, more: Any) -> Symbol:  # type: ignore[override]
        """Return the time shifted by so many milliseconds, or the offset followed by so much text."""
        if self.mark == "@" and isinstance(more, int):
            return Symbol("@", str(int(self.rest or 0) + more))
        if self.mark == "$" and isinstance(more, str):
            return Symbol("$", self.rest + more)
        raise EventTypeError(f"{more!r} cannot be added to this symbol")


AT = Symbol("@")
"""The milliseconds of the event's offset."""
VERSION = Symbol("#")
"""The event's version."""
OFFSET = Symbol("$")
"""The event's offset."""

Value = str | bytes | int | Symbol
Score = int | float | Symbol


class Place(NamedTuple):
    """Where a view is kept.

    Attributes:
        kind: ``head`` and ``view`` are hashes of one session, ``ranking`` is a sorted set of one session, ``index`` is
            a sorted set of sessions and ``counters`` a hash of integers, both of one partition.
        name: unique in its projection.
        key: tells the indexes of one name apart, such as an agent's id.
    """

    kind: str
    name: str
    key: str = ""


HEAD = Place("head", "")
"""The session's own hash: for the built-in projections."""


def view(name: str) -> Place:
    """Return the place of a hash that belongs to one session."""
    return Place("view", _checked(name))


def ranking(name: str) -> Place:
    """Return the place of a sorted set that belongs to one session."""
    return Place("ranking", _checked(name))


def index(name: str, key: str = "") -> Place:
    """Return the place of a sorted set of sessions, one in each partition; ``key`` tells those of one name apart."""
    return Place("index", _checked(name), key)


def counters(name: str) -> Place:
    """Return the place of a hash of integers, one in each partition."""
    return Place("counters", _checked(name))


class Put(NamedTuple):
    """Set fields of a hash of one session."""

    place: Place
    fields: dict[str, Value]


class Unset(NamedTuple):
    """Remove fields of a hash of one session."""

    place: Place
    fields: Sequence[str]


class Replace(NamedTuple):
    """Make the fields that begin with a prefix exactly these; the names are given without it."""

    place: Place
    prefix: str
    fields: dict[str, Value]


class Move(NamedTuple):
    """Take the session out of all these indexes and put it into one of them, or into none.

    Attributes:
        among: the indexes.
        into: one of them.
        score: in that one; None keeps the score that it had in the first index that held it, or else 0.
    """

    among: Sequence[Place]
    into: Place | None
    score: Score | None = None


class Add(NamedTuple):
    """Put a member into a ranking, or the session into an index, with a score; a present one is rescored."""

    place: Place
    score: Score
    member: str = ""


class Remove(NamedTuple):
    """Take a member out of a ranking, or the session out of an index."""

    place: Place
    member: str = ""


class Rescore(NamedTuple):
    """Give a new score to a member of a ranking, or to the session in an index, if it is there."""

    place: Place
    score: Score
    member: str = ""


class Increment(NamedTuple):
    """Add an integer, or ``AT + n``, to a counter; what is no integer counts as 0, and 2**53 - 1 is never passed."""

    place: Place
    field: str
    by: int | Symbol


class Slide(NamedTuple):
    """If the session's time to live slides, let it begin anew, and rescore the session in these indexes."""

    places: Sequence[Place]


Operation = Put | Unset | Replace | Move | Add | Remove | Rescore | Increment | Slide
Handler = Callable[[str, Any], Iterable[Operation]]


class Projection:
    """A named set of functions from an event of one type to operations.

    Args:
        name: lower case; the views of a projection are kept under it.
        version: raise it when the functions change, then rebuild.
    """

    def __init__(self, name: str, version: int = 1) -> None:
        self.name = _checked(name)
        self.version = version
        self.handlers: dict[type, Handler] = {}
        self.fallback: Handler | None = None

    def on(self, *event_types: type) -> Callable[[Handler], Handler]:
        """Register a pure function ``(session_id, event) -> operations`` for events of these types.

        Raises:
            EventTypeError: one of the types has a function already.
        """

        def register(handler: Handler) -> Handler:
            for event_type in event_types:
                if event_type in self.handlers:
                    raise EventTypeError(f"projection {self.name!r} has a function for {event_type.__name__} already")
                self.handlers[event_type] = handler
            return handler

        return register

    def otherwise(self, handler: Handler) -> Handler:
        """Register the function for events of all other types, known to this process or not."""
        self.fallback = handler
        return handler

    def operations(self, session_id: str, event: Any) -> Iterator[Operation]:
        """Yield the operations that one event means."""
        handler = self.handlers.get(type(event), self.fallback)
        if handler is not None:
            yield from handler(session_id, event)


def _checked(name: str) -> str:
    if not _NAME.match(name):
        raise EventTypeError(f"{name!r} is no name for a projection or a view: lower case letters, digits and _")
    return name
