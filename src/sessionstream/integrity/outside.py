"""What is known of a session beside what it says of itself: the feed of its partition, and an anchor."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, NamedTuple

from sessionstream.errors import SessionNotFound
from sessionstream.events.recorded import at_ms, version_of
from sessionstream.integrity.anchors import Anchor, Anchored
from sessionstream.integrity.checking import HistoryCheck
from sessionstream.integrity.reporting import Claim, Finding, Kind, Verification, claim

if TYPE_CHECKING:
    # Evidence is held against an anchor without a store, and without what that loads.
    from sessionstream.integrity.feeds import Word

__all__ = ["Judged", "check_anchor", "check_feed", "vanished"]


class Judged(NamedTuple):
    """A claim, and what was found while it was checked."""

    claim: Claim
    findings: tuple[Finding, ...] = ()

    @classmethod
    def against(cls, told: Claim, finding: Finding) -> Judged:
        """Return a claim that does not hold."""
        return cls(dataclasses.replace(told, holds=False), (finding,))


def check_feed(check: HistoryCheck, word: Word, since: int) -> Judged:
    """Hold a history against what the feed tells.

    Args:
        check: the history.
        word: what the feed tells of the session.
        since: the milliseconds of the session's last event when the feed was read.
    """
    why = ""
    if word.since > since:
        why = "the feed is trimmed: it begins behind the session's last event"
    elif not word.whole:
        why = "the feed holds too much since the session's last event: verify all sessions at once"
    told = claim("feed", why)
    pointer = word.pointer
    if pointer is None:
        return Judged(told)
    if pointer.events == 0:
        text = f"the feed tells that it was removed when it had {version_of(pointer.offset)} events, and here it is"
        return Judged.against(told, Finding(Kind.ROLLED_BACK, text, check.last or None, check.version))
    version = version_of(pointer.offset)
    if version > check.version:
        text = f"the feed tells of version {version}, the session is at version {check.version}"
        return Judged.against(told, Finding(Kind.ROLLED_BACK, text, check.last or None, check.version))
    return Judged(told)


def check_anchor(
    check: HistoryCheck, session_id: str, anchor: Anchor | None, *, stands: bool, renewed: Word | None = None
) -> Judged:
    """Hold a history against what was known of it outside.

    Args:
        check: the history.
        session_id: the session.
        anchor: what was known, if anything.
        stands: whether the last event that the anchor knows is in the stream, or at least its offset.
        renewed: if the session began later than the anchor knows it, what the feed tells from then on.
    """
    if anchor is None:
        return Judged(claim("anchor", "no anchor is given"))
    anchored = anchor.sessions.get(session_id)
    if anchored is None:
        return Judged(claim("anchor", "the anchor does not know the session, which was not sealed then"))
    if renewed is not None and renewed.retired:
        return Judged(claim("anchor", "the one that the anchor knows was retired; this one was made since"))
    if renewed is not None and (renewed.since > at_ms(anchored.offset) or not renewed.whole):
        return Judged(claim("anchor", "it was made anew since, and the feed does not reach back to tell why"))
    told = claim("anchor")
    if check.seals.get(anchored.version) == anchored.seal:
        return Judged(told)
    return Judged.against(told, _departure(check, anchored, stands=stands))


def _departure(check: HistoryCheck, anchored: Anchored, *, stands: bool) -> Finding:
    if stands and check.covered_to < anchored.version:
        text = (
            f"the anchor tells of a seal up to version {anchored.version}, the last one here is of {check.covered_to}"
        )
        return Finding(Kind.SEAL_REMOVED, text, anchored.offset, anchored.version)
    if check.version < anchored.version:
        text = f"the anchor tells of version {anchored.version}, the session is at version {check.version}"
    else:
        text = f"up to version {anchored.version} the anchor tells of another history"
    return Finding(Kind.ROLLED_BACK, text, anchored.offset, anchored.version)


def vanished(session_id: str, anchor: Anchor | None, word: Word) -> Verification:
    """Return what there is to say of a session of which nothing is kept.

    Raises:
        SessionNotFound: no anchor knows it.
    """
    anchored = anchor.sessions.get(session_id) if anchor is not None else None
    if anchored is None:
        raise SessionNotFound(session_id)
    known = word.whole and word.since <= at_ms(anchored.offset)
    why = (
        "" if word.retired or known else "the feed does not reach back: it is not known whether the session was retired"
    )
    text = f"the anchor tells of version {anchored.version}, nothing is kept, and the feed does not tell why"
    lost = Finding(Kind.LOST, text, anchored.offset, anchored.version)
    findings = (lost,) if known and not word.retired else ()
    return Verification(session_id, 0, 0, 0, findings, (claim("anchor", why),), retired=word.retired)
