"""Evidence: one session in one file, with its seals and the bodies of its checkpoints, to be verified without a server.

The file is JSON lines: what it is; each seal, and behind it the events that it covers, then those that none covers; the
bodies; the head; how many lines there were and a keyed digest of all of them. Everything is exactly as it was stored.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from sessionstream.errors import InvalidArgument, InvalidEvidence, SessionNotFound
from sessionstream.events.ids import checked_id
from sessionstream.events.raw import text_of
from sessionstream.events.recorded import NOWHERE, RecordedEvent, version_of
from sessionstream.integrity.chain import TRIMMED, seal_from
from sessionstream.integrity.keyring import Keyring
from sessionstream.integrity.lines import LinesWriter
from sessionstream.integrity.reading import Archive
from sessionstream.integrity.seals import SealReader
from sessionstream.log.gates import fields_of, name_in_log
from sessionstream.log.history import first_offset, parse_offset
from sessionstream.log.store import Store

__all__ = ["write_evidence"]

_PAGE = 1000
_LOCKS = (b"token", b"lock_")


async def write_evidence(
    store: Store,
    keyring: Keyring,
    session_id: str,
    path: Path,
    *,
    archived: Archive | None = None,
) -> int:
    """Write a session's evidence, and return how many events are in it.

    Args:
        store: where it is kept.
        keyring: the keys; the file is closed with the present one.
        session_id: the session, ended or not.
        path: the file, which appears when all of it is on the disk.
        archived: gives the events that are no more in the stream, from version 1 on.

    Raises:
        SessionNotFound: nothing is kept of such a session.
        InvalidEvidence: the file cannot be written, or the log does not tell where the session ends.
    """
    session_id = checked_id(session_id, "session_id")
    await store.check_readable()
    gate, seals, trimmed, now = await _look(store, session_id)
    if gate is None:
        raise SessionNotFound(session_id)
    end = gate.split(b" ", 1)[0].decode(errors="replace")
    try:
        parse_offset(end)
    except InvalidArgument:
        text = f"the log does not tell where session {session_id!r} ends: verify names it"
        raise InvalidEvidence(str(path), text) from None
    facts = {"namespace": store.keys.namespace, "session_id": session_id, "at": now, "offset": end}
    if trimmed is not None and archived is None:
        facts["trimmed"] = trimmed.decode(errors="replace")
    with LinesWriter(path, "evidence", keyring.present, facts, InvalidEvidence) as writer:
        evidence = _Evidence(store, session_id, end, seals, writer)
        await evidence.write_history(archived)
        await evidence.write_bodies()
        await evidence.write_head()
    return evidence.events


async def _look(store: Store, session_id: str) -> tuple[bytes | None, int, bytes | None, int]:
    log = store.keys.log(store.keys.partition(session_id))
    gate, seals, trimmed = await store.server.calls(
        [
            ("HGET", log, name_in_log(session_id)),
            ("LLEN", store.keys.seals(session_id)),
            ("HGET", store.keys.head(session_id), TRIMMED),
        ]
    )
    return gate, seals, trimmed, await store.now_ms()


class _Evidence:
    """One session that is written down as it was at one offset."""

    def __init__(self, store: Store, session_id: str, end: str, seals: int, writer: LinesWriter) -> None:
        self._store = store
        self._session_id = session_id
        self._end = end
        self._writer = writer
        self._covered_to = 0
        self._seals = SealReader(store, session_id, seals)
        self._last = NOWHERE
        self._beyond = end
        self.events = 0

    async def write_history(self, archived: Archive | None) -> None:
        """Write the seals, each in front of its events, and the events."""
        key = self._store.keys.events(self._session_id)
        first = version_of(await first_offset(self._store, self._session_id) or NOWHERE)
        if archived is not None and first != 1:
            async with contextlib.aclosing(archived(self._session_id)) as events:  # type: ignore[type-var]
                async for event in events:
                    if first and event.version >= first:
                        break
                    await self._write_event(event.offset, list(event.words))
        while True:
            page = await self._store.server.call("XRANGE", key, f"({self._last}", self._end, "COUNT", _PAGE)
            for identifier, words in page:
                await self._write_event(identifier.decode(), words or [])
            if len(page) < _PAGE:
                break
        while (kept := await self._next_seal()) is not None:
            self._writer.write({"seal": text_of(kept)})

    async def _write_event(self, offset: str, words: list[bytes]) -> None:
        while version_of(offset) > self._covered_to and (kept := await self._next_seal()) is not None:
            self._writer.write({"seal": text_of(kept)})
        self._writer.write({"event": offset, "words": [text_of(word) for word in words]})
        self._last = offset
        self.events += 1

    async def _next_seal(self) -> bytes | None:
        kept = await self._seals.next()
        seal = None if kept is None else seal_from(kept)
        self._covered_to = seal.version if seal is not None else self._covered_to
        return kept

    async def write_bodies(self) -> None:
        """Write the body of each checkpoint; one that was saved or deleted meanwhile is told as that."""
        key = self._store.keys.bodies(self._session_id)
        identifiers = await self._store.server.call("HKEYS", key)
        changed = {one async for one in self._changed_since()}
        for identifier in identifiers:
            body = await self._store.server.call("HGET", key, identifier)
            if identifier and body is not None and identifier.decode(errors="replace") not in changed:
                self._writer.write({"checkpoint": text_of(identifier), "body": text_of(body)})
        changed |= {one async for one in self._changed_since()}
        if changed:
            self._writer.write({"changed_since": sorted(changed)})

    async def _changed_since(self) -> AsyncIterator[str]:
        """Yield the checkpoints that were saved or deleted behind the end of what is written, each event's once."""
        key = self._store.keys.events(self._session_id)
        while page := await self._store.server.call("XRANGE", key, f"({self._beyond}", "+", "COUNT", _PAGE):
            for identifier, words in page:
                self._beyond = identifier.decode()
                event = RecordedEvent(self._session_id, self._beyond, words or ())
                if event.type in ("checkpoint.saved", "checkpoint.deleted"):
                    yield getattr(event.known, "checkpoint_id", "")

    async def write_head(self) -> None:
        """Write the head, if the session is still where the history ends."""
        log, key = self._store.keys.log(self._store.keys.partition(self._session_id)), name_in_log(self._session_id)
        words, gate = await self._store.server.calls(
            [("HGETALL", self._store.keys.head(self._session_id)), ("HGET", log, key)]
        )
        pairs = fields_of(words)
        if gate is not None and gate.split(b" ", 1)[0].decode() == self._end:
            head = [[text_of(name), text_of(value)] for name, value in pairs.items() if not name.startswith(_LOCKS)]
            self._writer.write({"head": head})
