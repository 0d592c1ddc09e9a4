"""One session brought back from the lines of an export of events: all of it, or nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from msgspec import UNSET

from sessionstream.errors import EncryptionError, InvalidArgument, InvalidImportLine, SessionStreamError, Unavailable
from sessionstream.events.base import Phase, registered
from sessionstream.events.lifecycle import CheckpointDeleted, CheckpointSaved
from sessionstream.events.recorded import RecordedEvent
from sessionstream.fold import Views, fold
from sessionstream.lifecycle.enlisting import enlist_at
from sessionstream.lifecycle.reading import ENDS
from sessionstream.log.history import Window, read_history
from sessionstream.log.parts import MILESTONE
from sessionstream.log.request import Appended
from sessionstream.log.store import Store
from sessionstream.transfer.event_lines import EventLine
from sessionstream.transfer.staging import Staging

__all__ = ["Outcome", "Restoring", "ServerClock"]


class Outcome(NamedTuple):
    """What became of one session.

    Attributes:
        created: it was not there before.
        events: how many it has by the lines.
        checkpoints: how many bodies of checkpoints came with them.
        bodiless: the ids of checkpoints that it has, and whose bodies the export did not have.
    """

    created: bool
    events: int
    checkpoints: int
    bodiless: list[str]


class ServerClock:
    """The server's clock, asked only where what was heard last does not answer the question."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._heard = 0

    async def behind(self, ms: int) -> int:
        """Return how many milliseconds the server's clock is behind a moment; 0 if it has come to it."""
        if ms > self._heard:
            self._heard = await self._store.now_ms()
        return max(0, ms - self._heard)


