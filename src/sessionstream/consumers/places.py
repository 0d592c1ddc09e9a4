"""Where a group keeps views: noted in its hash, so that what it has can be removed again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from sessionstream.consumers.committing import Dropped, Operated, owner_of
from sessionstream.log.feed import Pointer
from sessionstream.log.keys import Keys
from sessionstream.projection import Operation, Place, Remove

if TYPE_CHECKING:
    from sessionstream.consumers.held import Held

__all__ = ["Places", "keys_of_partition", "keys_of_session", "places_in"]

_MARK = b"+"


class Places:
    """The places of a group's views in a held partition.

    Args:
        held: the partition.
    """

    def __init__(self, held: Held) -> None:
        self._held = held
        self._known: set[Place] = set()

    def know(self, fields: Mapping[bytes, bytes]) -> None:
        """Take over what holders before this one have noted."""
        self._known |= set(places_in(fields))

    def note(self, operations: Iterable[Operation]) -> None:
        """Note where operations keep something, with the commit that carries them or one before it."""
        for operation in operations:
            first = operation[0]
            for place in (first,) if isinstance(first, Place) else first:
                if place not in self._known:
                    self._known.add(place)
                    self._held.progress.beside.fields[f"+{place.kind}:{place.name}:{place.key}"] = ""

    def removal(self, pointer: Pointer) -> list[Operated]:
        """Return what removes a session from the views, when the group comes to the pointer that tells of its end."""
        session_id, found = pointer.session_id, list[Operated]()
        keys = keys_of_session(self._held.store.keys, self._held.group, session_id, self._known)
        indexes = [Remove(place) for place in self._known if place.kind == "index"]
        if indexes:
            found.append((session_id, pointer.offset, indexes))
        if keys:
            found.append((session_id, pointer.offset, Dropped(keys)))
        return found


def places_in(fields: Iterable[bytes]) -> list[Place]:
    """Return the places that the fields of a group's hash name."""
    names = [field[1:].decode().split(":", 2) for field in fields if field.startswith(_MARK)]
    return [Place(kind, name, key) for kind, name, key in names]


def keys_of_session(keys: Keys, group: str, session_id: str, places: Iterable[Place]) -> Sequence[str]:
    """Return the keys of a session's own views."""
    own = [place for place in places if place.kind in ("view", "ranking")]
    return [keys.place(owner_of(group), place, session_id) for place in own]


def keys_of_partition(keys: Keys, group: str, partition: int, places: Iterable[Place]) -> Sequence[str]:
    """Return the keys of the views that the sessions of a partition share."""
    shared = [place for place in places if place.kind in ("index", "counters")]
    return [keys.partition_place(owner_of(group), place, partition) for place in shared]
