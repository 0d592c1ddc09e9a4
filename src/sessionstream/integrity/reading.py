"""Reading a session to verify it: its history, then what lies beside that, as all of it is at one moment."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from sessionstream.bases.reading import base_names, nearest
from sessionstream.errors import ArchiveDamaged, ArchiveFailed, SessionNotFound
from sessionstream.events.recorded import RecordedEvent, at_ms, version_of
from sessionstream.fold import Views
from sessionstream.integrity.chain import ERASURE, TRIM, TRIMMED, told_trim
from sessionstream.integrity.checking import HistoryCheck
from sessionstream.integrity.folding import Folded, altered_bodies, same_views, saved_checkpoints
from sessionstream.integrity.keyring import Keyring
from sessionstream.integrity.reporting import Finding, Kind, Undecodable
from sessionstream.integrity.seals import SealReader
from sessionstream.log.gates import name_in_log
from sessionstream.log.store import Store

__all__ = ["MOST_LOOKS", "Archive", "SessionReading"]

Archive = Callable[[str], AsyncIterator[RecordedEvent]]
"""Gives a session's events from version 1 on, those that are no more in the stream at least."""

MOST_LOOKS = 50
"""So often what lies beside a history is looked at while it is changed."""

_PAGE = 1000
_OFFSET = re.compile(rb"[0-9]{1,20}-[0-9]{1,20}(?: |\Z)")


def _offset_in(kept: bytes, what: str) -> str:
    """Return the offset with which something that is kept begins; empty for nothing."""
    if kept and not _OFFSET.match(kept):
        raise Undecodable(what)
    return kept.split(b" ", 1)[0].decode()


def _version_in(gate: bytes) -> int:
    return version_of(_offset_in(gate or b"?", "what the log knows of it"))


