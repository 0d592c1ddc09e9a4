"""Verifying one session where it lies: history against seals, views against history, and what else knows of it.

It only reads. While a session is appended to, it is looked at as it was at one moment: what was appended meanwhile is
read too, until nothing comes in between.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from sessionstream.errors import ArchiveDamaged, ArchiveFailed, AuthenticationFailed, ServerError, Unavailable
from sessionstream.events.ids import checked_id
from sessionstream.events.recorded import RecordedEvent, at_ms, version_of
from sessionstream.integrity.anchors import Anchor, Anchored
from sessionstream.integrity.chain import TRIM, TRIMMED
from sessionstream.integrity.checking import HistoryCheck
from sessionstream.integrity.feeds import FeedWords, Word, read_feed
from sessionstream.integrity.folding import Folded, altered_bodies, saved_checkpoints
from sessionstream.integrity.keyring import Keyring
from sessionstream.integrity.origins import name_origins
from sessionstream.integrity.outside import check_anchor, check_feed, vanished
from sessionstream.integrity.reporting import Claim, Finding, Kind, Verification, claim, history_claims, judged
from sessionstream.log.gates import name_in_log
from sessionstream.log.store import Store

__all__ = ["Archive", "verify_session"]

Archive = Callable[[str], AsyncIterator[RecordedEvent]]
"""Gives a session's events from version 1 on, those that are no more in the stream at least."""

_PAGE = 1000
_MOST_BEGINNINGS = 5
_SEALS = 64
_MOST_LOOKS = 50
_SHORTER = (Kind.CUT_OFF, Kind.REMOVED, Kind.ROLLED_BACK)


async def verify_session(
    store: Store,
    keyring: Keyring,
    session_id: str,
    *,
    anchor: Anchor | None = None,
    archived: Archive | None = None,
    feeds: FeedWords | None = None,
) -> Verification:
    """Verify a session, and return what was found, and what could and could not be checked.

    Args:
        store: where it is kept.
        keyring: the keys.
        session_id: the session, ended or not.
        anchor: what was known outside of the server.
        archived: gives the events that are no more in the stream, from version 1 on.
        feeds: what the feeds tell, if they are read for many sessions.

    Raises:
        SessionNotFound: nothing is kept of such a session, and no anchor knows it.
    """
    checked_id(session_id, "session_id")
    await store.check_readable()
    for _ in range(_MOST_BEGINNINGS):
        found = await _verify_once(store, keyring, session_id, anchor, archived, feeds)
        if found is not None:
            return found
    raise Unavailable(f"session {session_id!r} was trimmed, or made anew, each time it was verified")


async def _verify_once(
    store: Store,
    keyring: Keyring,
    session_id: str,
    anchor: Anchor | None,
    archived: Archive | None,
    feeds: FeedWords | None,
) -> Verification | None:
    """Verify a session; None if it was trimmed, removed or made anew meanwhile."""
    verifier = _Verifier(store, keyring, session_id)
    last = await store.server.call("XREVRANGE", store.keys.events(session_id), "+", "-", "COUNT", 1)
    since = at_ms(last[0][0].decode()) if last else 0
    # Read before the session is, so that it tells of nothing that comes later.
    word = await feeds.of(session_id) if feeds is not None else await _word_of(store, session_id, since)
    if not await verifier.is_there():
        return vanished(session_id, anchor, word)
    await verifier.compare_projections()
    await verifier.read(archived)
    if await verifier.is_another():
        return None
    return await verifier.result(word, since, anchor)


async def _word_of(store: Store, session_id: str, since: int) -> Word:
    feed = await read_feed(store, store.keys.partition(session_id), since, session_id)
    return feed.of(session_id)


def _told_by(word: Word) -> int:
    return version_of(word.pointer.offset) if word.pointer is not None else 0


def _version_in(gate: bytes) -> int:
    return version_of(gate.split(b" ", 1)[0].decode())


