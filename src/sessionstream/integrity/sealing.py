"""Sealing: a session's events since its last seal are sealed, run by run, behind that seal and behind no other."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sessionstream.chores import Chores
from sessionstream.errors import (
    HistoryAltered,
    IntegrityError,
    SealKeyUnknown,
    SessionNotFound,
    SessionStreamError,
    Unavailable,
)
from sessionstream.events.ids import checked_id
from sessionstream.events.recorded import NOWHERE, moment, version_of
from sessionstream.integrity.chain import (
    FORMAT,
    MOST_EVENTS,
    TAG,
    TRIMMED,
    Digester,
    Run,
    Seal,
    is_authentic,
    is_event,
    seal_from,
)
from sessionstream.integrity.keyring import Keyring
from sessionstream.log.gates import name_in_log
from sessionstream.log.store import Store
from sessionstream.wire.lane import milliseconds
from sessionstream.wire.scripts import load_script

__all__ = ["Sealed", "Sealing", "seal_session"]

_SEAL = load_script("sessionstream.integrity", "seal")
_MOST_TRIES = 100


@dataclass(frozen=True)
class Sealed:
    """How far a session is sealed.

    Attributes:
        session_id: the session.
        offset: of the last event that is sealed.
        seal: the last seal, in hexadecimal.
        key_id: what names the key that it was made with.
        at: when it was made.
        events: how many events this call has sealed.
    """

    session_id: str
    offset: str
    seal: str
    key_id: str
    at: datetime
    events: int

    @property
    def version(self) -> int:
        """The version up to which it is sealed."""
        return version_of(self.offset)


class Sealing:
    """Seals sessions beside the appends: at milestones, and when it is told to.

    Args:
        store: where they are kept.
        chores: what does it.

    Raises:
        SealKeyMissing: there is no key.
    """

    def __init__(self, store: Store, chores: Chores) -> None:
        # The store knows of this, and has to be able to go without a collection.
        self._store = weakref.ref(store)
        self._chores = chores
        self._wanted: set[str] = set()
        self._waiting: dict[str, None] = {}
        self._keyring = Keyring.of(store.settings)
        store.milestones.append(lambda appended: self.soon(appended.session_id))
        store.endings.append(self.soon)

    def soon(self, session_id: str) -> None:
        """Seal a session when there is time; what fails, the next seal covers."""
        if (store := self._store()) is not None:
            self._wanted.add(session_id)
            if not self._chores.start(("seal", session_id), self._seal(store, session_id)):
                self._waiting[session_id] = None

    async def _seal(self, store: Store, session_id: str) -> None:
        await self._seal_wanted(store, session_id)
        # Those for which there was no room: nothing need ever call for their seal again.
        while self._waiting:
            session_id = next(iter(self._waiting))
            del self._waiting[session_id]
            await self._seal_wanted(store, session_id)

    async def _seal_wanted(self, store: Store, session_id: str) -> None:
        # What is appended while this reads may call for a seal once more.
        while session_id in self._wanted:
            self._wanted.discard(session_id)
            try:
                await seal_session(store, self._keyring, session_id)
            except SessionNotFound:
                continue
            except SessionStreamError as error:
                self._chores.note(("seal", session_id), error)


async def seal_session(store: Store, keyring: Keyring, session_id: str) -> Sealed:
    """Seal what a session has since its last seal, and return how far it is sealed.

    Args:
        store: where it is kept.
        keyring: the keys; what is sealed now is sealed with the present one.
        session_id: the session, ended or not.

    Raises:
        SessionNotFound: nothing is kept of such a session.
        HistoryAltered: the last seal, the event that it ends with, or what follows is not what was appended.
        SealKeyUnknown: the last seal was made with a key that is not here.
        Unavailable: others sealed it at each of many tries.
    """
    checked_id(session_id, "session_id")
    await store.check_readable()
    sealing, count, tries = _Sealer(store, keyring, session_id), 0, 0
    while tries < _MOST_TRIES:
        last, end, now = await sealing.look()
        if last is not None and last.version == version_of(end):
            return Sealed(session_id, last.offset, last.seal, last.key, moment(last.at), count)
        try:
            added = await sealing.add(last, end, now)
        except HistoryAltered:
            if not await sealing.has_moved(last, end):
                raise
            added = 0
        count, tries = count + added, 0 if added else tries + 1
    raise Unavailable(f"session {session_id!r} was sealed by others at each of many tries")


class _Sealer:
    """One session that is sealed."""

    def __init__(self, store: Store, keyring: Keyring, session_id: str) -> None:
        self._store = store
        self._keyring = keyring
        self._session_id = session_id
        self._partition = store.keys.partition(session_id)
        self._log, self._events = store.keys.log(self._partition), store.keys.events(session_id)
        self._seals = store.keys.seals(session_id)
        self._trimmed_to = 0

    async def look(self) -> tuple[Seal | None, str, int]:
        """Return the last seal, the session's last offset, and the server's milliseconds."""
        gate, kept, trimmed, time = await self._store.server.calls(
            [
                ("HGET", self._log, name_in_log(self._session_id)),
                ("LINDEX", self._seals, -1),
                ("HGET", self._store.keys.head(self._session_id), TRIMMED),
                ("TIME",),
            ]
        )
        if gate is None:
            raise SessionNotFound(self._session_id)
        try:
            self._trimmed_to = version_of(trimmed.decode()) if trimmed else 0
            end = gate.split(b" ", 1)[0].decode()
            version_of(end)
        except ValueError:
            raise self._altered(NOWHERE, "what the log and its head know of it does not decode") from None
        return self._checked(kept, end) if kept is not None else None, end, milliseconds(time)

    async def has_moved(self, last: Seal | None, end: str) -> bool:
        """Whether the session was trimmed, sealed by others, or made anew since it was looked at."""
        trimmed_to = self._trimmed_to
        last_now, end_now, _ = await self.look()
        return (last_now, self._trimmed_to) != (last, trimmed_to) or version_of(end_now) < version_of(end)

    def _checked(self, kept: bytes, end: str) -> Seal:
        last = seal_from(kept)
        if last is None:
            raise self._altered(end, "its last seal does not decode")
        if last.format != FORMAT:
            text = f"its last seal is of format {last.format}, which this version does not make: a newer one is needed"
            raise IntegrityError(self._session_id, f"session {self._session_id!r} is not sealed any further: {text}")
        key = self._keyring.get(last.key)
        if key is None:
            raise SealKeyUnknown(self._session_id, last.key)
        if not is_authentic(last, key, self._session_id):
            raise self._altered(last.offset, "its last seal is not as it was made")
        if last.version > version_of(end):
            raise self._altered(end, f"its last seal covers version {last.version}, behind its end")
        return last

    async def add(self, last: Seal | None, end: str, now: int) -> int:
        """Seal the next run, and return how many events that are; 0 if somebody else was faster."""
        # The last event that is sealed is read too, unless it was trimmed.
        border = last if last is not None and last.version > self._trimmed_to else None
        first = max(self._trimmed_to, last.version if last is not None else 0) + 1
        start = border.offset if border is not None else "-"
        more = 0 if border is None else 1
        page = await self._store.server.call("XRANGE", self._events, start, end, "COUNT", MOST_EVENTS + more)
        if border is not None:
            self._check_border(border, page)
        run = Run(self._keyring.present, self._session_id, last.seal if last else "", first)
        for identifier, words in page[more:]:
            offset = identifier.decode()
            if version_of(offset) != first + run.events:
                raise self._altered(offset, f"version {first + run.events} is missing")
            run.add(offset, words or ())
        if run.events < MOST_EVENTS and run.offset != end:
            known = run.offset or (NOWHERE if last is None else last.offset)
            raise self._altered(known, f"the stream ends, though the log tells of {end}")
        return run.events if await self._put(run.sealed(now)) else 0

    def _check_border(self, last: Seal, page: list[Any]) -> None:
        """Make sure that the last event which is sealed is as it was, so that no seal covers up what was done to it."""
        key = self._keyring.get(last.key)
        assert key is not None
        found = dict(page[:1]).get(last.offset.encode())
        digester, tag = Digester(key, self._session_id), last.tag_list()[-TAG:]
        if found is None or not is_event(digester, last.offset, found, tag):
            raise self._altered(last.offset, "the event is gone, or not as it was sealed")

    async def _put(self, seal: Seal) -> bool:
        # Who has other projections may seal: the events are the same.
        shape = self._store.shape
        words = [shape, name_in_log(self._session_id), seal.offset, seal.previous, seal.seal, seal.encoded().decode()]
        answer = await self._store.server.script(_SEAL, [self._log, self._events, self._seals], words)
        if answer == b"stamp":
            await self._store.prepare(self._partition)
        if answer == b"gone":
            await self._store.existing_head(self._session_id)
        return bool(answer == b"done")

    def _altered(self, offset: str, problem: str) -> HistoryAltered:
        return HistoryAltered(self._session_id, offset, problem)
