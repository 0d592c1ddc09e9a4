"""A base snapshot as it is stored: its name says what it holds, a digest that it is whole."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from sessionstream.bases.folded import Folded
from sessionstream.fold import Spot, Views
from sessionstream.projection import Place, Projection

__all__ = ["BaseName", "decode_base", "encode_base", "names_of"]

_NAME = re.compile(r"(\d{1,20}-\d{1,20}) (\d{1,20}) (\d{1,20}) ([-p]) (\S+)\Z")
_FORMAT = b"base 1"
_DIGEST = 32
# Small views are what there mostly is; of large ones a higher level takes more time than it saves bytes.
_LEVEL = 1


class BaseName(NamedTuple):
    """What the name of a base says.

    Attributes:
        offset: of the last event that it holds.
        weight: bytes of the events that it holds.
        size: bytes of the base.
        pinned: whether events before it may be gone, so that it must not be left out.
        projections: names and versions of those that made it.
    """

    offset: str
    weight: int
    size: int
    pinned: bool
    projections: tuple[str, ...]

    @classmethod
    def parse(cls, field: bytes) -> BaseName | None:
        """Return what a field of the hash says, or None if it is none of ours."""
        found = _NAME.match(field.decode(errors="replace"))
        if found is None:
            return None
        offset, weight, size, pinned, projections = found.groups()
        return cls(offset, int(weight), int(size), pinned == "p", tuple(projections.split(",")))

    def field(self) -> str:
        """Return the field of the hash."""
        pinned = "p" if self.pinned else "-"
        return f"{self.offset} {self.weight} {self.size} {pinned} {','.join(self.projections)}"


class _Content(msgspec.Struct, array_like=True):
    hashes: list[tuple[str, str, str, str, dict[bytes, bytes]]]
    sets: list[tuple[str, str, str, str, dict[bytes, float]]]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Content).decode


def names_of(projections: Sequence[Projection]) -> tuple[str, ...]:
    """Return the names of projections, each with its version."""
    return tuple(f"{projection.name}:{projection.version}" for projection in projections)


def encode_base(folded: Folded, projections: Sequence[Projection], *, pinned: bool) -> tuple[BaseName, bytes]:
    """Return the name and the value of a base."""
    views = folded.views
    content = _Content(
        [(spot.projection, *spot.place, fields) for spot, fields in views.hashes.items() if fields],
        [(spot.projection, *spot.place, members) for spot, members in views.sets.items() if members],
    )
    packed = zlib.compress(_encode(content), _LEVEL)
    name = BaseName(folded.offset, folded.weight, _DIGEST + len(packed), pinned, names_of(projections))
    return name, _digest(folded.session_id, name, packed) + packed


def decode_base(session_id: str, name: BaseName, value: bytes, projections: Sequence[Projection]) -> Folded | None:
    """Return the views that a base holds of some projections, or None if it is damaged, or another session's.

    Args:
        session_id: the session.
        name: the name under which it was found.
        value: what was found.
        projections: those whose views are wanted, all of which have made it.
    """
    packed = value[_DIGEST:]
    if value[:_DIGEST] != _digest(session_id, name, packed):
        return None
    try:
        content = _decode(zlib.decompress(packed))
    except (zlib.error, msgspec.MsgspecError):
        return None
    wanted = {"", *(projection.name for projection in projections)}
    views = Views(session_id)
    views.hashes = {Spot(made, Place(*place)): held for made, *place, held in content.hashes if made in wanted}
    views.sets = {Spot(made, Place(*place)): held for made, *place, held in content.sets if made in wanted}
    return Folded(session_id, projections, views, name.offset, name.weight, name.size)


def _digest(session_id: str, name: BaseName, packed: bytes) -> bytes:
    digest = hashlib.sha256()
    for part in (_FORMAT, session_id.encode(), name.field().encode(), packed):
        digest.update(b"%d:" % len(part) + part)
    return digest.digest()
