"""What a verification found, and what it could and could not check."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sessionstream.integrity.checking import HistoryCheck

__all__ = ["Claim", "Finding", "Kind", "Undecodable", "Verification", "claim", "history_claims", "judged"]


class Undecodable(Exception):
    """Something that is kept beside the events is nothing that was ever written there."""


class Kind(enum.StrEnum):
    """What was done to a session."""

    CONTENT_EDITED = "content edited"
    META_EDITED = "metadata edited"
    REMOVED = "event removed"
    INSERTED = "event inserted"
    COPIED = "event copied"
    REORDERED = "events reordered"
    CUT_OFF = "tail cut off"
    ROLLED_BACK = "rolled back"
    LOST = "session lost"
    SEAL_ALTERED = "seal altered"
    SEAL_REMOVED = "seal removed"
    CHECKPOINT_ALTERED = "checkpoint altered"
    VIEW_ALTERED = "view altered"
    LOG_ALTERED = "log altered"
    KEY_REPLACED = "key replaced"
    FILE_ALTERED = "file altered"


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it was.

    Attributes:
        kind: what was done.
        detail: what exactly, in words.
        offset: of the event that it concerns, where that is known.
        version: the version that it concerns, where that is known.
        name: of the view, or the checkpoint, that it concerns.
    """

    kind: Kind
    detail: str
    offset: str | None = None
    version: int | None = None
    name: str | None = None


@dataclass(frozen=True)
class Claim:
    """One thing that can be said of an intact session.

    Attributes:
        name: which.
        says: what is claimed.
        checked: whether that could be checked.
        why: if not, or not wholly, why.
        holds: False if it was found to be wrong.
    """

    name: str
    says: str
    checked: bool
    why: str = ""
    holds: bool = True


_SAYS = {
    "order": "the versions are 1, 2, 3 … without a gap, up to the log's last one",
    "events": "every sealed event is as it was appended, in its place",
    "seals": "the seals follow each other without a gap, and are as they were made",
    "tail": "the events behind the last seal are as they were appended",
    "beginning": "no event is missing at the beginning",
    "checkpoints": "the body of every checkpoint is the one that was saved",
    "views": "its own views, and its places in indexes, are the fold of its events",
    "counters": "the counters that sessions share are the sums over them",
    "feed": "since its last event the feed tells of nothing that the session lacks",
    "anchor": "no later state was known outside of the server, so it was not rolled back",
    "file": "the file is whole, and as it was written",
    "erasure": "what was erased is what was sealed, and an event tells of the erasure",
}


_MISPLACED = (Kind.REMOVED, Kind.INSERTED, Kind.COPIED, Kind.CUT_OFF)
_AGAINST = {
    "order": (*_MISPLACED, Kind.ROLLED_BACK),
    "events": (*_MISPLACED, Kind.CONTENT_EDITED, Kind.META_EDITED, Kind.REORDERED),
    "seals": (Kind.SEAL_ALTERED, Kind.SEAL_REMOVED),
    "checkpoints": (Kind.CHECKPOINT_ALTERED,),
    "views": (Kind.VIEW_ALTERED, Kind.LOG_ALTERED),
    "erasure": (Kind.CONTENT_EDITED, Kind.INSERTED),
    "file": (Kind.FILE_ALTERED,),
}


def claim(name: str, why: str = "") -> Claim:
    """Return a claim, which was checked unless it is said why not."""
    return Claim(name, _SAYS[name], not why, why)


def judged(claims: Iterable[Claim], findings: Sequence[Finding]) -> tuple[Claim, ...]:
    """Return claims as they stand after what was found."""
    kinds = {one.kind for one in findings}
    return tuple(
        dataclasses.replace(one, holds=False) if kinds.intersection(_AGAINST.get(one.name, ())) else one
        for one in claims
    )


def history_claims(check: HistoryCheck) -> list[Claim]:
    """Return what could be said of a history, seals and all."""
    none = "" if check.covered_to else "it has no seal"
    unproven = check.foreign[:3] + ["…"] * (len(check.foreign) > 3)
    unproven += ["what altered or removed seals covered is not proven"] if check.unproven else []
    left = check.version - check.covered_to
    tail = f"no seal covers the last {left:,} yet" if check.covered_to and left > 0 else none
    why = "; ".join(unproven) or none
    unsealed = [f"{one} were trimmed before they were sealed" for one in check.never_sealed[:3]]
    events = "; ".join([*unproven, *unsealed]) or none
    claims = [claim("order"), claim("events", events), claim("seals", why), claim("tail", tail)]
    if check.erased:
        unsure = check.unproven_erased
        lacking = f"{unsure:,} of {check.erased:,} erased events: who erased them had no key to prove it with"
        claims.append(claim("erasure", lacking if unsure else none))
    return claims


@dataclass(frozen=True)
class Verification:
    """What there is to say of one session.

    Attributes:
        session_id: the session.
        version: up to which it was looked at.
        sealed_to: the version that its last authentic seal covers; 0 if it has none.
        covered_to: the version that its last seal covers, whatever that is worth.
        findings: what is not as it was, in the order of their places.
        claims: what could be checked, and what could not.
        retired: its retention was over, or it was purged: there is nothing left to verify.
        erased: how many of its events were erased; that is no finding.
        unproven_erased: of how many of these a seal knows, and nothing proves that they were what was sealed.
    """

    session_id: str
    version: int
    sealed_to: int
    covered_to: int
    findings: tuple[Finding, ...]
    claims: tuple[Claim, ...]
    retired: bool = False
    erased: int = 0
    unproven_erased: int = 0

    @property
    def ok(self) -> bool:
        """Whether nothing was found; `unchecked` tells what that leaves open."""
        return not self.findings

    @property
    def unchecked(self) -> tuple[Claim, ...]:
        """The claims that could not be checked."""
        return tuple(one for one in self.claims if not one.checked)

    @property
    def unproven(self) -> bool:
        """Whether that nothing was found proves little: a key is not here, or nothing is left and nobody knows why."""
        gone = self.version == 0 and not self.retired
        doubtful = gone or self.covered_to > self.sealed_to or self.unproven_erased > 0
        return doubtful or any(one.name == "file" for one in self.unchecked)

    @property
    def events_after_last_seal(self) -> int:
        """How many events no seal covers yet."""
        return max(0, self.version - self.covered_to)
