"""What an event is and what a seal says of a run of events, as keyed digests (HMAC-SHA256, RFC 2104).

The digest d(e) of an event covers the session's id, the offset, and every field and value of the stream entry, each
with its length: an event that was changed, moved or taken from another session has another one. A seal covers the seal
before it, the offset, the versions from its first to its last, and the SHA-256 of their d(e), so a chain of seals
cannot be forked, cut or reordered inside. Beside them lies a *tag* for each event, the first 4 bytes of its d(e): by
the tags the event that was altered is named, where the seal alone says only that one of its run was.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
from collections.abc import Sequence
from typing import Any

import msgspec

from sessionstream.events.recorded import version_of
from sessionstream.integrity.keyring import SealKey

__all__ = [
    "ERASED",
    "ERASURE",
    "FORMAT",
    "MOST_EVENTS",
    "TAG",
    "TRIM",
    "TRIMMED",
    "Digester",
    "Run",
    "Seal",
    "is_authentic",
    "is_event",
    "told_digest",
    "told_trim",
    "seal_from",
]

MOST_EVENTS = 1024
"""The longest run of events that one seal covers."""

TAG = 4
"""Bytes of an event's tag."""

FORMAT = 1
"""How this version makes seals; one that was made otherwise is neither verified nor sealed behind."""

TRIMMED = "trimmed"
"""The field of a head that holds the offset up to which the session was trimmed."""

TRIM = b"session.trimmed"
"""How the entry of the event begins that tells of a trim."""

ERASED = b"event.erased"
"""How the entry begins that stands in the place of one that was erased."""

ERASURE = b"session.erased"
"""How the entry of the event begins that tells of an erasure."""

_META = b"meta"
_USUAL = 2
_ID = 22
_pack_usual = struct.Struct(">4I").pack
_encode = msgspec.json.Encoder().encode


class Digester:
    """Computes what the events of one session are.

    Args:
        key: with which.
        session_id: the session.
    """

    __slots__ = ("_key", "_prefix")

    def __init__(self, key: SealKey, session_id: str) -> None:
        self._key = key.events
        session = session_id.encode()
        self._prefix = struct.pack(">I", len(session)) + session

    def digest(self, offset: str, words: Sequence[bytes]) -> bytes:
        """Return d(e).

        Args:
            offset: of the event.
            words: the fields and values of its stream entry.
        """
        # All lengths come first, the number of words before them: no two entries give the same bytes.
        if len(words) == _USUAL:
            lengths = _pack_usual(_USUAL, len(offset), len(words[0]), len(words[1]))
        else:
            lengths = struct.pack(f">{2 + len(words)}I", len(words), len(offset), *map(len, words))
        return hmac.digest(self._key, b"".join((self._prefix, lengths, offset.encode(), *words)), "sha256")

    def tag(self, offset: str, words: Sequence[bytes]) -> bytes:
        """Return the tag of an event."""
        return self.digest(offset, words)[:TAG]

    def bare_tag(self, offset: str, words: Sequence[bytes]) -> bytes:
        """Return the tag that an event has without who did it and why."""
        return self.tag(offset, _without_meta(words))


def told_digest(words: Sequence[bytes]) -> bytes:
    """Return the d(e) of the event in whose place an entry stands; nothing if it does not say that it stands for one.

    Who has no key can make up no d(e), so by it an erased event is proven to be the one that was sealed.
    """
    try:
        return base64.b64decode(_told(words, ERASED, "digest"), validate=True)
    except ValueError:
        return b""


def told_trim(words: Sequence[bytes]) -> str:
    """Return the offset up to which an entry tells that its session was trimmed; nothing if it tells of none."""
    return _told(words, TRIM, "upto") or _told(words, ERASURE, "trimmed")


def _told(words: Sequence[bytes], kind: bytes, field: str) -> str:
    if len(words) < _USUAL or words[0] != kind:
        return ""
    try:
        return str(msgspec.json.decode(words[1][_ID:], type=dict[str, Any]).get(field, ""))
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ""


def is_event(digester: Digester, offset: str, words: Sequence[bytes], tag: bytes) -> bool:
    """Whether an entry is the event that has a tag, or stands in its place since that was erased."""
    return digester.tag(offset, words) == tag or told_digest(words)[:TAG] == tag


def _without_meta(words: Sequence[bytes]) -> Sequence[bytes]:
    """Return the fields and values of an entry but for ``meta``."""
    return [word for at in range(0, len(words), 2) if words[at] != _META for word in words[at : at + 2]]


