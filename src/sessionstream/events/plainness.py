"""Whether JSON gives an event back as it is: of most events that is seen sooner than they are read back.

In the same pass it is seen whether an event has a name that tells of a secret: it is looked at name by name anyway.
"""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Callable, Iterator
from keyword import iskeyword
from typing import Any

import msgspec

from sessionstream.redaction.naming import Names, is_clean
from sessionstream.redaction.scanning import BEGINS_JSON

__all__ = ["Plainness"]

_ANY = frozenset({str, bool, type(None), dict, list})
_PLAIN = frozenset({str, bool, type(None), msgspec.UnsetType})
_SCALARS = _PLAIN | {int, float}
_OPEN = (dict, list, dict[str, Any], list[Any])
_UNIONS = (typing.Union, types.UnionType)
# Deeper than this is left to those who read it back.
_DEEPEST = 8
_LEAST, _MOST = -(2**63), 2**64 - 1


class Plainness:
    """Knows the classes of plain values that each field of an event type may hold.

    Args:
        cls: the type's class, a `msgspec.Struct`.

    Attributes:
        holds: called with an event of this type, of which there is JSON, and with which names tell of a secret: whether
            the event holds only plain values where its type has them, so that every reader gets it back as it is; and
            has no name that tells of a secret, neither in itself nor in the JSON that a text holds where the type says
            no more than that there is JSON. Plain are texts, booleans and nulls; and where the type says no more than
            that there is JSON, also dicts with texts as keys and lists, of these and of numbers, not too deep.
    """

    __slots__ = ("_names", "_open", "holds")

    def __init__(self, cls: type) -> None:
        fields = msgspec.structs.fields(cls)
        self._names = [field.encode_name for field in fields]
        # The fields where the type says no more than that there is JSON; None where others are neither that nor simple.
        self._open = _open_fields(cls)
        self.holds = _made_for(self, {field.name: _classes_of(field) for field in fields})

    def passes(self, names: Names) -> bool:
        """Whether the names of its fields tell of no secret, and nothing but names has to be looked at."""
        if names.thorough or not names.are_harmless(self._names):
            return False
        names.passed.add(self)
        return True

    def is_clean(self, event: Any, names: Names) -> bool:
        """Whether an event is known to have no name that tells of a secret.

        Args:
            event: as it is read back.
            names: which names tell of a secret.
        """
        if self._open is None or names.thorough:
            return False
        if not names.harmless.issuperset(self._names) and not names.are_harmless(self._names):
            return False
        return not self._open or is_clean([getattr(event, name) for name in self._open], names)


def _made_for(plainness: Plainness, fields: dict[str, frozenset[Any]]) -> Callable[[Any, Names], bool]:
    """Return the function that looks at one field after the other, made as dataclasses make theirs.

    Every event comes by here: a loop over the fields, or a tuple of their classes to look up, takes twice as long, and
    that is a twentieth of an append.
    """
    known: dict[str, Any] = {"plainness": plainness, "is_plain": _is_plain, "BEGINS_JSON": BEGINS_JSON}
    known |= {"UNSET": msgspec.UNSET} | {f"classes_{place}": one for place, one in enumerate(fields.values())}
    lines = ["def holds(value, names):"]
    lines += [" if plainness not in names.passed and not plainness.passes(names): return False"]
    for place, (name, classes) in enumerate(fields.items()):
        lines += [f" held = {f'getattr(value, {name!r})' if iskeyword(name) else f'value.{name}'}"]
        if msgspec.UnsetType in classes:
            lines += [" if held is not UNSET:"]
        else:
            lines += [" if True:"]
        lines += [f"  {line}" for line in _looks(classes - {msgspec.UnsetType}, f"classes_{place}")]
    exec("\n".join([*lines, " return True"]), known)
    made: Callable[[Any, Names], bool] = known["holds"]
    return made


def _looks(classes: frozenset[Any], called: str) -> Iterator[str]:
    """Yield the lines that look at what a field holds, the usual first."""
    containers = [cls.__name__ for cls in (dict, list) if cls in classes]
    if len(classes) == 1 and classes <= {str, dict, list}:
        [cls] = classes
        yield f"if type(held) is not {cls.__name__}: return False"
        if containers:
            yield f"if held and not is_plain(held, {_DEEPEST}, names): return False"
        return
    yield "kind = type(held)"
    word = "if"
    if str in classes:
        # A text is looked into where the type says no more than that there is JSON.
        looked_into = "if held and held[0] in BEGINS_JSON and not names.pass_text(held): return False"
        yield "if kind is str:"
        yield f" {looked_into}" if dict in classes else " pass"
        word = "elif"
    if containers:
        yield f"{word} {' or '.join(f'kind is {name}' for name in containers)}:"
        yield f" if held and not is_plain(held, {_DEEPEST}, names): return False"
        word = "elif"
    yield f"{word} kind not in {called}: return False"


def _open_fields(cls: type) -> list[str] | None:
    found = []
    for field in msgspec.structs.fields(cls):
        members = typing.get_args(field.type) if typing.get_origin(field.type) in _UNIONS else (field.type,)
        if any(member is Any or member in _OPEN for member in members):
            found.append(field.name)
        elif not all(isinstance(member, type) and member in _SCALARS for member in members):
            return None
    return found


def _classes_of(field: msgspec.structs.FieldInfo) -> frozenset[Any]:
    # What is unset is left out, and read back as the default.
    return _classes(field.type) - (frozenset() if field.default is msgspec.UNSET else {msgspec.UnsetType})


def _classes(annotation: Any) -> frozenset[Any]:
    if annotation is Any:
        return _ANY
    if isinstance(annotation, type) and annotation in _PLAIN:
        return frozenset({annotation})
    origin = typing.get_origin(annotation)
    if origin in _UNIONS:
        members = typing.get_args(annotation)
        # What is asked of one member is asked of the others too (https://jcristharif.com/msgspec/constraints.html).
        if any(typing.get_origin(member) is typing.Annotated for member in members):
            return frozenset()
        return frozenset(one for member in members for one in _classes(member))
    return frozenset({origin or annotation}) if annotation in _OPEN else frozenset()


def _is_plain(container: Any, levels: int, names: Names) -> bool:
    if type(container) is dict:
        # What is no text is none of these names.
        if not names.harmless.issuperset(container) and not names.are_harmless(container):
            return False
        container = container.values()
    for item in container:
        kind = type(item)
        if kind is str:
            if item and item[0] in BEGINS_JSON and not names.pass_text(item):
                return False
        elif kind is bool or item is None:
            continue
        elif kind is dict or kind is list:
            if not levels or not _is_plain(item, levels - 1, names):
                return False
        elif kind is int:
            if not _LEAST <= item <= _MOST:
                return False
        elif kind is not float or not math.isfinite(item):
            return False
    return True
