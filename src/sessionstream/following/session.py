"""Following one session: its history, then what comes, and the deltas that are published to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

from sessionstream.errors import FollowerTooSlow, HistoryTrimmed, SessionNotFound, UnknownPosition
from sessionstream.events.recorded import NOWHERE, RecordedEvent, at_ms, version_of
from sessionstream.events.stored import reading_stored
from sessionstream.feed.hub import Bell, Hub
from sessionstream.following.deltas import Delta, delta_of
from sessionstream.following.follower import Follower, WhenFull
from sessionstream.following.patience import patiently
from sessionstream.log.gates import name_in_log
from sessionstream.log.history import parse_offset
from sessionstream.log.store import Store

__all__ = ["NOW", "OLDEST", "FollowOptions", "SessionFollower"]

NOW = "now"
"""Where to begin to be given only what comes."""
OLDEST = "oldest"
"""Where to begin to be given what is kept, whatever was trimmed before it."""

_PAGE = 500
_DELTA_PAGE = 200
_ENDS = frozenset({"session.deleted", "session.erased", "session.expired"})


class FollowOptions(TypedDict, total=False):
    """The options of `SessionFollower`."""

    after: str | None
    deltas: bool
    until_end: bool
    buffer: int
    when_full: WhenFull


class SessionFollower(Follower[RecordedEvent | Delta]):
    """Gives a session's events behind an offset, then those that come, and the deltas that are published meanwhile.

    Each event is given once, in the order of its version, whatever happens to the connection: while the server is away,
    the follower waits. A delta comes behind the event that was the last one when it was published.

    Args:
        store: where the session is kept.
        hub: what wakes the follower.
        session_id: the session, ended or not.
        after: an offset behind which to begin; None is the beginning, ``oldest`` leaves out what was trimmed, and
            ``now`` what there is.
        deltas: whether deltas are given too, from the moment at which the block is entered.
        until_end: whether the iteration ends with the events of a session that has ended. Otherwise it waits for what
            can still come, such as the deletion of its checkpoints, until the session is removed.
        buffer: see `Follower`.
        when_full: see `Follower`.

    Raises:
        InvalidArgument: an argument is malformed.
    """

    def __init__(
        self,
        store: Store,
        hub: Hub,
        session_id: str,
        *,
        after: str | None = None,
        deltas: bool = True,
        until_end: bool = False,
        buffer: int = 1_000,
        when_full: WhenFull = "wait",
    ) -> None:
        super().__init__(buffer=buffer, when_full=when_full)
        self._route = store.keys.route(session_id)
        if after not in (None, NOW, OLDEST):
            parse_offset(after)
        self._store = store
        self._hub = hub
        self.session_id = session_id
        self._position = self._read_to = NOWHERE if after is None else after
        self._deltas = store.keys.deltas(session_id) if deltas else None
        self._deltas_to = NOWHERE
        self._until_end = until_end
        self._ended = self._live = self._behind = False
        self._due: set[bytes] = set()
        self._events_key = self._route.events.encode()
        self._deltas_key = b"" if self._deltas is None else self._deltas.encode()
        # The next one is the last.
        self._ready: list[RecordedEvent | Delta] = []

    @property
    def offset(self) -> str:
        """Of the last event that was given; before that, of the one behind which it began."""
        return self._position

    async def _enter(self) -> Bell:
        await self._store.check_readable()
        gate = ("HGET", self._store.keys.log(self._route.partition), name_in_log(self.session_id))
        first_event = ("XRANGE", self._route.events, "-", "+", "COUNT", 1)
        last_delta = [("XREVRANGE", self._deltas, "+", "-", "COUNT", 1)] if self._deltas else []
        found, oldest, *newest = await self._store.server.calls([gate, first_event, *last_delta])
        if found is None:
            raise SessionNotFound(self.session_id)
        last, self._ended = _last_and_ended(found)
        if self._position in (NOW, OLDEST):
            kept = oldest[0][0].decode() if oldest and self._position == OLDEST else None
            self._position = self._read_to = last if kept is None else f"{at_ms(kept)}-{version_of(kept) - 1}"
        elif parse_offset(self._position) > parse_offset(last):
            raise UnknownPosition(self._position, last, f"session {self.session_id!r}")
        if newest and newest[0]:
            self._deltas_to = newest[0][0][0].decode()
        return self._hub.watch([self._route.events, *filter(None, [self._deltas])])

    async def _read_on(self, bell: Bell) -> None:
        if not self._due:
            if self._live:
                self.caught_up.settle(True)
                if self._until_end and self._ended:
                    self._over = True
                    return
            self._due |= await bell.rung()
        await patiently(lambda: self._read_due(bell), bell)

    async def _read_due(self, bell: Bell) -> None:
        # Deltas are always read too, and first: those that came in front of an event are known then, and the events
        # that they came behind. Those that come before the end of the history are read again with it.
        count = self._buffer + 1 if self._drops and self._live else min(self._buffer, _PAGE)
        commands: list[tuple[str | int, ...]] = []
        if self._deltas is not None:
            commands.append(("XRANGE", self._deltas, f"({self._deltas_to}", "+", "COUNT", _DELTA_PAGE))
        commands.append(("XRANGE", self._route.events, f"({self._read_to}", "+", "COUNT", count))
        # Long history does not hold up the connection that wakes everybody.
        armed = not self._behind
        *deltas, page = await (bell.read if armed else self._store.server.calls)(tuple(commands))
        if self._store.encryption is not None:
            await self._store.remember_keys_of([*page, *(deltas[0] if deltas else ())])
        if len(page) > self._buffer:
            self._failure = FollowerTooSlow(self.session_id, self._position, self._buffer)
            return
        if len(page) == count:
            self._behind = True
            self._ready = [*reversed(self._recorded(page))]
        elif not armed:
            self._behind = False  # and the end of the history is read so that what comes then is told
        else:
            if not page and self._events_key in self._due:
                await self._look_for_what_is_missing()
            self._live = True
            self._due.discard(self._events_key)
            self._merge(self._recorded(page), deltas[0] if deltas else ())

    def _recorded(self, page: Sequence[Any]) -> list[RecordedEvent]:
        """Return the events of a page, up to the first one that does not follow on the one before it."""
        events = []
        for identifier, words in page:
            offset = identifier.decode()
            if version_of(offset) != version_of(self._read_to) + 1:
                self._failure = self._gap_before(offset)
                break
            events.append(event := RecordedEvent(self.session_id, offset, words or (), self._store.opener))
            self._ended = self._ended or event.type in _ENDS
            self._read_to = offset
        return events

    def _gap_before(self, offset: str) -> Exception:
        if version_of(offset) > version_of(self._read_to):
            return HistoryTrimmed(self.session_id, self._read_to, offset)
        return UnknownPosition(self._read_to, offset, f"session {self.session_id!r}, or of one before it with this id")

    async def _look_for_what_is_missing(self) -> None:
        """Where nothing follows, make sure that nothing is there to follow."""
        log = self._store.keys.log(self._route.partition)
        gate, page = await self._store.server.calls(
            (
                ("HGET", log, name_in_log(self.session_id)),
                ("XRANGE", self._route.events, f"({self._read_to}", "+", "COUNT", 1),
            )
        )
        if page:
            return
        if gate is None:
            self._removed()
            return
        last, ended = _last_and_ended(gate)
        self._ended = self._ended or ended
        if version_of(last) > version_of(self._read_to):
            self._failure = HistoryTrimmed(self.session_id, self._read_to, None)
        elif last != self._read_to:
            self._failure = UnknownPosition(self._read_to, last, f"session {self.session_id!r}")

    def _removed(self) -> None:
        if self._ended:
            self._over = True
            return
        problem = f"session {self.session_id!r} was removed; what came behind {self._position} is gone with it"
        self._failure = SessionNotFound(self.session_id, problem)

    def _merge(self, events: list[RecordedEvent], entries: Sequence[Any]) -> None:
        """Put deltas between the events, each behind the one that was the last when it was published."""
        (self._due.discard if len(entries) < _DELTA_PAGE else self._due.add)(self._deltas_key)
        merged: list[RecordedEvent | Delta] = []
        behind = 0
        for entry in entries:
            delta = delta_of(self.session_id, entry, self._store.opener)
            if delta is None:
                continue
            version = version_of(delta.offset)
            while behind < len(events) and events[behind].version <= version:
                merged.append(events[behind])
                behind += 1
            merged.append(delta)
        self._ready = [*reversed(events[behind:]), *reversed(merged)]
        if entries:
            self._deltas_to = entries[-1][0].decode()

    def _take(self) -> RecordedEvent | Delta | None:
        if not self._ready:
            return None
        item = self._ready.pop()
        if isinstance(item, RecordedEvent):
            self._position = item.offset
        return item

    def _empty(self) -> None:
        self._ready.clear()


def _last_and_ended(gate: bytes) -> tuple[str, bool]:
    with reading_stored("the gate of a followed session"):
        offset, state, *_ = gate.decode().split(" ")
        parse_offset(offset)
        return offset, state in ("expired", "deleted", "erased")
