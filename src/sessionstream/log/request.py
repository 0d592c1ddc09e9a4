"""One append as it waits to be sent: everything that can be wrong with it has been refused."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from itertools import pairwise

import msgspec

from sessionstream.errors import EventTypeError, InvalidArgument, InvalidType
from sessionstream.events.base import Phase
from sessionstream.events.codec import EncodedEvent
from sessionstream.events.ids import checked_id, event_ids
from sessionstream.log.encoding import KeyNumbers, Word, encode_operations, encode_put
from sessionstream.log.keys import Keys
from sessionstream.projection import Projection

__all__ = ["Append", "Appended"]

_AFTER = {"session.created": Phase.LIVE, "session.expired": Phase.ENDED, "session.deleted": Phase.ENDED}


class Appended:
    """What an append gave.

    Attributes:
        session_id: the session.
        offset: of its last event.
        version: how many events the session has up to it.
        count: how many events it appended.
        duplicate: it had been made before; nothing was appended now.
        event_ids: of its events, in their order; of a duplicate, those it would have had.
    """

    __slots__ = ("count", "duplicate", "event_ids", "offset", "session_id", "version")

    def __init__(self, session_id: str, offset: str, count: int, duplicate: bool, event_ids: Sequence[str]) -> None:
        self.session_id = session_id
        self.offset = offset
        self.version = int(offset.partition("-")[2])
        self.count = count
        self.duplicate = duplicate
        self.event_ids = event_ids

    @property
    def offsets(self) -> list[str]:
        """The offsets of its events, in their order."""
        ms = self.offset.partition("-")[0]
        return [f"{ms}-{version}" for version in range(self.version - self.count + 1, self.version + 1)]

    def __repr__(self) -> str:
        return f"Appended({self.session_id!r}, offset={self.offset!r}, duplicate={self.duplicate})"


class Append:
    """Events for one session, encoded.

    Args:
        session_id: the session.
        events: at least one, of which only the last may end the session.
        meta: the JSON of who and why, or empty.
        expected_version: refuse unless the session is at this version.
        idempotency_key: if it was used before with the same events, give that result again.
        token: the fencing token of the lock that the caller holds.
        only: the phases in which alone it is meant, if narrower than what the events permit.
        claims: ids and bodies of checkpoints, kept beside the stream; None removes the body.
    """

    __slots__ = (
        "_claims",
        "_digest",
        "_fields",
        "_phases",
        "_runtime",
        "_token",
        "claimed",
        "count",
        "events",
        "expected_version",
        "future",
        "idempotency_key",
        "ids",
        "session_id",
        "since",
        "size",
        "sliding",
        "until",
    )

    def __init__(
        self,
        session_id: str,
        events: Sequence[EncodedEvent],
        meta: bytes,
        *,
        expected_version: int | None = None,
        idempotency_key: str | None = None,
        token: int | None = None,
        only: frozenset[Phase] | None = None,
        claims: Sequence[tuple[str, bytes | None]] = (),
    ) -> None:
        if isinstance(expected_version, bool) or not isinstance(expected_version, int | None):
            raise InvalidType(f"expected_version is an int, not a {type(expected_version).__name__}")
        if expected_version is not None and expected_version < 0:
            raise InvalidArgument(f"expected_version is {expected_version}, not 0 or more")
        self.session_id = session_id
        self.events = events
        self.count = len(events)
        self.ids = event_ids(self.count)
        self._fields = [_fields(identifier, event, meta) for identifier, event in zip(self.ids, events, strict=True)]
        self.size = sum(len(event.data) for event in events) + sum(len(body) for _, body in claims if body)
        self._phases = _phases(events, only)
        self._runtime = any(event.kind.runtime for event in events)
        self.expected_version = expected_version
        self.idempotency_key = None if idempotency_key is None else checked_id(idempotency_key, "idempotency_key")
        self._digest = "" if idempotency_key is None else _digest(events)
        self._token = token
        self._claims = claims
        self.claimed = next((identifier for identifier, body in claims if body is not None), "")
        self.sliding = False
        self.since = ""
        self.until = 0.0
        self.future: asyncio.Future[Appended]

    def encode(self, keys: Keys, numbers: KeyNumbers, projections: Sequence[Projection]) -> list[Word]:
        """Return the words of this append, beginning with how many they are; its keys are added to ``numbers``."""
        sid = self.session_id
        words: list[Word] = [
            numbers[keys.head(sid)],
            numbers[keys.events(sid)],
            0 if self.idempotency_key is None else numbers[keys.idempotency(sid)],
            numbers[keys.bodies(sid)] if self.claimed else 0,
            sid,
            self.idempotency_key or "",
            self._digest,
            self.claimed,
            self._phases,
            int(self._runtime),
            "" if self._token is None else self._token,
            "" if self.expected_version is None else self.expected_version,
            self.since,
            int(self.sliding),
            self.count,
        ]
        for position, (event, fields) in enumerate(zip(self.events, self._fields, strict=True)):
            count, operations = encode_operations(sid, event.value, projections, keys, numbers, sliding=self.sliding)
            if position == 0:
                extra = self._beside(keys, numbers, event)
                count += len(extra)
                operations += [word for one in extra for word in one]
            words += (len(fields), *fields, count, *operations)
        return [len(words), *words]

    def _beside(self, keys: Keys, numbers: KeyNumbers, event: EncodedEvent) -> list[list[Word]]:
        """Return what the log itself keeps beside the stream: the registry, and the bodies of checkpoints."""
        extra: list[list[Word]] = []
        if event.kind.name == "session.created":
            registry = keys.registry(keys.partition(self.session_id))
            extra.append(["add", 3, numbers[registry], "@0", self.session_id])
        saved = [(identifier, body) for identifier, body in self._claims if body is not None]
        gone = [identifier for identifier, body in self._claims if body is None]
        bodies = keys.bodies(self.session_id)
        if saved:
            extra.append(encode_put(numbers[bodies], [("", b""), *saved]))
        if gone:
            extra.append(["unset", 1 + len(gone), numbers[bodies], *gone])
        return extra


def _fields(identifier: str, event: EncodedEvent, meta: bytes) -> list[Word]:
    fields: list[Word] = ["id", identifier, "type", event.kind.name]
    if event.kind.version != 1:
        fields += ("v", event.kind.version)
    fields += ("data", event.data)
    if meta:
        fields += ("meta", meta)
    return fields


def _phases(events: Sequence[EncodedEvent], only: frozenset[Phase] | None) -> str:
    """Return the letters of the phases in which the first event may be appended, if the others may follow it."""
    allowed = events[0].kind.phases if only is None else events[0].kind.phases & only
    if not allowed:
        raise EventTypeError(f"{events[0].kind.name} is never appended by itself")
    phases = set(allowed)
    told = False
    for before, event in pairwise(events):
        phase = _AFTER.get(before.kind.name)
        if phase is not None:
            phases, told = {phase}, True
        if not phases & event.kind.phases:
            raise EventTypeError(f"{event.kind.name} cannot follow {before.kind.name}")
        # Behind an event that decides the phase, the phase in front of the first one no longer matters.
        if not told:
            allowed = allowed & event.kind.phases
            phases = set(allowed)
    return "".join(sorted(phase.value for phase in allowed))


def _digest(events: Sequence[EncodedEvent]) -> str:
    digest = hashlib.sha256()
    for event in events:
        # The order of keys is no difference: it is not one to the caller's dict either.
        data = msgspec.json.encode(msgspec.json.decode(event.data), order="sorted")
        for part in (event.kind.name.encode(), str(event.kind.version).encode(), data):
            digest.update(str(len(part)).encode() + b":" + part)
    return digest.hexdigest()[:32]
