"""A base snapshot as it is stored: its name says what it holds, a digest that it is whole.

A base holds the views as they are, or, where these are large, what differs from those of a base before it.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

import msgspec

from sessionstream.fold import Spot, Views
from sessionstream.projection import Place, Projection

__all__ = ["BaseName", "apply_base", "encode_base", "names_of"]

_NAME = re.compile(r"(\d{1,20}-\d{1,20}) (\d{1,20}) (\d{1,20}) (-|p|\d{1,20}-\d{1,20}) (\S+)\Z")
_FORMAT = b"base 1"
_DIGEST = 32
# Small views are what there mostly is; of large ones a higher level takes more time than it saves bytes.
_LEVEL = 1
_Value = TypeVar("_Value", bytes, float)


class BaseName(NamedTuple):
    """What the name of a base says.

    Attributes:
        offset: of the last event that it holds.
        weight: bytes of the events that it holds.
        size: bytes of the base.
        pinned: whether events before it may be gone, so that it must not be left out.
        parent: the offset of the base from which it tells what differs; None if it is whole.
        projections: names and versions of those that made it.
    """

    offset: str
    weight: int
    size: int
    pinned: bool
    parent: str | None
    projections: tuple[str, ...]

    @classmethod
    def parse(cls, field: bytes) -> BaseName | None:
        """Return what a field of the hash says, or None if it is none of ours."""
        found = _NAME.match(field.decode(errors="replace"))
        if found is None:
            return None
        offset, weight, size, kind, projections = found.groups()
        parent = None if kind in ("-", "p") else kind
        return cls(offset, int(weight), int(size), kind == "p", parent, tuple(projections.split(",")))

    def field(self) -> str:
        """Return the field of the hash."""
        kind = self.parent or ("p" if self.pinned else "-")
        return f"{self.offset} {self.weight} {self.size} {kind} {','.join(self.projections)}"


class _Content(msgspec.Struct, array_like=True):
    """For each view its spot, what is new or other in it, and what is gone."""

    hashes: list[tuple[str, str, str, str, dict[bytes, bytes], list[bytes]]]
    sets: list[tuple[str, str, str, str, dict[bytes, float], list[bytes]]]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Content).decode


def names_of(projections: Sequence[Projection]) -> tuple[str, ...]:
    """Return the names of projections, each with its version."""
    return tuple(f"{projection.name}:{projection.version}" for projection in projections)


def encode_base(views: Views, name: BaseName, since: Views | None = None) -> tuple[BaseName, bytes]:
    """Return the name and the value of a base.

    Args:
        views: what it holds.
        name: its name, but for the size.
        since: what its parent holds, if it has one.
    """
    content = _Content(
        list(_differences(views.hashes, {} if since is None else since.hashes)),
        list(_differences(views.sets, {} if since is None else since.sets)),
    )
    packed = zlib.compress(_encode(content), _LEVEL)
    name = name._replace(size=_DIGEST + len(packed))
    return name, _digest(views.session_id, name, packed) + packed


def _differences(
    now: Mapping[Spot, dict[bytes, _Value]], before: Mapping[Spot, dict[bytes, _Value]]
) -> Iterator[tuple[str, str, str, str, dict[bytes, _Value], list[bytes]]]:
    for spot, content in now.items():
        old = before.get(spot, {})
        other = {name: value for name, value in content.items() if old.get(name) != value}
        gone = [name for name in old if name not in content]
        if other or gone:
            place = spot.place
            yield spot.projection, place.kind, place.name, place.key, other, gone


def apply_base(views: Views, name: BaseName, value: bytes, projections: Sequence[Projection]) -> bool:
    """Make of the views of a base's parent, or of none, those that the base holds.

    Args:
        views: which are changed.
        name: the name under which the base was found.
        value: what was found.
        projections: those whose views are wanted, all of which have made it.

    Returns:
        False if it is damaged, or another session's; then nothing is changed.
    """
    packed = value[_DIGEST:]
    if value[:_DIGEST] != _digest(views.session_id, name, packed):
        return False
    try:
        content = _decode(zlib.decompress(packed))
    except (zlib.error, msgspec.MsgspecError):
        return False
    wanted = {"", *(projection.name for projection in projections)}
    _apply(views.hashes, content.hashes, wanted)
    _apply(views.sets, content.sets, wanted)
    return True


def _apply(
    views: dict[Spot, dict[bytes, _Value]],
    content: list[tuple[str, str, str, str, dict[bytes, _Value], list[bytes]]],
    wanted: set[str],
) -> None:
    for made, kind, name, key, other, gone in content:
        if made in wanted:
            spot = Spot(made, Place(kind, name, key))
            if spot in views:
                views[spot].update(other)
                for one in gone:
                    views[spot].pop(one, None)
            else:
                views[spot] = other


def _digest(session_id: str, name: BaseName, packed: bytes) -> bytes:
    digest = hashlib.sha256()
    for part in (_FORMAT, session_id.encode(), name.field().encode(), packed):
        digest.update(b"%d:" % len(part) + part)
    return digest.digest()