class Restoring:
    """A session on its way.

    Args:
        store: where to.
        session_id: the session.
        clock: of the server.
    """

    def __init__(self, store: Store, session_id: str, clock: ServerClock) -> None:
        self._store = store
        self._session_id = session_id
        self._clock = clock
        self._views = Views(session_id)
        self._digest = hashlib.sha256()
        self._staging: Staging | None = None
        self._known = False
        self._last: EventLine | None = None
        self._bodies: set[str] = set()
        self._bodiless: set[str] = set()
        self._body_count = 0
        self._erasing = False

    async def take(self, lines: Sequence[EventLine]) -> None:
        """Take the next events; at most 250 of at most 512 KiB together, or one that is larger.

        Raises:
            InvalidImportLine: they cannot be the next ones of a session, or the session is there with others.
        """
        if self._store.encryption is not None:
            await self._store.remember([line.event.raw for line in lines])
        for line in lines:
            line.event.opener = self._store.opener
            try:
                await self._check(line)
                self._fold(line)
            except (Unavailable, EncryptionError):
                raise
            except SessionStreamError as error:
                raise InvalidImportLine(line.number, str(error)) from None
            self._last = line
        if self._staging is None and not self._known:
            await self._store.check_writable()
            self._known = bool((await self._store.head(self._session_id))[0])
        if self._known:
            await self._compare(lines)
        else:
            await self._stage(lines)

    async def finish(self) -> Outcome:
        """Let the session be there, whole.

        Raises:
            InvalidImportLine: it is there with other events, or its last event is later than the server's clock.
        """
        last = self._last
        assert last is not None
        if not last.last:
            raise InvalidImportLine(
                last.number, f"session {self._session_id!r} is cut off here: its last line is missing"
            )
        if self._erasing:
            raise InvalidImportLine(
                last.number, f"session {self._session_id!r} lacks the event that tells of its erasure"
            )
        created = self._staging is not None and await self._put_in_place(self._staging, last)
        head = self._views.head if created else (await self._store.head(self._session_id))[0]
        await self._enlist(head)
        bodiless = sorted(self._bodiless) if created else []
        return Outcome(created, last.event.version, self._body_count if created else 0, bodiless)

    async def drop(self) -> None:
        """Leave nothing of it beside its place."""
        if self._staging is not None:
            await self._staging.drop()

    async def _check(self, line: EventLine) -> None:
        """Refuse what no append can have written behind the events before it."""
        event, before = line.event, self._last
        version = 1 if before is None else before.event.version + 1
        if before is not None and before.last:
            raise InvalidArgument(f"it follows the line that says to be the last one of session {self._session_id!r}")
        if event.version != version:
            verb = "begins" if before is None else "goes on"
            raise InvalidArgument(f"session {self._session_id!r} {verb} with version {event.version}, not {version}")
        if before is not None and line.ms < before.ms:
            raise InvalidArgument(f"its offset {event.offset} is before {before.event.offset}: offsets only grow")
        if (ahead := await self._clock.behind(line.ms)) > 0:
            raise InvalidArgument(f"its offset {event.offset} is {ahead / 1000:,.3f} s later than the server's clock")
        self._check_erasure(event.type, version)
        if version > 1 and event.type == "session.created":
            raise InvalidArgument("a session begins with session.created, and once")
        if event.type == "session.trimmed":
            # What it says is gone would be there, and be taken for archived.
            raise InvalidArgument(
                "its session was trimmed: its archive has what is gone, and it cannot be brought back"
            )
        kind = registered(event.type)
        over = self._views.head.get(b"state") in ENDS
        if over and kind is not None and kind.version >= event.schema_version and Phase.ENDED not in kind.phases:
            raise InvalidArgument(f"a {event.type} does not follow the end of its session")

    def _check_erasure(self, kind: str, version: int) -> None:
        """Refuse what is erased in part: of an erased session nothing is left in front of the event that says so."""
        if version == 1 and kind not in ("session.created", "event.erased"):
            raise InvalidArgument("a session begins with session.created, and once")
        if version == 1:
            self._erasing = kind == "event.erased"
        elif self._erasing and kind not in ("event.erased", "session.erased"):
            raise InvalidArgument(f"a {kind} follows what was erased, without the session.erased that tells of that")
        elif not self._erasing and kind in ("event.erased", "session.erased"):
            raise InvalidArgument(f"a {kind} follows what was not erased")
        if kind == "session.erased":
            self._erasing = False

    def _fold(self, line: EventLine) -> None:
        event = line.event
        fold(self._session_id, [event], self._store.projections, self._views)
        if event.version == 1 and not self._erasing and b"user_id" not in self._views.head:
            raise InvalidArgument(f"its session.created does not decode: {event.error}")
        saved = event.known
        if isinstance(saved, CheckpointSaved):
            if line.body is UNSET:
                raise InvalidArgument("it saves a checkpoint, and has no body: not even null")
            if isinstance(line.body, bytes):
                _check_body(saved, line.body)
        elif line.body is not UNSET:
            raise InvalidArgument("it has a body, and saves no checkpoint: the line was changed")
        self._digest.update(_digested(event))

    async def _stage(self, lines: Sequence[EventLine]) -> None:
        self._staging = self._staging or Staging(self._store, self._session_id)
        if not await self._staging.add(lines):
            raise InvalidImportLine(lines[0].number, _LOST)
        for line in lines:
            data = line.event.known
            if isinstance(data, CheckpointSaved):
                await self._stage_body(self._staging, data.checkpoint_id, line.body)
            elif isinstance(data, CheckpointDeleted):
                self._bodiless.discard(data.checkpoint_id)
                if data.checkpoint_id in self._bodies:
                    self._bodies.remove(data.checkpoint_id)
                    await self._staging.drop_body(data.checkpoint_id)

    async def _stage_body(self, staging: Staging, checkpoint_id: str, body: object) -> None:
        if isinstance(body, bytes):
            await staging.add_body(checkpoint_id, body)
            self._bodies.add(checkpoint_id)
            self._bodiless.discard(checkpoint_id)
            self._body_count += 1
        else:
            self._bodiless.add(checkpoint_id)

    async def _compare(self, lines: Sequence[EventLine]) -> None:
        """Make sure that the session, which is there, has these events."""
        first, last = lines[0], lines[-1]
        after, before = f"{first.ms}-{first.event.version - 1}", f"{last.ms}-{last.event.version + 1}"
        window = Window(after=after, before=before)
        stored = read_history(self._store, self._session_id, window)
        found = {event.version: event async for event in stored}
        for line in lines:
            there = found.get(line.event.version)
            if there is None or (there.offset, *there.words) != (line.event.offset, *line.event.words):
                missing = "without the event of this line" if there is None else "with another event in its place"
                raise InvalidImportLine(line.number, f"session {self._session_id!r} is there already, {missing}")

    async def _put_in_place(self, staging: Staging, last: EventLine) -> bool:
        """Return whether the session was made now; False if somebody else has made the same one meanwhile."""
        await self._enlist(self._views.head)
        await staging.add_views(self._views)
        answer = await staging.put_in_place(self._views)
        if answer == "done":
            self._tell(last.event)
            return True
        await staging.drop()
        if answer == "lost":
            raise InvalidImportLine(last.number, _LOST)
        if answer != "exists":
            raise InvalidImportLine(last.number, f"its offset is {answer} ms later than the server's clock")
        # The answer of an earlier try may have been lost on its way; or another import was faster.
        stored = hashlib.sha256()
        window = Window(to_version=last.event.version)
        async for event in read_history(self._store, self._session_id, window):
            stored.update(_digested(event))
        if stored.digest() != self._digest.digest():
            raise InvalidImportLine(last.number, f"session {self._session_id!r} is there already, with other events")
        return False

    async def _enlist(self, head: Mapping[bytes, bytes]) -> None:
        """Note the session in its user's list, unless it is over: before it is there, and behind that once more.

        A reader forgets an old entry of a session that is not there, and an import's sessions are old.
        """
        if b"user_id" in head and head.get(b"state") not in ENDS:
            user_id, created = head[b"user_id"].decode(), int(head[b"created_at"])
            await enlist_at(self._store, user_id, self._session_id, created)

    def _tell(self, event: RecordedEvent) -> None:
        made = Appended.at(self._session_id, event.offset, event.version)
        self._store.positions.appended([made])
        if made.version >= MILESTONE:
            for tell in self._store.milestones:
                tell(made)


_LOST = "what was imported before it has run out meanwhile: run the import again"


def _check_body(saved: CheckpointSaved, body: bytes) -> None:
    if len(body) != saved.size or hashlib.sha256(body).hexdigest() != saved.sha256:
        raise InvalidArgument(f"the body of checkpoint {saved.checkpoint_id!r} is not the one that was saved")


def _digested(event: RecordedEvent) -> bytes:
    """Return an entry so that no two different ones are the same bytes."""
    words = (event.offset.encode(), *event.words)
    return b"".join([b"%d:%b" % (len(word), word) for word in words]) + b"\n"