class Seal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One seal, as it is kept: a JSON object.

    Attributes:
        seal: the keyed digest of all else, in hexadecimal.
        previous: the seal before it; empty for the first one.
        offset: of the last event that it covers.
        first: the version of the first event that it covers.
        version: of the last one.
        at: when it was made, in milliseconds since 1970, by the server's clock.
        key: the id of the key.
        digest: SHA-256 of the d(e) of its events, in hexadecimal.
        tags: the tag of each event, in base64.
        bare: the tag that each has without who did it and why, in base64; absent where no event says that.
        format: how it was made; absent where that is as this version does.
    """

    seal: str
    previous: str
    offset: str
    first: int
    version: int
    at: int
    key: str
    digest: str
    tags: str
    bare: str = ""
    format: int = FORMAT

    @property
    def events(self) -> int:
        """How many events it covers."""
        return self.version - self.first + 1

    def tag_list(self) -> bytes:
        """Return the tags of its events, one behind the other."""
        return base64.b64decode(self.tags)

    def bare_list(self) -> bytes:
        """Return the tags that its events have without who did it and why, one behind the other."""
        return base64.b64decode(self.bare) if self.bare else self.tag_list()

    def encoded(self) -> bytes:
        """Return it as it is kept; the seal itself comes first."""
        return _encode(self)


class Run:
    """Takes the events that one seal is to cover, one after the other.

    Args:
        key: what the seal is made with.
        session_id: the session.
        previous: the seal before; empty for the first one.
        first: the version of the first event.
    """

    __slots__ = (
        "_all",
        "_bare",
        "_digester",
        "_key",
        "_says_more",
        "_session_id",
        "_tags",
        "first",
        "offset",
        "previous",
    )

    def __init__(self, key: SealKey, session_id: str, previous: str, first: int) -> None:
        self._key = key
        self._session_id = session_id
        self._digester = Digester(key, session_id)
        self._all = hashlib.sha256()
        self._tags, self._bare, self._says_more = bytearray(), bytearray(), False
        self.previous, self.first, self.offset = previous, first, ""

    @property
    def events(self) -> int:
        """How many events it has taken."""
        return len(self._tags) // TAG

    def add(self, offset: str, words: Sequence[bytes]) -> None:
        """Take the next event."""
        digest = self._digester.digest(offset, words)
        self._all.update(digest)
        self._tags += digest[:TAG]
        if _META in words[::2]:
            self._says_more = True
            digest = self._digester.digest(offset, _without_meta(words))
        self._bare += digest[:TAG]
        self.offset = offset

    def sealed(self, at: int) -> Seal:
        """Return the seal of what was taken.

        Args:
            at: when, in milliseconds since 1970.
        """
        unsealed = Seal(
            seal="",
            previous=self.previous,
            offset=self.offset,
            first=self.first,
            version=version_of(self.offset),
            at=at,
            key=self._key.id,
            digest=self._all.hexdigest(),
            tags=base64.b64encode(self._tags).decode(),
            bare=base64.b64encode(self._bare).decode() if self._says_more else "",
        )
        return msgspec.structs.replace(unsealed, seal=_seal_of(self._key, self._session_id, unsealed))


def seal_from(kept: bytes) -> Seal | None:
    """Return a seal as it is kept; None if that is none."""
    try:
        seal = msgspec.json.decode(kept, type=Seal)
        sizes = {len(base64.b64decode(tags, validate=True)) for tags in (seal.tags, seal.bare) if tags}
    except (msgspec.MsgspecError, ValueError):
        return None
    ms, dash, version = seal.offset.partition("-")
    whole = dash and ms.isdecimal() and version.isdecimal() and int(version) == seal.version
    tagged = sizes == {seal.events * TAG} if seal.format == FORMAT else seal.format > FORMAT
    return seal if whole and seal.first >= 1 and tagged else None


def is_authentic(seal: Seal, key: SealKey, session_id: str) -> bool:
    """Whether a seal was made with the key, for this session, and is as it was made."""
    return hmac.compare_digest(_seal_of(key, session_id, seal).encode(), seal.seal.encode())


def _seal_of(key: SealKey, session_id: str, seal: Seal) -> str:
    facts = (seal.previous, seal.offset, seal.first, seal.version, seal.at, seal.key, seal.digest, seal.tags, seal.bare)
    words = [session_id.encode(), *(str(fact).encode() for fact in facts)]
    lengths = struct.pack(f">{len(words)}I", *map(len, words))
    return hmac.digest(key.seals, lengths + b"".join(words), "sha256").hex()
