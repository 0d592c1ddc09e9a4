"""An event as it stands in its stream, and what stands there when it cannot be read.

An entry has one field, which is called like the event's type, with ``@`` and its schema's version where that is not 1.
Its value is the event's id, of 22 characters, and behind it the JSON of the event's fields. A second field, ``meta``,
is the JSON of who did it and why, where that is known. Named fields for each of these cost the server a sixth more.
Where it is stored encrypted, both are in what stands behind the id; see `sessionstream.events.encrypted`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

from sessionstream.errors import CorruptEvent, EncryptionError, KeyDestroyed
from sessionstream.events.base import registered, types_by_word
from sessionstream.events.context import Meta
from sessionstream.events.encrypted import FIRST_BYTE, NO_KEYS, EncryptedEvent, Envelope, Opened, Opener, Seal

__all__ = [
    "NOWHERE",
    "RecordedEvent",
    "UnknownEvent",
    "UnreadableEvent",
    "at_ms",
    "halves_of",
    "moment",
    "payload_of",
    "version_of",
]

NOWHERE = "0-0"
_decode_meta = msgspec.json.Decoder(Meta).decode
_NO_META = Meta()
_USUAL = 2
_ID = 22
_LAST_MS = 253_402_300_799_999  # the end of the year 9999


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


def halves_of(offset: bytes) -> tuple[int, int]:
    """Return the milliseconds and the version of an offset, as the server gives it."""
    ms, _, version = offset.partition(b"-")
    return int(ms), int(version)


def payload_of(words: Sequence[bytes]) -> bytes:
    """Return what stands behind the event's id in an entry's fields and values."""
    return words[1][_ID:] if len(words) > 1 else b""


def version_of(offset: str) -> int:
    """Return the version of an offset: how many events the session has up to it."""
    return int(offset.partition("-")[2])


@lru_cache(1024)
def moment(ms: int) -> datetime:
    """Return the aware UTC datetime of milliseconds since 1970."""
    # No append writes what no datetime can tell; an entry that somebody put into the stream stops no replay.
    return datetime.fromtimestamp(min(ms, _LAST_MS) / 1000, UTC)


class RecordedEvent(msgspec.Struct, eq=False, gc=False):
    """One event of a session's history; what is asked of it is decoded when it is first asked for.

    Attributes:
        session_id: the session's id.
        offset: its place in the stream, ``<milliseconds>-<version>``.
        words: the stream entry's fields and values, as stored.
        opener: what decrypts it, if it is encrypted; None where nobody does.
    """

    session_id: str
    offset: str
    words: Sequence[bytes]
    opener: Opener | None = None
    _known_data: Any = None
    _known_meta: Meta | None = None
    _problem: str = ""
    _opened: Opened | None = None

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
        return self._head.partition(b"@")[0].decode(errors="replace")

    @property
    def schema_version(self) -> int:
        """The version of its type's schema in which it is stored; 0 if that is no number."""
        _, marked, version = self._head.partition(b"@")
        if not marked:
            return 1
        return int(version) if version.isdigit() and len(version) < 10 else 0

    @property
    def id(self) -> str:
        """Its event id, the same on every retry of the append."""
        return self._value[:_ID].decode(errors="replace")

    @property
    def raw(self) -> bytes:
        """The JSON of its fields, as stored; ciphertext where it is stored encrypted."""
        return self._value[_ID:]

    @property
    def encrypted(self) -> bool:
        """Whether it is stored encrypted."""
        value = self._value
        return len(value) > _ID and value[_ID] == FIRST_BYTE

    @property
    def plain(self) -> bytes:
        """The JSON of its fields, decrypted if it is stored encrypted; ciphertext that is damaged is as it is stored.

        Of an event whose key was destroyed that is what is stored of it in plain text: ids, times, states, or nothing.

        Raises:
            KeyUnavailable: it is encrypted, and its data key cannot be had.
        """
        if not self.encrypted:
            return self.raw
        try:
            return self._open().data
        except KeyDestroyed:
            return Envelope.unpacked(self.raw).plain
        except ValueError:
            return self.raw

    def require_key(self) -> None:
        """Raise `KeyUnavailable` if it is stored encrypted, and its data key cannot be had."""
        if self.encrypted and isinstance(self.data, EncryptedEvent) and not isinstance(self.data.error, KeyDestroyed):
            raise self.data.error

    @property
    def known(self) -> Any:
        """The same as ``data``; of an event that cannot be decrypted, what is stored of it in plain text, or None."""
        return self.data.known if isinstance(self.data, EncryptedEvent) else self.data

    @property
    def seal(self) -> Seal | None:
        """What encrypts what is derived from it; None if it is stored in plain text, or cannot be decrypted."""
        return self._opened.seal if self.data is not None and self._opened is not None else None

    @property
    def raw_meta(self) -> bytes:
        """The JSON of who did it and why, as stored; empty if there is none."""
        return self.fields.get(b"meta", b"") if len(self.words) > _USUAL else b""

    @property
    def fields(self) -> Mapping[bytes, bytes]:
        """The stream entry's fields, as stored."""
        return dict(zip(self.words[::2], self.words[1::2], strict=False))

    @property
    def _head(self) -> bytes:
        return self.words[0] if self.words else b""

    @property
    def _value(self) -> bytes:
        return self.words[1] if len(self.words) > 1 else b""

    @property
    def data(self) -> Any:
        """The typed event, or an `UnknownEvent`, an `EncryptedEvent`, or an `UnreadableEvent`; never raises."""
        known = self._known_data
        if known is None:
            known = self._known_data = self._decode()
        return known

    @property
    def error(self) -> CorruptEvent | None:
        """What is wrong with the entry, if its fields or its context do not decode."""
        self._context()
        problem = self.data.problem if isinstance(self.data, UnreadableEvent) else self._problem
        return CorruptEvent(self.session_id, self.offset, problem) if problem else None

    @property
    def actor(self) -> str | None:
        """Who did it; None also where that is encrypted, and cannot be decrypted."""
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
                raw = self._opened_meta() if self.encrypted else self.raw_meta
                self._known_meta = _decode_meta(raw) if raw else _NO_META
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                self._known_meta, self._problem = _NO_META, f"who did it and why cannot be read: {error}"
        return self._known_meta

    def _opened_meta(self) -> bytes:
        self.data  # noqa: B018 - it decrypts, and says what is wrong where that fails
        return b"" if self._opened is None else self._opened.meta

    def _open(self) -> Opened:
        if self._opened is None:
            opener = NO_KEYS if self.opener is None else self.opener
            self._opened = opener.event(self.session_id, self._head, self._value[:_ID], self.raw)
        return self._opened

    def _decode(self) -> Any:
        # Most entries are whole, and of the present version of a type that is known.
        words = self.words
        if len(words) >= _USUAL and (kind := types_by_word.get(words[0])) is not None and len(words[1]) > _ID:
            if words[1][_ID] == FIRST_BYTE:
                return self._decode_encrypted()
            try:
                return kind.read(words[1][_ID:])
            except Exception as error:  # a user's model may raise anything at all
                return self._unreadable(f"{type(error).__name__}: {error}")
        return self._decode_rare()

    def _decode_rare(self) -> Any:
        for name, found in (("type", self.type), ("id", self.id), ("data", self.raw)):
            if not found:
                return self._unreadable(f"it has no {name}")
        if self.schema_version < 1:
            return self._unreadable("its schema version is no number")
        return self._decode_encrypted() if self.encrypted else self._decoded(self.raw)

    def _decode_encrypted(self) -> Any:
        try:
            return self._decoded(self._open().data)
        except EncryptionError as error:
            known = Envelope.unpacked(self.raw).plain
            typed = self._decoded(known) if known else None
            return EncryptedEvent(self.type, self.schema_version, typed, error)
        except ValueError as error:
            return self._unreadable(str(error))

    def _decoded(self, data: bytes) -> Any:
        kind, version = registered(self.type), self.schema_version
        if kind is None or version > kind.version:
            return UnknownEvent(self.type, version, data)
        try:
            return kind.decode(data, version)
        except Exception as error:  # a user's upcaster or model may raise anything at all
            return self._unreadable(f"{type(error).__name__}: {error}")

    @property
    def foldable(self) -> Any:
        """What projections are given of it; None if that is nothing.

        Of an event whose key was destroyed that is what is stored of it in plain text, or the `EncryptedEvent`.

        Raises:
            KeyUnavailable: its data key cannot be had, so that views would lack it.
        """
        data = self.data
        if isinstance(data, UnreadableEvent):
            return None
        if isinstance(data, EncryptedEvent):
            self.require_key()
            return data if data.known is None or isinstance(data.known, UnreadableEvent) else data.known
        return data

    def _unreadable(self, problem: str) -> UnreadableEvent:
        return UnreadableEvent(problem, dict(self.fields))

    def __repr__(self) -> str:
        return f"<{self.type} {self.offset} of {self.session_id}>"
