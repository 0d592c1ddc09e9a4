"""The door of the log: what every capability appends and reads through."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import cached_property
from time import monotonic
from typing import TYPE_CHECKING, Any

import hiredis

from sessionstream.errors import InvalidArgument, SessionNotFound, Unavailable
from sessionstream.events.base import EventType, Phase
from sessionstream.events.codec import encode_events, encode_plain
from sessionstream.events.context import NOTHING, current_meta, meta_of_task
from sessionstream.events.encrypted import NO_KEYS, Opener, mark_in
from sessionstream.events.lifecycle import EventErased, SessionErased
from sessionstream.events.recorded import payload_of
from sessionstream.log.appender import Appender
from sessionstream.log.encrypting import Encryption
from sessionstream.log.fencing import carries_any, owner_for, token_for
from sessionstream.log.gates import head_of, is_before_expiry, sound
from sessionstream.log.heads import opened_fields
from sessionstream.log.keys import Keys, Route
from sessionstream.log.positions import Positions
from sessionstream.log.replicating import replicas_asked
from sessionstream.log.request import UNGUARDED, Append, Appended, Guards, append_of
from sessionstream.log.stamp import is_encrypted_namespace, require_keys, require_same, shape_of
from sessionstream.projection import Projection, nothing
from sessionstream.projections import BUILT_IN
from sessionstream.redaction import AS_GIVEN, Redactor, redactor_of
from sessionstream.wire.durability import level_of
from sessionstream.wire.lane import LaneClosed, milliseconds
from sessionstream.wire.running import running_loop
from sessionstream.wire.scripts import load_script
from sessionstream.wire.server import Server

if TYPE_CHECKING:
    from sessionstream.settings import Settings

__all__ = ["Store"]

_MOST_EVENTS = 10_000
_MOST_LOOKS = 50
_numbers = itertools.count()
_PREPARE = load_script("sessionstream.log", "prepare")
_PAUSE = load_script("sessionstream.log", "pause")


class Store:
    """One namespace on one server.

    Args:
        server: where it lies.
        settings: its namespace, partitions and limits.
        projections: the user's own inline projections, run after the built-in ones.
        encrypts: whether what is written is encrypted; then `encrypt_with` says by what.

    Attributes:
        encryption: what encrypts and decrypts; None where nothing does.
        opener: decrypts what is read.
        archive_first: what archives an ended session before it is retired, and gives the offset of its last event; None
            leaves the session for now.
        redactor: what takes secrets out of what users of the library give.
        endings: called with the id of a session that this process has ended, in the event loop and without waiting.

    Raises:
        InvalidArgument: two projections have one name.
    """

    def __init__(
        self, server: Server, settings: Settings, projections: Sequence[Projection] = (), *, encrypts: bool = False
    ) -> None:
        self.server = server
        self.settings = settings
        self.keys = Keys(settings.namespace, settings.partitions)
        self._routes = self.keys.routes
        self.projections = (*BUILT_IN, *projections)
        names = [projection.name for projection in self.projections]
        if len(set(names)) < len(names):
            raise InvalidArgument(f"two projections have one name: {', '.join(names)}")
        for projection in projections:
            if any(projection.handlers[kind] is not nothing for kind in (EventErased, SessionErased)):
                raise InvalidArgument(
                    f"projection {projection.name!r} keeps something of erasures: follow them instead"
                )
        self.positions = Positions()
        self.archive_first: Callable[[str], Awaitable[str | None]] | None = None
        self.endings: list[Callable[[str], object]] = []
        self.encryption: Encryption | None = None
        self.opener: Opener = NO_KEYS
        self._encrypts = self._encrypted = encrypts
        self._number = next(_numbers)
        self._read_as_made = self._written_as_made = False
        self._most_event_bytes = settings.max_event_bytes
        self._replicas = 0 if settings.durability is None else level_of(settings.durability).replicas
        self.redactor = redactor_of(settings.redact)
        self._appender = Appender(server, self.keys, self.projections, self.stamp, self.prepare, self.positions)
        self._send, self._send_usual = self._appender.append, self._appender.append_usual

    def encrypt_with(self, make: Callable[[Callable[[Append], asyncio.Future[Appended]]], Encryption]) -> None:
        """Encrypt what is written from now on, and decrypt what is read.

        Args:
            make: called with what sends an append, gives what encrypts.
        """
        self.encryption = encryption = make(self._appender.append)
        self.opener, self._send, self._send_usual = encryption.opener, encryption.append, self._encrypt_usual
        self.endings.append(encryption.forget)

    def _encrypt_usual(self, session_id: str, route: Route, kind: EventType, data: bytes) -> asyncio.Future[Appended]:
        return self._send(Append(session_id, route, data, len(data), kind))

    @property
    def milestones(self) -> list[Callable[[Appended], object]]:
        """What is called, in the event loop and without waiting, when a session comes to a milestone by an append."""
        return self._appender.milestones

    @cached_property
    def delta_redactor(self) -> Redactor:
        """What takes secrets out of deltas."""
        return redactor_of(self.settings.redact, of_deltas=True)

    def fence(self, session_id: str) -> str:
        """Return what fencing tokens for a session are held under; another store may have a session of the same id."""
        return f"{self._number}:{self.keys.head(session_id)}"

    @property
    def stamp(self) -> str:
        """What a namespace must have been made with for this process to write to it."""
        versions = ",".join(f"{projection.name}:{projection.version}" for projection in self.projections)
        return f"{shape_of(self.keys.partitions, encrypted=self._encrypts)}projections={versions}"

    @property
    def shape(self) -> str:
        """How the stamp of the namespace begins, as it was found: what matters to who writes no events."""
        return shape_of(self.keys.partitions, encrypted=self._encrypted)

    def append(
        self,
        session_id: str,
        events: Sequence[Any],
        *,
        expected_version: int | None = None,
        idempotency_key: str | None = None,
        correlation_id: str | None = None,
        causation_id: str | None = None,
        only: frozenset[Phase] | None = None,
        claims: Sequence[tuple[str, bytes | None]] = (),
        unheld: bool = False,
        from_caller: bool = False,
        durability: str | None = None,
    ) -> asyncio.Future[Appended]:
        """Append events to one session, all or none of them; everything is encoded before this returns.

        Args:
            session_id: the session.
            events: at least one, of declared types.
            expected_version: refuse unless the session is at this version.
            idempotency_key: the same key with the same events gives the first result again.
            correlation_id: the whole to which they belong.
            causation_id: the id of what led to them.
            only: the phases in which alone they are meant.
            claims: checkpoint bodies to keep, or with None to remove, in the same step.
            unheld: refuse while a hold stands.
            from_caller: whether a user of the library made the events: then none may tell of a session's life, and
                secrets are taken out of them.
            durability: ``replicated(n)`` for this append, instead of the store's.

        Raises:
            SessionStreamError: see `sessionstream.errors`; nothing was appended, unless it is `OutcomeUnknown`.
        """
        route = self.keys.route(session_id)
        count = len(events)
        if not count:
            raise InvalidArgument("there is no event to append")
        if count > _MOST_EVENTS:
            raise InvalidArgument(f"{count:,} events in one append: {_MOST_EVENTS:,} are allowed")
        token = owner = None
        if carries_any():
            token, owner = token_for(self.fence(session_id)), owner_for(self.fence(session_id))
        carried = token is not None or owner is not None
        unguarded = expected_version is None and idempotency_key is None and not carried and only is None
        guards = UNGUARDED
        if not unguarded or claims or unheld:
            guards = Guards(expected_version, idempotency_key, token, claims, only, unheld, owner)
        most, redactor = self._most_event_bytes, self.redactor if from_caller else AS_GIVEN
        encoded = encode_events(events, most, redactor)
        kinds = {event.kind for event in encoded}
        if from_caller and any(kind.reserved for kind in kinds):
            name = next(event.kind.name for event in encoded if event.kind.reserved)
            raise InvalidArgument(f"{name} is appended by the method that does it, not by append")
        meta = self.redactor.encoded(current_meta(correlation_id, causation_id), "meta")
        request = append_of(session_id, route, encoded, kinds, meta, guards)
        request.replicas = self._replicas if durability is None else replicas_asked(durability)
        return self._send(request)

    def append_one(self, session_id: str, value: Any, kind: EventType) -> asyncio.Future[Appended]:
        """Append one event that a user of the library made, on no condition: the short way to `append`.

        Args:
            session_id: the session.
            value: the event.
            kind: its type.
        """
        data = encode_plain(value, kind, self._most_event_bytes, self.redactor) if kind.direct else None
        if data is None or carries_any() or self._replicas or meta_of_task() is not NOTHING:
            return self.append(session_id, [value], from_caller=True)
        try:
            route = self._routes[session_id]
        except (KeyError, TypeError):
            route = self.keys.route(session_id)
        return self._send_usual(session_id, route, kind, data)

    async def prepare(self, partition: int) -> None:
        """Mark a partition as made with our settings, the first one before all others.

        Raises:
            NamespaceMismatch: it was made with other settings.
        """
        for number in dict.fromkeys((0, partition)):
            found = await self.server.script(_PREPARE, [self.keys.log(number)], [self.stamp])
            self._compare(found.decode(errors="replace"), writing=True)

    @asynccontextmanager
    async def paused(self, partition: int, *, unless: bool) -> AsyncIterator[None]:
        """Hold appends to a partition back for the block, for a quarter of a second at most; they wait and go on.

        Args:
            partition: which one.
            unless: do not.
        """
        if unless:
            yield
            return
        await self.server.script(_PAUSE, [self.keys.log(partition)], [250])
        try:
            yield
        finally:
            await self.server.script(_PAUSE, [self.keys.log(partition)], [0])

    async def check_readable(self) -> None:
        """Make sure that reads will look where the namespace's writers write.

        Raises:
            NamespaceMismatch: the namespace has another number of partitions or a newer format.
        """
        if not self._read_as_made:
            self._read_as_made = await self._made_as_we_are(writing=False)

    async def check_adoptable(self) -> None:
        """Make sure that the namespace can be adopted: one that is encrypted is not turned back to plain text.

        Raises:
            NamespaceMismatch: it is encrypted, and this process has no keys.
        """
        found = await self.server.call("HGET", self.keys.log(0), ":stamp")
        if found is not None:
            require_keys(self.keys.namespace, found.decode(errors="replace"), self.stamp)

    async def check_writable(self) -> None:
        """Make sure that what is written beside the appends belongs to the namespace; each append is checked by itself.

        Raises:
            NamespaceMismatch: the namespace was made with other settings.
        """
        if not self._written_as_made:
            self._written_as_made = self._read_as_made = await self._made_as_we_are(writing=True)

    async def _made_as_we_are(self, *, writing: bool) -> bool:
        found = await self.server.call("HGET", self.keys.log(0), ":stamp")
        if found is not None:
            self._compare(found.decode(errors="replace"), writing=writing)
        return found is not None

    def _compare(self, found: str, *, writing: bool) -> None:
        require_same(self.keys.namespace, found, self.stamp, writing=writing)
        self._encrypted = is_encrypted_namespace(found)

    async def head(self, session_id: str, *, exact: bool = False) -> tuple[dict[bytes, bytes], int]:
        """Return what `glance` does, or raise `CorruptRecord` where that does not read; the arguments are the same."""
        fields, now = await self.glance(session_id, exact=exact)
        return sound(session_id, fields), now

    async def glance(self, session_id: str, *, exact: bool = False) -> tuple[dict[bytes, bytes], int]:
        """Return what is known of a session, nothing for an unknown one, and the server's milliseconds.

        That is the fields of its head, of which ``offset`` is the session's last one.

        Args:
            session_id: the session.
            exact: whether the milliseconds have to be exact. Otherwise they are where it depends on them whether the
                session has expired, and else the latest that the server's clock can be, by what it said during the
                last second.

        Raises:
            Unavailable: the server is away, or the session was changed at each of many looks.
        """
        route = self.keys.route(session_id)
        if not self._read_as_made:
            await self.check_readable()
        lane = self.server.open_lane(route.head)
        if not exact and lane is not None and lane.has_room and lane.clock.latest_ms() is not None:
            fields = None
            try:
                fields = await lane.together(route.looked_at, 2, head_of)
            except (LaneClosed, hiredis.ReplyError) as error:
                self.server.read_failed(error, lane)
            latest = lane.clock.latest_ms()
            if fields is not None and latest is not None and is_before_expiry(fields, latest):
                return fields if self.encryption is None else await self.opened(session_id, fields), latest
        fields, now = await self._exact_head(session_id, route)
        return fields if self.encryption is None else await self.opened(session_id, fields), now

    async def _exact_head(self, session_id: str, route: Route) -> tuple[dict[bytes, bytes], int]:
        until = running_loop().time() + self.server.deadline
        for _ in range(_MOST_LOOKS):
            lane = self.server.open_lane(route.head)
            before = monotonic()
            gate, words, time = await self.server.calls([*self.keys.head_commands(session_id), ("TIME",)], until=until)
            now = milliseconds(time)
            # Where a Cluster moves the session meanwhile, it is not known whose clock that was.
            if (now_open := self.server.open_lane(route.head)) is not None and lane in (None, now_open):
                now_open.clock.heard(now, before)
            fields = head_of(gate, words)
            if fields is not None:
                return fields, now
        raise Unavailable(f"session {session_id!r} was changed each time it was looked at")

    async def heads(self, session_ids: Sequence[str]) -> tuple[list[dict[bytes, bytes]], int]:
        """Return what is known of many sessions in one round trip, and the server's milliseconds; see `head`."""
        await self.check_readable()
        commands = [command for session_id in session_ids for command in self.keys.head_commands(session_id)]
        *replies, time = await self.server.calls([*commands, ("TIME",)])
        heads = [head_of(gate, words) for gate, words in zip(replies[::2], replies[1::2], strict=True)]
        for place, head in enumerate(heads):
            if head is None:
                heads[place], _ = await self.glance(session_ids[place])
            elif self.encryption is not None:
                heads[place] = await self.opened(session_ids[place], head)
        found = [sound(session_id, head or {}) for session_id, head in zip(session_ids, heads, strict=True)]
        return found, milliseconds(time)

    async def opened(self, session_id: str, head: dict[bytes, bytes]) -> dict[bytes, bytes]:
        """Return a session's head in plain text; what cannot be decrypted stays, as `Undecrypted`.

        Args:
            session_id: the session.
            head: its fields as they are stored; they may have been decrypted already.
        """
        marked = {field: value for field, value in head.items() if mark_in(value) >= 0}
        if not marked:
            return head
        await self.remember(marked.values())
        return opened_fields(self.opener, session_id, head, marked)

    async def remember(self, stored: Iterable[bytes]) -> None:
        """Look up the keys with which something is encrypted, so that decrypting it blocks nobody."""
        if self.encryption is not None:
            await self.encryption.remember(stored)

    async def remember_keys_of(self, entries: Iterable[Sequence[Any]]) -> None:
        """Look up the keys with which entries are encrypted, as the server gives them."""
        await self.remember([payload_of(words) for _, words in entries if words])

    async def existing_head(self, session_id: str) -> tuple[dict[bytes, bytes], int]:
        """Return what `head` does; raises `SessionNotFound` for a session of which nothing is kept."""
        fields, now = await self.head(session_id)
        if not fields:
            raise SessionNotFound(session_id)
        return fields, now

    async def now_ms(self) -> int:
        """Return the server's clock in milliseconds since 1970."""
        return milliseconds(await self.server.call("TIME"))

    async def every_partition(self, *words: Any) -> list[Any]:
        """Send one command to the key of every partition and return the replies in the partitions' order.

        Args:
            words: the command; a callable among them is given the partition's number and returns the word.
        """
        await self.check_readable()
        return await self.server.calls(
            [
                tuple(word(partition) if callable(word) else word for word in words)
                for partition in range(self.keys.partitions)
            ]
        )

    async def aclose(self) -> None:
        """Close the running loop's connections."""
        await self._appender.aclose()
        await self.server.aclose()
