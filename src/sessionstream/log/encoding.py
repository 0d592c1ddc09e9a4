"""View operations as the words that the append script reads, and the keys that they need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sessionstream.errors import EventTypeError, InvalidArgument
from sessionstream.events.encrypted import Seal
from sessionstream.log.keys import Keys
from sessionstream.projection import (
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

__all__ = ["KeyNumbers", "Word", "encode_each", "encode_operations", "encode_put"]

Word = str | bytes | int
_LARGEST = 2**53 - 1


class KeyNumbers:
    """The keys that one script call declares, each with its number, from 1.

    Args:
        first: keys that the script knows by their place.
    """

    def __init__(self, first: list[str]) -> None:
        self.keys = first
        self._numbers: dict[str, int] = {}

    def __getitem__(self, key: str) -> int:
        """Return the number of a key, declaring it if it is new."""
        if not self._numbers:
            self._numbers = {known: number for number, known in enumerate(self.keys, 1)}
        number = self._numbers.get(key)
        if number is None:
            self.keys.append(key)
            number = self._numbers[key] = len(self.keys)
        return number


def encode_put(key_number: int, pairs: Iterable[tuple[str, str | bytes]]) -> list[Word]:
    """Return the words that put plain text into a hash."""
    words: list[Word] = [key_number]
    for field, value in pairs:
        words += (field, b"=" + (value.encode() if isinstance(value, str) else value))
    return ["put", len(words), *words]


def encode_operations(
    session_id: str,
    event: Any,
    projections: Sequence[Projection],
    keys: Keys,
    numbers: KeyNumbers,
    *,
    sliding: bool,
    seal: Seal | None = None,
) -> tuple[int, list[Word]]:
    """Return how many operations an event means, and their words.

    Args:
        session_id: the session.
        event: the typed event.
        projections: which to run, in their order.
        keys: the names of the namespace's keys.
        numbers: the keys of the call; those of the operations are added.
        sliding: whether the session's time to live slides; if not, the operations for that are left out.
        seal: what encrypts what is derived from the event, if it is stored encrypted.
    """
    count, words = 0, list[Word]()
    for projection in projections:
        operations: Iterable[Operation] = projection.operations(session_id, event)
        if seal is not None:
            operations = seal.operations(projection.name, operations)
        if not sliding:
            operations = (operation for operation in operations if not isinstance(operation, Slide))
        more, added = encode_each(projection.name, session_id, operations, keys, numbers)
        count, words = count + more, words + added
    return count, words


def encode_each(
    owner: str, session_id: str, operations: Iterable[Operation], keys: Keys, numbers: KeyNumbers
) -> tuple[int, list[Word]]:
    """Return how many operations there are, and their words.

    Args:
        owner: under whose name the views are kept.
        session_id: the session.
        operations: what to do.
        keys: the names of the namespace's keys.
        numbers: the keys of the call; those of the operations are added.
    """
    count, words, encoder = 0, list[Word](), _Encoder(owner, session_id, keys, numbers)
    for operation in operations:
        name, arguments = _encode(operation, encoder)
        count += 1
        words += (name, len(arguments), *arguments)
    return count, words


class _Encoder:
    def __init__(self, projection: str, session_id: str, keys: Keys, numbers: KeyNumbers) -> None:
        self._projection = projection
        self._keys = keys
        self._numbers = numbers
        self.session_id = session_id

    def number(self, place: Place) -> int:
        return self._numbers[self._keys.place(self._projection, place, self.session_id)]

    def member(self, place: Place, member: str) -> str:
        if place.kind != "ranking":
            return self.session_id
        if not member:
            raise EventTypeError(f"projection {self._projection!r}: a member of a ranking has a name")
        return member

    def pairs(self, place: Place, prefix: str, fields: Mapping[str, Any]) -> list[Word]:
        # A hash that is no head holds a field '' for as long as it exists: see log/memberships.lua.
        words: list[Word] = [] if place.kind == "head" else ["", "="]
        for field, value in fields.items():
            if not prefix + field:
                raise self.nameless()
            words += (prefix + field, _value(value))
        return words

    def nameless(self) -> InvalidArgument:
        return InvalidArgument(f"projection {self._projection!r}: a field has a name")


def _encode(operation: Operation, at: _Encoder) -> tuple[str, list[Word]]:
    match operation:
        case Put(place, fields):
            return "put", [at.number(place), *at.pairs(place, "", fields)]
        case Unset(place, names):
            if "" in names:
                raise at.nameless()
            return "unset", [at.number(place), *names]
        case Replace(place, prefix, fields):
            return "replace", [at.number(place), prefix, *at.pairs(place, prefix, fields)]
        case Move(among, into, score):
            chosen = 0 if into is None else among.index(into) + 1
            return "move", [
                len(among),
                *(at.number(place) for place in among),
                chosen,
                at.session_id,
                "" if score is None else _value(score),
            ]
        case Add(place, score, member):
            return "add", [at.number(place), _value(score), at.member(place, member)]
        case Rescore(place, score, member):
            return "rescore", [at.number(place), _value(score), at.member(place, member)]
        case Remove(place, member):
            return "remove", [at.number(place), at.member(place, member)]
        case Increment(place, field, by):
            if not field:
                raise at.nameless()
            return "increment", [at.number(place), field, _value(by)]
        case Slide(places):
            return "slide", [at.session_id, *(at.number(place) for place in places)]


def _value(value: Any) -> Word:
    if isinstance(value, Symbol):
        return value.mark + (value.rest or "0" if value.mark == "@" else value.rest)
    if isinstance(value, bytes):
        return b"=" + value
    if isinstance(value, int) and abs(value) > _LARGEST:
        raise InvalidArgument(f"{value} is beyond ±(2**53 - 1), which is as far as a view can count")
    return f"={value}"
