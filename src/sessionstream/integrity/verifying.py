"""Verifying one session where it lies: history against seals, views against history, and what else knows of it.

It only reads. While a session is appended to, it is looked at as it was at one moment: what was appended meanwhile is
read too, until nothing comes in between.
"""

from __future__ import annotations

import contextlib

from sessionstream.errors import AuthenticationFailed, ServerError, Unavailable
from sessionstream.events.ids import checked_id
from sessionstream.events.recorded import at_ms, version_of
from sessionstream.integrity.anchors import Anchor, Anchored
from sessionstream.integrity.feeds import FeedWords, Word, read_feed
from sessionstream.integrity.keyring import Keyring
from sessionstream.integrity.origins import name_origins
from sessionstream.integrity.outside import check_anchor, check_feed, vanished
from sessionstream.integrity.reading import MOST_LOOKS, Archive, SessionReading
from sessionstream.integrity.reporting import (
    Claim,
    Finding,
    Kind,
    Undecodable,
    Verification,
    claim,
    history_claims,
    judged,
)
from sessionstream.log.gates import fields_of
from sessionstream.log.store import Store

__all__ = ["verify_session"]

_MOST_BEGINNINGS = 5
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
        try:
            found = await _verify_once(store, keyring, session_id, anchor, archived, feeds)
        except ServerError as error:
            if error.code != "WRONGTYPE":
                raise
            return _unreadable(session_id, "one of its keys, or of its partition's, holds something of another type")
        except Undecodable as what:
            return _unreadable(session_id, f"{what} does not decode")
        if found is not None:
            return found
        feeds = None  # they were read long before, and so would tell the same
    raise Unavailable(f"session {session_id!r} was trimmed, or made anew, each time it was verified")


def _unreadable(session_id: str, text: str) -> Verification:
    why = "nothing can be checked beside that"
    claims = tuple(claim(name, why) for name in ("order", "events", "seals", "checkpoints", "views", "anchor"))
    return Verification(session_id, 0, 0, 0, (Finding(Kind.KEY_REPLACED, text),), claims)


async def _verify_once(
    store: Store,
    keyring: Keyring,
    session_id: str,
    anchor: Anchor | None,
    archived: Archive | None,
    feeds: FeedWords | None,
) -> Verification | None:
    """Verify a session; None if it was trimmed, removed or made anew meanwhile."""
    reading = SessionReading(store, keyring, session_id)
    last = await store.server.call("XREVRANGE", store.keys.events(session_id), "+", "-", "COUNT", 1)
    since = at_ms(last[0][0].decode()) if last else 0
    # Read before the session is, so that it tells of nothing that comes later.
    word = await feeds.of(session_id) if feeds is not None else await _word_of(store, session_id, since)
    if not await reading.is_there():
        return await _vanished(store, session_id, anchor, word)
    await reading.compare_projections()
    await reading.look_for_bases()
    await reading.read(archived)
    if await reading.is_another():
        return None
    if word.pointer is not None and check_feed(reading.check, word, since).findings:
        now = await _word_of(store, session_id, min(since, at_ms(word.pointer.position)))
        if now.whole and now.pointer != word.pointer:
            return None
    return await _Judge(store, reading).result(word, since, anchor)


async def _vanished(store: Store, session_id: str, anchor: Anchor | None, word: Word) -> Verification:
    """Say of a session of which nothing is kept why that is, by what the feed tells now."""
    anchored = anchor.sessions.get(session_id) if anchor is not None else None
    if anchored is not None and not word.retired:
        now = await _word_of(store, session_id, at_ms(anchored.offset))
        word = now if now.whole else word
    return vanished(session_id, anchor, word)


async def _word_of(store: Store, session_id: str, since: int) -> Word:
    feed = await read_feed(store, store.keys.partition(session_id), since, session_id)
    return feed.of(session_id)


def _told_by(word: Word) -> int:
    return version_of(word.pointer.offset) if word.pointer is not None else 0


