"""An event as it stands in its stream, and what stands there when it cannot be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from sessionstream.errors import CorruptEvent
from sessionstream.events.base import registered, registered_as
from sessionstream.events.context import Meta

__all__ = ["NOWHERE", "RecordedEvent", "UnknownEvent", "UnreadableEvent", "at_ms", "moment", "version_of"]

NOWHERE = "0-0"
_decode_meta = msgspec.json.Decoder(Meta).decode
_NO_META = Meta()


class UnknownEvent(msgspec.Struct, frozen=True):
    """An event of a type, or of a newer version, that this process does not know; its bytes are kept.

    Attributes:
        type: its name.
        schema_version: the version of its schema.
        data: the JSON of its fields.
    """

    type: str
    schema_version: int
    data: bytes


class UnreadableEvent(msgspec.Struct, frozen=True):
    """An entry that does not decode: the replay names it and goes on.

    Attributes:
        problem: what is wrong with it.
        fields: the entry's fields as they are stored.
    """

    problem: str
    fields: dict[bytes, bytes]


def at_ms(offset: str) -> int:
    """Return the milliseconds since 1970 of an offset."""
    return int(offset.partition("-")[0])


def version_of(offset: str) -> int:
    """Return the version of an offset: how many events the session has up to it."""
    return int(offset.partition("-")[2])


def moment(ms: int) -> datetime:
    """Return the aware UTC datetime of milliseconds since 1970."""
    return datetime.fromtimestamp(ms / 1000, UTC)


class RecordedEvent(msgspec.Struct, eq=False, gc=False):
    """One event of a session's history; what is asked of it is decoded when it is first asked for.

    Attributes:
        session_id: the session's id.
        offset: its place in the stream, ``<milliseconds>-<version>``.
        words: the stream entry's fields and values, as stored.
    """

    session_id: str
    offset: str
    words: Sequence[bytes]
    _known_fields: dict[bytes, bytes] | None = None
    _known_data: Any = None
    _known_meta: Meta | None = None
    _problem: str = ""

    @property
    def version(self) -> int:
        """How many events the session has up to this one."""
        return version_of(self.offset)

    @property
    def at(self) -> datetime:
        """When it was appended, by the server's clock."""
        return moment(at_ms(self.offset))

    @property
    def type(self) -> str:
        """The name of its type."""
        return self._fields.get(b"type", b"").decode(errors="replace")

    @property
    def schema_version(self) -> int:
        """The version of its type's schema in which it is stored."""
        raw = self._fields.get(b"v", b"1")
        return int(raw) if raw.isdigit() and len(raw) < 10 else 0

    @property
    def id(self) -> str:
        """Its event id, the same on every retry of the append."""
        return self._fields.get(b"id", b"").decode(errors="replace")

    @property
    def raw(self) -> bytes:
        """The JSON of its fields, as stored."""
        return self._fields.get(b"data", b"")

    @property
    def fields(self) -> Mapping[bytes, bytes]:
        """The stream entry's fields, as stored."""
        return self._fields

    @property
    def _fields(self) -> dict[bytes, bytes]:
        if self._known_fields is None:
            self._known_fields = dict(zip(self.words[::2], self.words[1::2], strict=False))
        return self._known_fields

    @property
    def data(self) -> Any:
        """The typed event, or an `UnknownEvent`, or an `UnreadableEvent`; never raises."""
        if self._known_data is None:
            self._known_data = self._decode()
        return self._known_data

    @property
    def error(self) -> CorruptEvent | None:
        """What is wrong with the entry, if its fields or its context do not decode."""
        self._context()
        problem = self.data.problem if isinstance(self.data, UnreadableEvent) else self._problem
        return CorruptEvent(self.session_id, self.offset, problem) if problem else None

    @property
    def actor(self) -> str | None:
        """Who did it."""
        return self._context().actor

    @property
    def correlation_id(self) -> str | None:
        """The whole to which it belongs."""
        return self._context().correlation_id

    @property
    def causation_id(self) -> str | None:
        """The id of what led to it."""
        return self._context().causation_id

    def _context(self) -> Meta:
        if self._known_meta is None:
            try:
                raw = self._fields.get(b"meta")
                self._known_meta = _decode_meta(raw) if raw else _NO_META
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                self._known_meta, self._problem = _NO_META, f"who did it and why cannot be read: {error}"
        return self._known_meta

    def _decode(self) -> Any:
        # Most entries are whole, and of the first version of a type that is known.
        fields = self._fields
        data, kind = fields.get(b"data"), registered_as(fields.get(b"type", b""))
        if data is not None and kind is not None and kind.version == 1 and b"v" not in fields and b"id" in fields:
            try:
                return kind.read(data)
            except Exception as error:  # a user's model may raise anything at all
                return UnreadableEvent(f"{type(error).__name__}: {error}", fields)
        return self._decode_rare()

    def _decode_rare(self) -> Any:
        missing = [name for name in ("type", "data", "id") if name.encode() not in self._fields]
        if missing:
            return UnreadableEvent(f"it has no field {missing[0]!r}", self._fields)
        version = self.schema_version
        if version < 1:
            return UnreadableEvent("its schema version is no number", self._fields)
        kind = registered(self.type)
        if kind is None or version > kind.version:
            return UnknownEvent(self.type, version, self.raw)
        try:
            return kind.decode(self.raw, version)
        except Exception as error:  # a user's upcaster or model may raise anything at all
            return UnreadableEvent(f"{type(error).__name__}: {error}", self._fields)

    def __repr__(self) -> str:
        return f"<{self.type} {self.offset} of {self.session_id}>"
