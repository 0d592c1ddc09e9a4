"""What is encrypted of views: texts that come from what users say; numbers, ids, times and states stay as they are.

The scripts calculate with numbers, and look for ids, times and states.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sessionstream.encryption.ciphers import encrypt_derived, place_of
from sessionstream.encryption.data_keys import DataKey
from sessionstream.events.encrypted import text_of_envelope
from sessionstream.projection import Place, Put, Replace, Symbol
from sessionstream.projections import BUILT_IN
from sessionstream.projections.checkpoints import NO_LABEL
from sessionstream.projections.retention import HOLD
from sessionstream.projections.session import METADATA

__all__ = ["EventSeal", "text_place", "view_place"]

_OWN = frozenset(projection.name for projection in BUILT_IN)
_NUMBER = re.compile(rb"-?[0-9]{1,16}\Z")


def view_place(session_id: str, owner: str, place: Place, field: str) -> bytes:
    """Return what binds a value to a field of a view."""
    head = place.kind == "head"
    return place_of("view", session_id, "" if head else owner, place.kind, place.name, field)


def text_place(session_id: str, place: str) -> bytes:
    """Return what binds a text to a session and a place that is named."""
    return place_of("text", session_id, place)


class EventSeal:
    """Encrypts what is derived from one event, with the key that the event is encrypted with.

    Args:
        key: the event's.
        session_id: its session.
        event_id: its id.
    """

    __slots__ = ("_event_id", "_key", "_session_id")

    def __init__(self, key: DataKey, session_id: str, event_id: bytes) -> None:
        self._key = key
        self._session_id = session_id
        self._event_id = event_id

    def text(self, place: str, text: str) -> str:
        """Return a text encrypted, bound to the event's session and to a place."""
        return self._encrypted(text_place(self._session_id, place), text.encode())

    def operations(self, owner: str, operations: Iterable[Any]) -> Iterator[Any]:
        """Yield view operations with their texts encrypted; see `sessionstream.events.encrypted.Seal`."""
        for operation in operations:
            if isinstance(operation, Put):
                yield operation._replace(fields=self._fields(owner, operation.place, "", operation.fields))
            elif isinstance(operation, Replace):
                fields = self._fields(owner, operation.place, operation.prefix, operation.fields)
                yield operation._replace(fields=fields)
            else:
                yield operation

    def _fields(self, owner: str, place: Place, prefix: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        private = _private_of_ours if owner in _OWN else _private
        sealed: dict[str, Any] = {}
        for field, value in fields.items():
            known, raw = private(place, prefix + field, value)
            if raw is not None:
                text = self._encrypted(view_place(self._session_id, owner, place, prefix + field), raw)
                value = Symbol(value.mark, known + text) if isinstance(value, Symbol) else text
            sealed[field] = value
        return sealed

    def _encrypted(self, place: bytes, plain: bytes) -> str:
        return text_of_envelope(encrypt_derived(self._key, place, self._event_id, plain))


def _private(place: Place, field: str, value: Any) -> tuple[str, bytes | None]:
    """Return what of a value stays in front as it is, and what is encrypted, or None: of a user's own projection."""
    if isinstance(value, Symbol):
        return "", value.rest.encode() if value.mark == "$" and value.rest else None
    if not isinstance(value, str | bytes):
        return "", None
    raw = value.encode() if isinstance(value, str) else value
    # What is a number may be counted on by an Increment.
    return "", None if _NUMBER.match(raw) else raw


def _private_of_ours(place: Place, field: str, value: Any) -> tuple[str, bytes | None]:
    """Return the same for a built-in projection: metadata, the labels of checkpoints, and the reasons of holds."""
    if place.kind == "head" and field.startswith(METADATA):
        return "", value.encode() if isinstance(value, str) else value
    if place.kind == "head" and field.startswith(HOLD):
        return " ", value.rest[1:].encode()
    if place.kind == "view" and place.name == "saved":
        known, _, label = value.rest.rpartition(" ") if value.rest.endswith(f" {NO_LABEL}") else _labelled(value.rest)
        # That a checkpoint has no label is asked by who removes those that are too many.
        return known + " ", None if label == NO_LABEL else label.encode()
    return "", None


def _labelled(rest: str) -> tuple[str, str, str]:
    known = rest.split(" ", 4)
    return " ".join(known[:4]), " ", known[4]
