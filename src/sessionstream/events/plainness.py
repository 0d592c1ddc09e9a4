"""Whether JSON gives an event back as it is: of most events that is seen sooner than they are read back."""

from __future__ import annotations

import math
import types
import typing
from operator import attrgetter
from typing import Any

import msgspec

__all__ = ["Plainness"]

_ANY = frozenset({str, bool, type(None), dict, list})
_PLAIN = frozenset({str, bool, type(None), msgspec.UnsetType})
_OPEN = (dict, list, dict[str, Any], list[Any])
# Deeper than this is left to those who read it back.
_DEEPEST = 8
_LEAST, _MOST = -(2**63), 2**64 - 1


class Plainness:
    """Knows the classes of plain values that each field of an event type may hold.

    Args:
        cls: the type's class, a `msgspec.Struct`.
    """

    __slots__ = ("_fields", "_shape_of", "_shapes")

    def __init__(self, cls: type) -> None:
        self._fields = {field.name: _classes_of(field) for field in msgspec.structs.fields(cls)}
        # Of a single name it would give no tuple.
        self._shape_of = attrgetter("__class__", "__class__", *[f"{name}.__class__" for name in self._fields])
        # For each shape that was met, the fields that have to be looked into; None where it cannot be plain.
        self._shapes: dict[tuple[type, ...], list[str] | None] = {}

    def holds(self, value: Any) -> bool:
        """Whether an event holds only plain values where its type has them: then every reader gets it back as it is.

        Plain are texts, booleans and nulls; and where the type says no more than that there is JSON, also dicts with
        texts as keys and lists, of these and of numbers, not too deep.

        Args:
            value: an event of this type, of which there is JSON.
        """
        shape = self._shape_of(value)
        try:
            containers = self._shapes[shape]
        except KeyError:
            containers = self._shapes[shape] = self._containers(shape[2:])
        if containers is None:
            return False
        for name in containers:
            held = getattr(value, name)
            if held and not _is_plain(held, _DEEPEST):
                return False
        return True

    def _containers(self, shape: tuple[type, ...]) -> list[str] | None:
        held = dict(zip(self._fields, shape, strict=True))
        if all(held[name] in fitting for name, fitting in self._fields.items()):
            return [name for name, cls in held.items() if cls is dict or cls is list]
        return None


def _classes_of(field: msgspec.structs.FieldInfo) -> frozenset[Any]:
    # What is unset is left out, and read back as the default.
    return _classes(field.type) - (frozenset() if field.default is msgspec.UNSET else {msgspec.UnsetType})


def _classes(annotation: Any) -> frozenset[Any]:
    if annotation is Any:
        return _ANY
    if isinstance(annotation, type) and annotation in _PLAIN:
        return frozenset({annotation})
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        members = typing.get_args(annotation)
        # What is asked of one member is asked of the others too (https://jcristharif.com/msgspec/constraints.html).
        if any(typing.get_origin(member) is typing.Annotated for member in members):
            return frozenset()
        return frozenset(one for member in members for one in _classes(member))
    return frozenset({origin or annotation}) if annotation in _OPEN else frozenset()


def _is_plain(container: Any, levels: int) -> bool:
    if type(container) is dict:
        for key in container:
            if type(key) is not str:
                return False
        container = container.values()
    for item in container:
        kind = type(item)
        if kind is str or kind is bool or item is None:
            continue
        if kind is dict or kind is list:
            if not levels or not _is_plain(item, levels - 1):
                return False
        elif kind is int:
            if not _LEAST <= item <= _MOST:
                return False
        elif kind is not float or not math.isfinite(item):
            return False
    return True