class SessionReading:
    """One session that is read, and what is found at once.

    Args:
        store: where it is kept.
        keyring: the keys.
        session_id: the session.

    Attributes:
        session_id: as given.
        check: the history against its seals.
        gate: what the log knew of it when views and bodies were compared; empty for nothing.
        began: the milliseconds of its first event; 0 if that is not there.
        trimmed: the offset up to which the head says that it was trimmed.
        trims: the offsets up to which its events say so.
        beside: what was found beside the history.
        of_archive: what was found of its archive.
        unknown: whose views could not be compared, as words.
        unstable: whether it was changed at every look, so that nothing beside the history was compared.
    """

    def __init__(self, store: Store, keyring: Keyring, session_id: str) -> None:
        self._store = store
        self.session_id = session_id
        self._partition = store.keys.partition(session_id)
        self.events_key = store.keys.events(session_id)
        self._keyring = keyring
        self.check = HistoryCheck(session_id, keyring)
        self._first = 0
        self.trimmed = ""
        self._known_to = 0
        self.of_archive: list[Finding] = []
        self.trims: set[str] = set()
        self._folded = Folded(store.projections, session_id, store.opener)
        self.unknown = ""
        self.began = 0
        self._seals_there = 0
        self._seals = SealReader(store, session_id, 0)
        self.gate = b""
        self._fine: set[bytes] = set()
        self._bases: set[str] = set()
        self._of_bases: list[Finding] = []
        self.beside: list[Finding] = []
        self.unstable = False

    async def compare_projections(self) -> None:
        """Fold with the projections that the namespace was made with, as far as this process has them."""
        stamp = await self._store.server.call("HGET", self._store.keys.log(0), ":stamp")
        theirs = (stamp or b"").decode().rpartition("projections=")[2].split(",")
        ours = {f"{one.name}:{one.version}": one for one in self._store.projections}
        unknown = [name for name in theirs if name and name not in ours]
        self.unknown = f"of {', '.join(unknown)}, which this process does not have" if unknown else ""
        known = [one for name, one in ours.items() if name in theirs]
        self._folded = Folded(known, self.session_id, self._store.opener)

    async def look_for_bases(self) -> None:
        """Look which base snapshots there are, from which moments of the past are folded."""
        if not self.unknown and len(self._folded.projections) == len(self._store.projections):
            self._bases = {name.offset for name in await base_names(self._store, self.session_id)}

    async def _compare_base(self, offset: str, views: Views | None) -> None:
        """Compare a base that a reader would take with what the events make up to there."""
        base = await nearest(self._store, self.session_id, offset)
        if base is None or base.offset != offset or self._folded.broken or self._folded.locked:
            return
        if views is None or not same_views(base.views, views):
            text = "the base snapshot there is not what the events make"
            self._of_bases.append(Finding(Kind.VIEW_ALTERED, text, offset, version_of(offset), "bases"))

    async def is_there(self) -> bool:
        """Whether anything is kept of the session."""
        keys = self._store.keys
        gate, head, trimmed, stream, self._seals_there, score = await self._store.server.calls(
            [
                self._gate_command,
                ("EXISTS", keys.head(self.session_id)),
                ("HGET", keys.head(self.session_id), TRIMMED),
                ("XRANGE", self.events_key, "-", "+", "COUNT", 1),
                ("LLEN", keys.seals(self.session_id)),
                # The last one: of a session that is removed meanwhile it is not there either.
                ("ZSCORE", keys.registry(self._partition), self.session_id),
            ]
        )
        self._seals = SealReader(self._store, self.session_id, self._seals_there)
        self.trimmed = _offset_in(trimmed or b"", "how far its head says that it was trimmed")
        self._known_to = _version_in(gate) if gate is not None else 0
        self._first = version_of(stream[0][0].decode()) if stream else 0
        return gate is not None or bool(head or stream or self._seals_there) or score is not None

    @property
    def locked(self) -> str:
        """Why what is encrypted could not be compared, or nothing."""
        return self._folded.locked

    @property
    def begins_late(self) -> bool:
        """Whether the first events are in an archive that was not given."""
        return self.check.begins > 1

    @property
    def _gate_command(self) -> tuple[str, ...]:
        return ("HGET", self._store.keys.log(self._partition), name_in_log(self.session_id))

    async def is_another(self) -> bool:
        """Whether the session was trimmed, removed or made anew while it was read."""
        gate, trimmed = await self._store.server.calls(
            [self._gate_command, ("HGET", self._store.keys.head(self.session_id), TRIMMED)]
        )
        gone = gate is None and self._known_to > 0
        renewed = gate is not None and _version_in(gate) < self._known_to
        return gone or renewed or (trimmed or b"") != self.trimmed.encode()

    async def _read_archive(self, archived: Archive) -> bool:
        """Take the events in front of the stream's; what is wrong with an archive is a finding.

        Returns:
            False if they could not be read: then the history begins where the stream does.
        """
        try:
            async with contextlib.aclosing(archived(self.session_id)) as events:  # type: ignore[type-var]
                async for event in events:
                    if self._first and event.version >= self._first:
                        break
                    await self._take(event.offset, event.words)
            return True
        except (ArchiveDamaged, ArchiveFailed) as error:
            self.of_archive.append(Finding(Kind.FILE_ALTERED, str(error), name=error.path))
        except SessionNotFound:  # neither its head nor the registry tells when it began, and so which archive is its
            pass
        self._seals = SealReader(self._store, self.session_id, self._seals_there)
        await self.compare_projections()
        return False

    async def read(self, archived: Archive | None) -> None:
        """Go through the history, then hold the views and the bodies against it as they are at one moment."""
        whole = archived is not None and self._first != 1 and await self._read_archive(archived)
        if not whole:
            self.check = HistoryCheck(self.session_id, self._keyring)
        if not whole and self.trimmed:
            gone = version_of(self.trimmed)
            self.check = HistoryCheck(self.session_id, self._keyring, min(self._first or gone + 1, gone + 1))
        if self.begins_late:
            self._bases = set()
        while len(page := await self._page()) == _PAGE:
            await self._take_all(page)
        await self._take_all(page)
        while (kept := await self._seals.next()) is not None:
            self.check.seal(kept)
        for _ in range(MOST_LOOKS):
            if await self._look():
                break
        else:
            self.unstable = True
        for offset in sorted(self._bases):
            if self.check.begins <= version_of(offset) <= self.check.version:
                await self._compare_base(offset, None)
        self.beside += self._of_bases

    async def _page(self) -> list[Any]:
        start = f"({self.check.last}" if self.check.last else "-"
        return list(await self._store.server.call("XRANGE", self.events_key, start, "+", "COUNT", _PAGE))

    async def _take_all(self, page: Sequence[Any]) -> None:
        if self._store.encryption is not None:
            await self._store.remember_keys_of(page)
        for identifier, words in page:
            offset = identifier.decode()
            # Most events need neither the next seal nor a look at a base: those are taken without waiting.
            if version_of(offset) > self.check.covered_to or offset in self._bases:
                await self._take(offset, words or ())
            else:
                self._take_at_once(offset, words or ())

    async def _take(self, offset: str, words: Sequence[bytes]) -> None:
        while version_of(offset) > self.check.covered_to and (kept := await self._seals.next()) is not None:
            self.check.seal(kept)
        self._take_at_once(offset, words)
        if offset in self._bases:
            self._bases.discard(offset)
            await self._compare_base(offset, self._folded.views)

    def _take_at_once(self, offset: str, words: Sequence[bytes]) -> None:
        self.check.event(offset, words)
        self._folded.take(offset, words)
        if not self.began and version_of(offset) == 1:
            self.began = at_ms(offset)
        if words and words[0] in (TRIM, ERASURE):
            self.trims.add(told_trim(words))

    async def _look(self) -> bool:
        """Whether views and bodies could be compared with the history as it is at one moment."""
        spots = self._folded.spots()
        start = f"({self.check.last}" if self.check.last else "-"
        registry = ("ZSCORE", self._store.keys.registry(self._partition), self.session_id)
        before, more, score, *replies, after = await self._store.server.calls(
            [
                self._gate_command,
                ("XRANGE", self.events_key, start, "+", "COUNT", _PAGE),
                registry,
                *self._folded.commands(self._store.keys, spots),
                self._gate_command,
            ]
        )
        await self._take_all(more)
        if before != after or len(more) == _PAGE or self._folded.spots() != spots:
            return False
        self.gate = after or b""
        if self._folded.broken and not self.begins_late:
            self.beside = [Finding(Kind.VIEW_ALTERED, self._folded.broken)]
            return True
        if after is not None:
            _version_in(after)
        # Without its first events the fold is not what the views are.
        findings = [] if self.begins_late else [*self._compare_log(score), *self._folded.differences(spots, replies)]
        saved = saved_checkpoints(self._folded.views)
        whole = not self.begins_late
        bodies = await altered_bodies(self._store, self.session_id, saved, self._fine, all_known=whole)
        if bodies and await self._store.server.call(*self._gate_command) != after:
            return False
        self.beside = [*findings, *bodies]
        return True

    def _compare_log(self, score: Any) -> list[Finding]:
        """Return in what the log and the registry differ from what the events tell."""
        if not self.gate:
            return [Finding(Kind.LOG_ALTERED, "the log of its partition does not know the session")]
        found = []
        head = self._folded.views.head
        told = self.gate.split(b" ")[1:]
        expected = [head.get(field, b"") for field in (b"state", b"expires_at", b"sliding")]
        if told != expected:
            found.append(Finding(Kind.LOG_ALTERED, "the log tells another state or expiry than the events"))
        if score is None or float(head.get(b"created_at") or score) != float(score):
            found.append(Finding(Kind.LOG_ALTERED, "the registry does not have the session by its creation"))
        return found
