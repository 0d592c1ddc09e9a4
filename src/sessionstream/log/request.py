"""One append as it waits to be sent: everything that can be wrong with it has been refused."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, Self

import msgspec

from sessionstream.errors import EventTypeError, InvalidArgument, InvalidType
from sessionstream.events.base import EventType, Phase
from sessionstream.events.codec import EncodedEvent
from sessionstream.events.ids import checked_id, event_ids
from sessionstream.events.recorded import at_ms, version_of
from sessionstream.log.encoding import KeyNumbers, Word, encode_operations, encode_put
from sessionstream.log.keys import Keys, Route
from sessionstream.log.packed_events import pieces_of
from sessionstream.projection import Projection
from sessionstream.wire.packing import bulk, bulks

__all__ = ["UNGUARDED", "Append", "Appended", "Guards", "append_of", "digest_of"]

_AFTER = {"session.created": Phase.LIVE, "session.expired": Phase.ENDED, "session.deleted": Phase.ENDED}


class Appended(msgspec.Struct, frozen=True, gc=False):
    """What an append gave.

    Attributes:
        session_id: the session.
        ms: of its offset, the server's milliseconds.
        version: how many events the session has up to it.
        count: how many events it appended.
        duplicate: it had been made before; nothing was appended now.
        ids: of its events, as they are stored; see ``event_ids``.
        durability: what keeps it, by the server's own account: ``memory``, ``process``, ``fsync``, or ``replicated(n)``
            with as many replicas as have it; with `` (unchecked)`` behind it where the caller's word was taken, and
            None where nobody has told.
    """

    session_id: str
    ms: int
    version: int
    count: int
    duplicate: bool
    ids: Sequence[bytes]
    durability: str | None = None

    @classmethod
    def at(cls, session_id: str, offset: str, count: int, ids: Sequence[bytes] = ()) -> Self:
        """Return what an append gave whose last event is at an offset."""
        return cls(session_id, at_ms(offset), version_of(offset), count, False, ids)

    @property
    def offset(self) -> str:
        """The offset of its last event."""
        return f"{self.ms}-{self.version}"

    @property
    def event_ids(self) -> list[str]:
        """The ids of its events, in their order; of a duplicate, those they would have had."""
        return [identifier.decode() for identifier in self.ids]

    @property
    def offsets(self) -> list[str]:
        """The offsets of its events, in their order."""
        return [f"{self.ms}-{version}" for version in range(self.version - self.count + 1, self.version + 1)]

    def __repr__(self) -> str:
        return f"Appended({self.session_id!r}, offset={self.offset!r}, duplicate={self.duplicate})"


class Guards(NamedTuple):
    """What may refuse an append besides its session's phase.

    Attributes:
        expected_version: refuse unless the session is at this version.
        idempotency_key: if it was used before with the same events, give that result again.
        token: the fencing token of the lock that the caller holds.
        claims: ids and bodies of checkpoints, kept beside the stream; None removes the body.
        only: the phases in which alone it is meant, if narrower than what the events permit.
        unheld: refuse while a hold stands.
        owner: refuse, as if there were no such session, unless it is this user's.
    """

    expected_version: int | None = None
    idempotency_key: str | None = None
    token: int | None = None
    claims: Sequence[tuple[str, bytes | None]] = ()
    only: frozenset[Phase] | None = None
    unheld: bool = False
    owner: str | None = None


UNGUARDED = Guards()


class Append(msgspec.Struct, gc=False):
    """Events for one session, encoded: as it is made, one of a usual type on no condition; any others by `append_of`.

    Attributes:
        session_id: the session.
        route: where it lies.
        data: the JSON of its one event, if the usual form of the append script holds all of it.
        size: bytes of its events, and of what it keeps beside them.
        usual: the type of that event; None if it is not of the usual form.
        future: what it gave, or the error that refused it.
        until: the loop's time at which it is given up.
        meta: the JSON of who and why, or empty.
        guards: what may refuse it.
        phases: the letters of those in which it is allowed.
        count: how many events it has.
        kinds: of which types they are, each once; nothing where `hold` was not called.
        given: its events, of which only the last may end the session; nothing where `hold` was not called.
        sliding: whether the session's time to live is known to slide.
        ids: of its events, made when it is packed first; none before.
        replicas: how many are to have it before it is acknowledged.
        since: on a repeat, when the first copy can have arrived.
        digest: of its events in plain text, where these are stored encrypted; else nothing.
    """

    session_id: str
    route: Route
    data: bytes
    size: int
    usual: EventType | None
    future: Any = None
    until: float = 0.0
    meta: bytes = b""
    guards: Guards = UNGUARDED
    phases: str = Phase.LIVE.value
    count: int = 1
    kinds: Collection[EventType] = ()
    given: Sequence[EncodedEvent] = ()
    sliding: bool = False
    ids: Sequence[bytes] = ()
    replicas: int = 0
    since: str = ""
    digest: str = ""

    @property
    def events(self) -> Sequence[EncodedEvent]:
        """Its events, at least one."""
        if self.given or self.usual is None:
            return self.given
        return (EncodedEvent(self.usual, self.data),)

    @property
    def types(self) -> Collection[EventType]:
        """The types of its events, each once."""
        return self.kinds if self.usual is None else (self.usual,)

    def hold(self, events: Sequence[EncodedEvent], kinds: Collection[EventType]) -> None:
        """Let it be of these events, in the usual form if with its context and guards that holds all of it.

        Args:
            events: at least one.
            kinds: of which types they are.
        """
        self.given, self.kinds, self.count = events, kinds, len(events)
        self.size = sum([len(event.data) for event in events]) + sum(
            len(body) for _, body in self.guards.claims if body
        )
        first = events[0]
        usual = first.kind.usual and len(events) == 1 and not self.meta and self.guards is UNGUARDED
        self.usual, self.data = (first.kind, first.data) if usual else (None, b"")

    def leave_usual_form(self) -> None:
        """Let it be sent in the form that says everything."""
        if self.usual is not None:
            self.given, self.kinds, self.usual, self.data = self.events, (self.usual,), None, b""

    @property
    def claimed(self) -> str:
        """The id of the checkpoint that it saves, or nothing."""
        return next((identifier for identifier, body in self.guards.claims if body is not None), "")

    @property
    def guarded(self) -> bool:
        """Whether anything may refuse it besides its session's phase."""
        return self.guards is not UNGUARDED or self.since != ""

    def words(
        self, keys: Keys, numbers: KeyNumbers, projections: Sequence[Projection] | None, shared: EventType | None
    ) -> tuple[int, list[bytes]]:
        """Return how many words it has in a call whose appends each say their form, and these in pieces.

        Args:
            keys: the names of the namespace's keys.
            numbers: the keys of the call; those that guards and operations need are added.
            projections: which to run, or None if the call has no operations.
            shared: the type of all events of the call; None if they are not of one.
        """
        if not self.ids:
            self.ids = event_ids(self.count)
        events, each = pieces_of(self.ids, self.events, shared), 2 if shared is None else 1
        if self.usual is not None and projections is None:
            return 1 + each, [bulk(b""), *events]
        guards = self._guard_words(keys, numbers) if self.guarded else []
        operations = [] if projections is None else self._operation_words(keys, numbers, projections)
        words = 1 + len(guards) + each * self.count + len(operations)
        runtime = any(kind.runtime for kind in self.types)
        guards_look = self.guards.token is not None or self.guards.unheld or self.guards.owner is not None
        looks = projections is not None or guards_look
        head = numbers[self.route.head] if looks else 0
        form = f"{words} {self.phases} {runtime:d} {self.sliding:d} {self.count} {len(guards)} {head}"
        pieces = [bulk(form.encode()), bulk(self.meta), bulks(guards), *events]
        return 1 + words, [*pieces, bulks(operations)]

    def _operation_words(self, keys: Keys, numbers: KeyNumbers, projections: Sequence[Projection]) -> list[Word]:
        """Return, for each of its events, how many operations it means, and these."""
        words: list[Word] = []
        for position, event in enumerate(self.events):
            count, operations = encode_operations(
                self.session_id, event.value, projections, keys, numbers, sliding=self.sliding, seal=event.seal
            )
            extra = self._beside(keys, numbers, event) if position == 0 else []
            words += (count + len(extra), *operations, *(word for one in extra for word in one))
        return words

    def _guard_words(self, keys: Keys, numbers: KeyNumbers) -> list[Word]:
        guards, key, claimed = self.guards, self.guards.idempotency_key, self.claimed
        return [
            0 if key is None else numbers[keys.idempotency(self.session_id)],
            key or "",
            "" if key is None else self.digest or digest_of(self.events),
            numbers[keys.bodies(self.session_id)] if claimed else 0,
            claimed,
            "" if guards.token is None else guards.token,
            "" if guards.expected_version is None else guards.expected_version,
            self.since,
            "1" if guards.unheld else "",
            guards.owner or "",
        ]

    def _beside(self, keys: Keys, numbers: KeyNumbers, event: EncodedEvent) -> list[list[Word]]:
        """Return what the log itself keeps beside the stream: the registry, and the bodies of checkpoints."""
        extra: list[list[Word]] = []
        if event.kind.name == "session.created":
            registry = keys.registry(keys.partition(self.session_id))
            extra.append(["add", 3, numbers[registry], "@0", self.session_id])
        saved = [(identifier, body) for identifier, body in self.guards.claims if body is not None]
        gone = [identifier for identifier, body in self.guards.claims if body is None]
        bodies = keys.bodies(self.session_id)
        if saved:
            extra.append(encode_put(numbers[bodies], [("", b""), *saved]))
        if gone:
            extra.append(["unset", 1 + len(gone), numbers[bodies], *gone])
        return extra