class _Verifier:
    """One session that is verified."""

    def __init__(self, store: Store, keyring: Keyring, session_id: str) -> None:
        self._store = store
        self._session_id = session_id
        self._partition = store.keys.partition(session_id)
        self._events = store.keys.events(session_id)
        self._keyring = keyring
        self._check = HistoryCheck(session_id, keyring)
        self._first = 0
        self._trimmed = ""
        self._known_to = 0
        self._of_archive: list[Finding] = []
        self._trims: set[str] = set()
        self._folded = Folded(store.projections, session_id)
        self._unknown = ""
        self._began = 0
        self._seals: list[bytes] = []
        self._seals_read = self._seals_there = 0
        self._gate = b""
        self._fine: set[bytes] = set()
        self._findings: list[Finding] = []
        self._unstable = False

    async def compare_projections(self) -> None:
        """Fold with the projections that the namespace was made with, as far as this process has them."""
        stamp = await self._store.server.call("HGET", self._store.keys.log(0), ":stamp")
        theirs = (stamp or b"").decode().rpartition("projections=")[2].split(",")
        ours = {f"{one.name}:{one.version}": one for one in self._store.projections}
        unknown = [name for name in theirs if name and name not in ours]
        self._unknown = f"of {', '.join(unknown)}, which this process does not have" if unknown else ""
        self._folded = Folded([one for name, one in ours.items() if name in theirs], self._session_id)

    async def is_there(self) -> bool:
        """Whether anything is kept of the session."""
        keys = self._store.keys
        gate, head, trimmed, stream, self._seals_there = await self._store.server.calls(
            [
                self._gate_command,
                ("EXISTS", keys.head(self._session_id)),
                ("HGET", keys.head(self._session_id), TRIMMED),
                ("XRANGE", self._events, "-", "+", "COUNT", 1),
                ("LLEN", keys.seals(self._session_id)),
            ]
        )
        self._trimmed = (trimmed or b"").decode()
        self._known_to = _version_in(gate) if gate is not None else 0
        self._first = version_of(stream[0][0].decode()) if stream else 0
        return gate is not None or bool(head or stream or self._seals_there)

    @property
    def _gate_command(self) -> tuple[str, ...]:
        return ("HGET", self._store.keys.log(self._partition), name_in_log(self._session_id))

    async def is_another(self) -> bool:
        """Whether the session was trimmed, removed or made anew while it was read."""
        gate, trimmed = await self._store.server.calls(
            [self._gate_command, ("HGET", self._store.keys.head(self._session_id), TRIMMED)]
        )
        gone = gate is None and self._known_to > 0
        renewed = gate is not None and _version_in(gate) < self._known_to
        return gone or renewed or (trimmed or b"").decode() != self._trimmed

    async def _read_archive(self, archived: Archive) -> None:
        """Take the events in front of the stream's; what is wrong with an archive is a finding."""
        try:
            async with contextlib.aclosing(archived(self._session_id)) as events:  # type: ignore[type-var]
                async for event in events:
                    if self._first and event.version >= self._first:
                        return
                    await self._take(event.offset, event.words)
        except (ArchiveDamaged, ArchiveFailed) as error:
            self._of_archive.append(Finding(Kind.FILE_ALTERED, str(error)))

    async def read(self, archived: Archive | None) -> None:
        """Go through the history, then hold the views and the bodies against it as they are at one moment."""
        if archived is not None and self._first != 1:
            await self._read_archive(archived)
        elif self._trimmed:
            gone = version_of(self._trimmed)
            self._check = HistoryCheck(self._session_id, self._keyring, min(self._first or gone + 1, gone + 1))
        while len(page := await self._page()) == _PAGE:
            await self._take_all(page)
        await self._take_all(page)
        while (kept := await self._next_seal()) is not None:
            self._check.seal(kept)
        for _ in range(_MOST_LOOKS):
            if await self._look():
                return
        self._unstable = True

    async def _page(self) -> list[Any]:
        start = f"({self._check.last}" if self._check.last else "-"
        return list(await self._store.server.call("XRANGE", self._events, start, "+", "COUNT", _PAGE))

    async def _take_all(self, page: Sequence[Any]) -> None:
        for identifier, words in page:
            await self._take(identifier.decode(), words or ())

    async def _take(self, offset: str, words: Sequence[bytes]) -> None:
        version = version_of(offset)
        while version > self._check.covered_to and (kept := await self._next_seal()) is not None:
            self._check.seal(kept)
        self._check.event(offset, words)
        self._began = self._began or (at_ms(offset) if version == 1 else 0)
        self._folded.take(offset, words)
        if words and words[0] == TRIM:
            self._trims.add(str(getattr(RecordedEvent(self._session_id, offset, words).data, "upto", "")))

    async def _next_seal(self) -> bytes | None:
        """Return the next of the seals that there were at the beginning."""
        if not self._seals and self._seals_read < self._seals_there:
            last = min(self._seals_read + _SEALS, self._seals_there) - 1
            key = self._store.keys.seals(self._session_id)
            self._seals = list(await self._store.server.call("LRANGE", key, self._seals_read, last))[::-1]
            self._seals_read = last + 1
        return self._seals.pop() if self._seals else None

    async def _look(self) -> bool:
        """Whether views and bodies could be compared with the history as it is at one moment."""
        spots = self._folded.spots()
        start = f"({self._check.last}" if self._check.last else "-"
        registry = ("ZSCORE", self._store.keys.registry(self._partition), self._session_id)
        before, more, score, *replies, after = await self._store.server.calls(
            [
                self._gate_command,
                ("XRANGE", self._events, start, "+", "COUNT", _PAGE),
                registry,
                *self._folded.commands(self._store.keys, spots),
                self._gate_command,
            ]
        )
        await self._take_all(more)
        if before != after or len(more) == _PAGE or self._folded.spots() != spots:
            return False
        self._gate = after or b""
        # Without its first events the fold is not what the views are.
        findings = [] if self._begins_late else [*self._compare_log(score), *self._folded.differences(spots, replies)]
        saved = saved_checkpoints(self._folded.views)
        whole = not self._begins_late
        bodies = await altered_bodies(self._store, self._session_id, saved, self._fine, all_known=whole)
        if bodies and await self._store.server.call(*self._gate_command) != after:
            return False
        self._findings = [*findings, *bodies]
        return True

    def _compare_log(self, score: Any) -> list[Finding]:
        """Return in what the log and the registry differ from what the events tell."""
        if not self._gate:
            return [Finding(Kind.LOG_ALTERED, "the log of its partition does not know the session")]
        found = []
        head = self._folded.views.head
        told = self._gate.split(b" ")[1:]
        expected = [head.get(field, b"") for field in (b"state", b"expires_at", b"sliding")]
        if told != expected:
            found.append(Finding(Kind.LOG_ALTERED, "the log tells another state or expiry than the events"))
        if score is None or (head.get(b"created_at") or score) != b"%d" % int(float(score)):
            found.append(Finding(Kind.LOG_ALTERED, "the registry does not have the session by its creation"))
        return found

    async def result(self, word: Word, since: int, anchor: Anchor | None) -> Verification:
        """Return what there is to say.

        Args:
            word: what the feed tells.
            since: the milliseconds of the last event when the feed was read.
            anchor: what was known outside.
        """
        end = self._gate.split(b" ")[0].decode()
        diagnosed = self._check.finish(version_of(end) if end else 0)
        history = [one.finding for one in await name_origins(self._store, self._session_id, diagnosed)]
        history = self._of_archive + await self._told_apart(history)
        if end and not any(one.kind is Kind.CUT_OFF for one in history):
            history += self._compare_end(end)
        history += self._untold_trim()
        history += [] if history else await self._untold_end(word)
        intact = not any(one.kind not in (Kind.SEAL_ALTERED, Kind.SEAL_REMOVED) for one in history)
        # Against a history that is not what it was, only what an event of it tells of can be held.
        found = history + [one for one in self._findings if intact or one.version is not None]
        anchored = anchor.sessions.get(self._session_id) if anchor is not None else None
        stands = anchored is not None and await self._stands(anchored)
        renewed = await self._renewed(anchored) if anchored is not None else None
        outside = [
            check_feed(self._check, word, since),
            check_anchor(self._check, self._session_id, anchor, stands=stands, renewed=renewed),
        ]
        shorter = any(one.kind in _SHORTER for one in found)
        for told in outside:
            found += [one for one in told.findings if not shorter or one.kind is not Kind.ROLLED_BACK]
            shorter = shorter or bool(told.findings)
        return Verification(
            self._session_id,
            self._check.version,
            self._check.sealed_to,
            self._check.covered_to,
            tuple(found),
            (*judged(self._claims(intact), found), *(one.claim for one in outside)),
        )

    async def _renewed(self, anchored: Anchored) -> Word | None:
        """Return what the feed tells since the anchor, if the session began later; its id may be used a second time."""
        since = at_ms(anchored.offset)
        return await _word_of(self._store, self._session_id, since) if self._began > since else None

    async def _stands(self, anchored: Anchored) -> bool:
        """Whether the stream has an entry at the last offset that the anchor knows of the session."""
        return bool(await self._store.server.call("XRANGE", self._events, anchored.offset, anchored.offset))

    async def _told_apart(self, history: list[Finding]) -> list[Finding]:
        """Tell a stream whose last entries were deleted from one that was put back as it was earlier."""
        found = []
        for one in history:
            rolled_back = (
                one.kind is Kind.CUT_OFF
                and self._check.covered_to <= self._check.version
                and await self._was_never_longer()
            )
            if rolled_back:
                detail = f"{one.detail}, and the stream never held more: it is an earlier state"
                one = Finding(Kind.ROLLED_BACK, detail, one.offset, one.version)
            found.append(one)
        return found

    async def _was_never_longer(self) -> bool:
        with contextlib.suppress(ServerError, AuthenticationFailed):
            words = await self._store.server.call("XINFO", "STREAM", self._events)
            facts = words if isinstance(words, dict) else dict(zip(words[::2], words[1::2], strict=True))
            return bool(facts.get(b"last-generated-id") == self._check.last.encode())
        return False

    @property
    def _begins_late(self) -> bool:
        return self._check.begins > 1

    def _untold_trim(self) -> list[Finding]:
        """Whoever trims says so by an event; the head alone proves nothing."""
        if not self._begins_late or self._trimmed in self._trims:
            return []
        text = (
            f"versions 1 to {self._check.begins - 1} are not in the stream, and no event tells that they were trimmed"
        )
        return [Finding(Kind.REMOVED, text, version=1)]

    async def _untold_end(self, word: Word) -> list[Finding]:
        """Every append is told by the feed, in the same step: an event at the end that is not was never appended."""
        last, version = self._check.last, self._check.version
        if not last or _told_by(word) >= version:
            return []
        # It was read before the session was, so what came in between has to be asked for.
        word = await _word_of(self._store, self._session_id, at_ms(last))
        if not word.whole or word.since > at_ms(last) or _told_by(word) >= version:
            return []
        text = f"the feed tells of no append behind version {_told_by(word)}, though it reaches back to then"
        return [Finding(Kind.INSERTED, text, last, version)]

    def _compare_end(self, end: str) -> list[Finding]:
        last, version = self._check.last, self._check.version
        if version > version_of(end):
            text = f"the log tells of {end} as the last event: what stands behind it was never appended"
            return [Finding(Kind.INSERTED, text, last, version)]
        if version == version_of(end) and last != end and version_of(last) == version:
            text = f"the log tells of {end} as the last event, the stream ends with {last}"
            return [Finding(Kind.CONTENT_EDITED, text, last, version)]
        return []

    def _claims(self, intact: bool) -> list[Claim]:
        unstable = f"the session was changed at each of {_MOST_LOOKS} looks" if self._unstable else ""
        altered = "" if intact else "the history is not what it was"
        late = f"versions 1 to {self._check.begins - 1} are in an archive" if self._begins_late else ""
        return [
            *history_claims(self._check),
            claim("beginning", late),
            claim("checkpoints", unstable or late),
            claim("views", unstable or altered or late or self._unknown),
            claim("counters", "one session does not tell: a rebuild of all makes them anew"),
        ]
