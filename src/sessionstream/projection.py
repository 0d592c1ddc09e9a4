"""Projections: pure functions from one event to operations on views, and the operations' meaning over a dict.

The operations are total and deterministic. They run in Redis, inside the append (``log/operations.lua``), and in
``fold.py``, over a dict, for replay; a property test holds the two equal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from sessionstream.errors import EventTypeError, InvalidArgument, SessionStreamError
from sessionstream.events.lifecycle import EventErased, SessionErased

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
    "check_for_group",
    "check_operation",
    "counters",
    "index",
    "nothing",
    "ranking",
    "view",
]

_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
_FARTHEST = 2**52


class Symbol(NamedTuple):
    """A value that only the append knows; ``AT + n`` shifts a time, ``OFFSET + text`` adds text."""

    mark: str
    rest: str = ""

    def __add__(self, more: Any) -> Symbol:
        """Return the time shifted by so many milliseconds, or the offset followed by so much text."""
        if self.mark == "@" and isinstance(more, int):
            shift = int(self.rest or 0) + more
            # Redis adds in floating point: beyond this the sum would not be exact there.
            if abs(shift) > _FARTHEST:
                raise InvalidArgument(f"AT is shifted by {shift} ms, which is beyond ±2**52")
            return Symbol("@", str(shift))
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
    fields: Mapping[str, Value]


class Unset(NamedTuple):
    """Remove fields of a hash of one session."""

    place: Place
    fields: Sequence[str]


class Replace(NamedTuple):
    """Make the fields that begin with a prefix exactly these; the names are given without it."""

    place: Place
    prefix: str
    fields: Mapping[str, Value]


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
    """Add an integer, or ``AT + n``, to a counter or to a field of a session's hash.

    What is no integer counts as 0, and 2**53 - 1 is never passed.
    """

    place: Place
    field: str
    by: int | Symbol


class Slide(NamedTuple):
    """If the session's time to live slides, let it begin anew, and rescore the session in these indexes."""

    places: Sequence[Place]


Operation = Put | Unset | Replace | Move | Add | Remove | Rescore | Increment | Slide
Handler = Callable[[str, Any], Iterable[Operation]]


def nothing(session_id: str, event: Any) -> Iterable[Operation]:
    """Make nothing of an event."""
    return ()


class Projection:
    """A named set of functions from an event of one type to operations.

    Args:
        name: lower case; the views of a projection are kept under it.
        version: raise it when the functions change, then rebuild.

    Attributes:
        handlers: the functions by the types of events; of what was erased `nothing` is made, unless one says otherwise.
        revision: grows with every function that is registered, for any projection of the process.
    """

    revision: ClassVar[int] = 0

    def __init__(self, name: str, version: int = 1) -> None:
        self.name = _checked(name)
        self.version = version
        self.handlers: dict[type, Handler] = {EventErased: nothing, SessionErased: nothing}
        self.fallback: Handler | None = None

    def on(self, *event_types: type) -> Callable[[Handler], Handler]:
        """Register a pure function ``(session_id, event) -> operations`` for events of these types.

        Raises:
            EventTypeError: one of the types has a function already.
        """

        def register(handler: Handler) -> Handler:
            for event_type in event_types:
                if self.handlers.get(event_type, nothing) is not nothing:
                    raise EventTypeError(f"projection {self.name!r} has a function for {event_type.__name__} already")
                self.handlers[event_type] = handler
                Projection.revision += 1
            return handler

        return register

    def otherwise(self, handler: Handler) -> Handler:
        """Register the function for events of all other types, known to this process or not."""
        self.fallback = handler
        Projection.revision += 1
        return handler

    def operations(self, session_id: str, event: Any) -> Iterator[Operation]:
        """Yield the operations that one event means.

        Raises:
            EventTypeError: the function failed, or what it gave is no operation that always succeeds.
        """
        handler = self.handlers.get(type(event), self.fallback)
        if handler is None:
            return
        try:
            for operation in handler(session_id, event):
                check_operation(operation)
                yield operation
        except SessionStreamError:
            raise
        except Exception as error:  # a user's function may raise anything at all
            raise EventTypeError(f"projection {self.name!r} failed on {type(event).__name__}: {error!r}") from error


_HASH, _SET = ("head", "view"), ("ranking", "index")
_KINDS: dict[type, tuple[str, ...]] = {
    Put: _HASH,
    Unset: _HASH,
    Replace: _HASH,
    Move: ("index",),
    Add: _SET,
    Remove: _SET,
    Rescore: _SET,
    Increment: ("view", "counters"),
    Slide: ("index",),
}


def check_operation(operation: Any) -> None:
    """Raise `EventTypeError` for what would fail in Redis halfway through, or would mean something else there."""
    kinds = _KINDS.get(type(operation))
    if kinds is None:
        raise EventTypeError(f"{operation!r} is no operation")
    first = operation[0]
    for place in (first,) if isinstance(first, Place) else first:
        if place.kind not in kinds:
            name, fitting = type(operation).__name__, " or ".join(kinds)
            raise EventTypeError(f"{name} is for a place that is a {fitting}, not {place!r}")
    if isinstance(operation, Add | Rescore):
        _check_score(operation.score)
    elif isinstance(operation, Move):
        if operation.into is not None and operation.into not in operation.among:
            raise EventTypeError(f"{operation.into!r} is not among the places of its Move")
        if operation.score is not None:
            _check_score(operation.score)
    elif isinstance(operation, Increment):
        by = operation.by
        if isinstance(by, bool) or not (by.mark != "$" if isinstance(by, Symbol) else isinstance(by, int)):
            raise EventTypeError(f"a counter is incremented by an int, AT or VERSION, not by {by!r}")


def check_for_group(operation: Operation) -> None:
    """Refuse what only the store's own projections may do: to change the head, or to let a session slide."""
    if isinstance(operation, Slide) or getattr(operation[0], "kind", "") == "head":
        raise EventTypeError(f"{operation!r} is for the store's own projections")


def _check_score(score: Any) -> None:
    if isinstance(score, Symbol):
        number = score.mark != "$"
    else:
        number = isinstance(score, int | float) and not isinstance(score, bool) and score == score
    if not number:
        raise EventTypeError(f"a score is a number, AT or VERSION, not {score!r}")


def _checked(name: str) -> str:
    if not _NAME.match(name):
        raise EventTypeError(f"{name!r} is no name for a projection or a view: lower case letters, digits and _")
    return name