def append_of(
    session_id: str,
    route: Route,
    events: Sequence[EncodedEvent],
    kinds: Collection[EventType],
    meta: bytes,
    guards: Guards,
) -> Append:
    """Return the append of some events.

    Args:
        session_id: the session.
        route: where it lies.
        events: at least one, of which only the last may end the session.
        kinds: of which types they are.
        meta: the JSON of who and why, or empty.
        guards: what may refuse it.

    Raises:
        InvalidArgument: a guard is malformed.
        EventTypeError: one of the events cannot follow the one before it.
    """
    _check_expected(guards.expected_version)
    if guards.idempotency_key is not None:
        checked_id(guards.idempotency_key, "idempotency_key")
    phases = _phases(events, kinds, guards.only)
    request = Append(session_id, route, b"", 0, None)
    request.meta, request.guards, request.phases = meta, guards, phases
    request.sliding = _begins_sliding(events[0])
    request.hold(events, kinds)
    return request


def _begins_sliding(event: EncodedEvent) -> bool:
    # A session that is about to be created cannot be asked; any other one says so itself when it is.
    return event.kind.name == "session.created" and event.value.sliding


def _check_expected(version: object) -> None:
    if isinstance(version, bool) or not isinstance(version, int | None):
        raise InvalidType(f"expected_version is an int, not a {type(version).__name__}")
    if version is not None and version < 0:
        raise InvalidArgument(f"expected_version is {version}, not 0 or more")


def _phases(events: Sequence[EncodedEvent], kinds: Collection[EventType], only: frozenset[Phase] | None) -> str:
    """Return the letters of the phases in which the first event may be appended, if the others may follow it."""
    if only is None and all(kind.usual for kind in kinds):
        return events[0].kind.letters
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


def digest_of(events: Sequence[EncodedEvent]) -> str:
    """Return what tells the events of two appends apart that were made with one idempotency key."""
    digest = hashlib.sha256()
    for event in events:
        # The order of keys is no difference: it is not one to the caller's dict either.
        data = msgspec.json.encode(msgspec.json.decode(event.data), order="sorted")
        for part in (event.kind.name.encode(), str(event.kind.version).encode(), data):
            digest.update(str(len(part)).encode() + b":" + part)
    return digest.hexdigest()[:32]
