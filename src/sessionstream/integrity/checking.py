"""A history held against its seals, one event after the other; nothing here knows where either comes from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from sessionstream.integrity.chain import (
    ERASED,
    ERASURE,
    FORMAT,
    TAG,
    Digester,
    Seal,
    is_authentic,
    seal_from,
    told_digest,
)
from sessionstream.integrity.diagnosis import MOST_STRAYS, Diagnosed, Place, Stray, diagnose
from sessionstream.integrity.keyring import Keyring
from sessionstream.integrity.reporting import Finding, Kind

__all__ = ["HistoryCheck"]

_OF_ERASURE = (ERASED, ERASURE)
_MOST_PLACES = 20_000
_MOST_STRAY_BYTES = 32 * 1024 * 1024


class HistoryCheck:
    """Takes each seal, then the events that it covers; then the events that no seal covers.

    Args:
        session_id: the session.
        keyring: the keys.
        begins: the first version that is there; those before it were trimmed.

    Attributes:
        last: the offset of the last event, empty before the first one.
        sealed_to: the version up to which authentic seals go.
        seals: those that are not found to be altered, by their versions.
        foreign: of each seal whose key is not here, or whose format is not known, what it covers and why, as words.
        never_sealed: what was trimmed before anything sealed it, as words.
        unproven: whether seals are altered or gone, so that what they covered cannot be checked.
        erased: how many entries stand in the place of events that were erased.
        unproven_erased: of how many a seal knows, and they do not prove that they were that.
    """

    def __init__(self, session_id: str, keyring: Keyring, begins: int = 1) -> None:
        self._session_id = session_id
        self._keyring = keyring
        self.begins = begins
        self._digesters: dict[str, Digester] = {}
        self._previous: Seal | None = None
        self._previous_authentic = True
        self._known_first = True
        self._run: _Run | None = None
        self._last_version = begins - 1
        self._covered_to = self._checked_to = 0
        self._unproven_from = self._unproven_to = 0
        self._strays: list[Stray] = []
        self._stray_bytes = self._more = 0
        self._places: dict[int, Place] = {}
        self._found: list[Diagnosed] = []
        self.last = ""
        self.sealed_to = 0
        self.seals: dict[int, str] = {}
        self.foreign: list[str] = []
        self.never_sealed: list[str] = []
        self.unproven = False
        self.erased = self.unproven_erased = 0
        self._erased_to = self._told_at = 0

    @property
    def version(self) -> int:
        """The version of the last event."""
        return self._last_version

    @property
    def covered_to(self) -> int:
        """The version up to which there are seals, of whatever worth."""
        return self._covered_to

    def seal(self, kept: bytes) -> None:
        """Take the next seal, as it is kept."""
        seal = seal_from(kept)
        if seal is None:
            self._find(Kind.SEAL_ALTERED, f"the seal behind version {self._covered_to} does not decode")
            self._known_first, self.unproven = False, True
            return
        self._close()
        if not self._is_next(seal):
            return
        key = self._keyring.get(seal.key) if seal.format == FORMAT else None
        authentic = key is not None and is_authentic(seal, key, self._session_id)
        if key is None:
            why = f"with key {seal.key}, which is not here"
            if seal.format != FORMAT:
                why = f"in format {seal.format}, which this version does not know"
            self.foreign.append(f"versions {seal.first} to {seal.version} are sealed {why}")
            self.seals[seal.version] = seal.seal
        elif not authentic:
            self._find(Kind.SEAL_ALTERED, "the seal is not as it was made", seal.offset, seal.version)
            self.unproven = True
        self._previous, self._previous_authentic, self._known_first = seal, key is None or authentic, True
        if key is not None and authentic:
            self.sealed_to = seal.version
            self.seals[seal.version] = seal.seal
            self._run = _Run(seal, self._digester(key.id), self.begins)
        if self._run is None:
            self._unproven_from, self._unproven_to = self._unproven_from or seal.first, seal.version
        self._covered_to = seal.version

    def _digester(self, key_id: str) -> Digester:
        if key_id not in self._digesters:
            key = self._keyring.get(key_id)
            assert key is not None
            self._digesters[key_id] = Digester(key, self._session_id)
        return self._digesters[key_id]

    def _is_next(self, seal: Seal) -> bool:
        """Whether a seal stands behind the one before; says so if not."""
        expected = self._covered_to + 1
        if seal.version < expected or seal.first < expected:
            self._find(Kind.SEAL_ALTERED, "the seal covers what is sealed already", seal.offset, seal.version)
            return False
        # What was trimmed need not have been sealed before.
        missing = range(max(expected, self.begins), seal.first)
        follows = self._previous_authentic and seal.previous == self._seal_before
        if missing and self._known_first and follows:
            # An archive has them. What one who has no key changes of the seal is found below.
            self.never_sealed.append(f"versions {missing[0]} to {missing[-1]}")
        elif missing and self._known_first:
            text = f"the seal of versions {missing[0]} to {missing[-1]} is gone"
            self._find(Kind.SEAL_REMOVED, text, version=missing[0])
            self.unproven = True
        elif self._known_first and self._previous_authentic and not follows:
            text = "the seal was not made on the one before it"
            self._find(Kind.SEAL_ALTERED, text, seal.offset, seal.version)
        return True

    @property
    def _seal_before(self) -> str:
        return self._previous.seal if self._previous is not None else ""

    def event(self, offset: str, words: Sequence[bytes]) -> None:
        """Take the next event."""
        version, run = int(offset[offset.find("-") + 1 :]), self._run
        if words and words[0] in _OF_ERASURE:
            self._note_erasure(version, words[0])
        if self._unproven_to and version > self._unproven_to:
            self._check_unproven()
        if run is not None and version > run.last:
            self._close()
            run = None
        if run is None or version < run.first:
            self._take_unsealed(_stray_of(offset, version, words))
        elif not run.take(offset, version, words):
            self._keep(_stray_of(offset, version, words))
        self.last = offset
        if version > self._last_version:
            self._last_version = version

    def _note_erasure(self, version: int, kind: bytes) -> None:
        if kind == ERASED:
            self.erased, self._erased_to = self.erased + 1, version
        else:
            self._told_at = version

    def _check_unproven(self) -> None:
        """Of events whose seal cannot be checked, see at least that none is missing."""
        if self._last_version < self._unproven_to:
            self._find_gap(max(self._last_version + 1, self._unproven_from), self._unproven_to)
            self._last_version = self._unproven_to
        self._unproven_from = self._unproven_to = 0

    def _take_unsealed(self, stray: Stray) -> None:
        expected = max(self._last_version, self._checked_to) + 1
        if stray.version > expected:
            self._find_gap(expected, stray.version - 1)
        elif stray.version <= self._last_version:
            text = f"version {stray.version} stands there a second time"
            self._found.append(
                Diagnosed(Finding(Kind.INSERTED, text, stray.offset, stray.version), stray),
            )
        elif self._strays and len(self._strays) < MOST_STRAYS:
            # What was sealed last may have moved behind the last seal.
            self._strays.append(stray._replace(sealed=False))

    def _find_gap(self, first: int, last: int) -> None:
        what = f"version {first} is" if first == last else f"versions {first} to {last} are"
        self._find(Kind.REMOVED, f"{what} not in the stream", version=first)

    def _keep(self, stray: Stray) -> None:
        size = sum(map(len, stray.words))
        if self._more or len(self._strays) >= MOST_STRAYS or self._stray_bytes + size > _MOST_STRAY_BYTES:
            self._more += 1
            return
        self._stray_bytes += size
        self._strays.append(stray)

    def _close(self) -> None:
        run, self._run = self._run, None
        if run is None:
            return
        self._checked_to = run.seal.version
        self.unproven_erased += run.unproven
        for version, place in run.open_places():
            if len(self._places) < _MOST_PLACES:
                self._places[version] = place
        if run.is_whole and not run.matches:
            text = f"one of versions {run.seal.first} to {run.seal.version} is not what was sealed{run.of_erased}"
            self._find(Kind.CONTENT_EDITED, text, version=run.seal.first)

    def finish(self, end: int) -> list[Diagnosed]:
        """Return what was found, by place, when there are no more events.

        Args:
            end: the version of the last event that the log tells of.
        """
        self._close()
        shift = 0
        if self._erased_to > self._told_at:
            text = "it says that its event was erased, and no event behind it tells of an erasure"
            self._find(Kind.INSERTED, text, version=self._erased_to)
        if self._places or self._strays:
            told = diagnose(self._strays, self._places, self._covered_to, self._last_version, more=self._more)
            self._found += told.found
            shift = told.shift
        known = max(end, self._covered_to)
        # Where events were removed and all that followed took their versions, none is missing at the end.
        if self._last_version + max(0, shift) < known:
            who = "the seals tell" if self._covered_to >= known else "the log tells"
            text = f"nothing is left behind version {self._last_version}, {who} of version {known}"
            self._find(Kind.CUT_OFF, text, self.last or None, self._last_version + 1)
        return sorted(self._found, key=lambda one: one.finding.version or 0)

    def _find(self, kind: Kind, detail: str, offset: str | None = None, version: int | None = None) -> None:
        self._found.append(Diagnosed(Finding(kind, detail, offset, version)))


def _stray_of(offset: str, version: int, words: Sequence[bytes]) -> Stray:
    return Stray(int(offset.partition("-")[0]), version, words)


class _Run:
    """The events that one seal covers."""

    def __init__(self, seal: Seal, digester: Digester, begins: int) -> None:
        self.seal = seal
        self.first, self.last = seal.first, seal.version
        self._digester = digester
        self._begins = max(begins, seal.first)
        self._tags, self._bare = seal.tag_list(), seal.bare_list()
        self._all = hashlib.sha256()
        self._taken = bytearray(seal.events)
        self._count = self._proven = self.unproven = 0

    def take(self, offset: str, version: int, words: Sequence[bytes]) -> bool:
        """Whether an entry is the event that was sealed in its place."""
        digest = self._digester.digest(offset, words)
        self._count += 1
        at = version - self.first
        if not self._tags.startswith(digest[:TAG], at * TAG):
            if not (words and words[0] == ERASED):
                self._all.update(digest)
                return False
            # The event itself is gone: what is known of it is what stands there, and no more proven than that.
            digest = told_digest(words)
            if digest and not self._tags.startswith(digest[:TAG], at * TAG):
                return False
            self._proven, self.unproven = self._proven + bool(digest), self.unproven + (not digest)
        self._all.update(digest)
        self._taken[at] = 1
        return True

    @property
    def is_whole(self) -> bool:
        """Whether each tag was met once, and no entry beside them."""
        return self._count == self.seal.events and all(self._taken)

    @property
    def matches(self) -> bool:
        """Whether the events are what was sealed, which a tag alone does not prove."""
        return bool(self.unproven) or self._all.hexdigest() == self.seal.digest

    @property
    def of_erased(self) -> str:
        """Further words, where events were erased."""
        return f" ({self._proven:,} of them are erased)" if self._proven else ""

    def open_places(self) -> list[tuple[int, Place]]:
        """Return the versions whose event is not in its place."""
        return [
            (self.seal.first + at, Place(self._tag(self._tags, at), self._tag(self._bare, at), self._digester))
            for at in range(self._begins - self.seal.first, self.seal.events)
            if not self._taken[at]
        ]

    @staticmethod
    def _tag(tags: bytes, at: int) -> bytes:
        return tags[at * TAG : at * TAG + TAG]