class _Judge:
    """Says what is to be said of a session that was read."""

    def __init__(self, store: Store, reading: SessionReading) -> None:
        self._store = store
        self._of = reading

    async def result(self, word: Word, since: int, anchor: Anchor | None) -> Verification:
        """Return what there is to say.

        Args:
            word: what the feed tells.
            since: the milliseconds of the last event when the feed was read.
            anchor: what was known outside.
        """
        end = self._of.gate.split(b" ")[0].decode()
        diagnosed = self._of.check.finish(version_of(end) if end else 0)
        history = [one.finding for one in await name_origins(self._store, self._of.session_id, diagnosed)]
        history = self._of.of_archive + await self._told_apart(history)
        if end and not any(one.kind is Kind.CUT_OFF for one in history):
            history += self._compare_end(end)
        history += self._untold_trim()
        history += [] if history else await self._untold_end(word)
        intact = not any(one.kind not in (Kind.SEAL_ALTERED, Kind.SEAL_REMOVED) for one in history)
        # Against a history that is not what it was, only what an event of it tells of can be held.
        found = history + [one for one in self._of.beside if intact or one.version is not None]
        anchored = anchor.sessions.get(self._of.session_id) if anchor is not None else None
        stands = anchored is not None and await self._stands(anchored)
        renewed = await self._renewed(anchored) if anchored is not None else None
        outside = [
            check_feed(self._of.check, word, since),
            check_anchor(self._of.check, self._of.session_id, anchor, stands=stands, renewed=renewed),
        ]
        shorter = any(one.kind in _SHORTER for one in found)
        for told in outside:
            found += [one for one in told.findings if not shorter or one.kind is not Kind.ROLLED_BACK]
            shorter = shorter or bool(told.findings)
        return Verification(
            self._of.session_id,
            self._of.check.version,
            self._of.check.sealed_to,
            self._of.check.covered_to,
            tuple(found),
            (*judged(self._claims(intact), found), *(one.claim for one in outside)),
            erased=self._of.check.erased,
            unproven_erased=self._of.check.unproven_erased,
        )

    async def _renewed(self, anchored: Anchored) -> Word | None:
        """Return what the feed tells since the anchor, if the session began later; its id may be used a second time."""
        since = at_ms(anchored.offset)
        return await _word_of(self._store, self._of.session_id, since) if self._of.began > since else None

    async def _stands(self, anchored: Anchored) -> bool:
        """Whether the stream has an entry at the last offset that the anchor knows of the session."""
        return bool(
            await self._store.server.call(
                "XRANGE", self._store.keys.events(self._of.session_id), anchored.offset, anchored.offset
            )
        )

    async def _told_apart(self, history: list[Finding]) -> list[Finding]:
        """Tell a stream whose last entries were deleted from one that was put back as it was earlier."""
        found = []
        for one in history:
            rolled_back = (
                one.kind is Kind.CUT_OFF
                and self._of.check.covered_to <= self._of.check.version
                and await self._was_never_longer()
            )
            if rolled_back:
                detail = f"{one.detail}, and the stream never held more: it is an earlier state"
                one = Finding(Kind.ROLLED_BACK, detail, one.offset, one.version)
            found.append(one)
        return found

    async def _was_never_longer(self) -> bool:
        with contextlib.suppress(ServerError, AuthenticationFailed):
            words = await self._store.server.call("XINFO", "STREAM", self._store.keys.events(self._of.session_id))
            return bool(fields_of(words).get(b"last-generated-id") == self._of.check.last.encode())
        return False

    def _untold_trim(self) -> list[Finding]:
        """Whoever trims says so by an event; the head alone proves nothing."""
        if not self._of.begins_late or self._of.trimmed in self._of.trims:
            return []
        text = f"versions 1 to {self._of.check.begins - 1} are not in the stream, and no event tells of a trim"
        return [Finding(Kind.REMOVED, text, version=1)]

    async def _untold_end(self, word: Word) -> list[Finding]:
        """Every append is told by the feed, in the same step: an event at the end that is not was never appended."""
        last, version = self._of.check.last, self._of.check.version
        if not last or _told_by(word) >= version:
            return []
        # It was read before the session was, so what came in between has to be asked for.
        word = await _word_of(self._store, self._of.session_id, at_ms(last))
        if not word.whole or word.since > at_ms(last) or _told_by(word) >= version:
            return []
        text = f"the feed tells of no append behind version {_told_by(word)}, though it reaches back to then"
        return [Finding(Kind.INSERTED, text, last, version)]

    def _compare_end(self, end: str) -> list[Finding]:
        last, version = self._of.check.last, self._of.check.version
        if version > version_of(end):
            text = f"the log tells of {end} as the last event: what stands behind it was never appended"
            return [Finding(Kind.INSERTED, text, last, version)]
        if version == version_of(end) and last != end and version_of(last) == version:
            text = f"the log tells of {end} as the last event, the stream ends with {last}"
            return [Finding(Kind.CONTENT_EDITED, text, last, version)]
        return []

    def _claims(self, intact: bool) -> list[Claim]:
        unstable = f"the session was changed at each of {MOST_LOOKS} looks" if self._of.unstable else ""
        altered = "" if intact else "the history is not what it was"
        late = f"versions 1 to {self._of.check.begins - 1} are in an archive" if self._of.begins_late else ""
        return [
            *history_claims(self._of.check),
            claim("beginning", late),
            claim("checkpoints", unstable or late),
            claim("views", unstable or altered or late or self._of.unknown or self._of.locked),
            claim("counters", "one session does not tell: a rebuild of all makes them anew"),
        ]
