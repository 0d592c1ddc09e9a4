"""From entries that are not what was sealed, and versions whose event is not in its place, to what was done.

An event that was moved is found again by its tag: it is tried what the entry would be at each version that lacks its
event. A tag has 32 bits, so of a million tries one in four thousand takes an entry for another: that can change what an
alteration is called, never whether there is one.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sessionstream.integrity.chain import Digester
from sessionstream.integrity.reporting import Finding, Kind

__all__ = ["MOST_STRAYS", "Diagnosed", "Diagnosis", "Place", "Stray", "diagnose"]

MOST_STRAYS = 128
"""So many entries that are not what was sealed are looked at one by one."""

_MOST_TRIES = 200_000
_NEAR = tuple(shift for distance in range(1, 9) for shift in (distance, -distance))


class Stray(NamedTuple):
    """An entry that is not what was sealed in its place.

    Attributes:
        ms: the milliseconds of its offset.
        version: the version of its offset.
        words: its fields and values.
        sealed: whether a seal covers its version; otherwise it may only be what was sealed as another one.
    """

    ms: int
    version: int
    words: Sequence[bytes]
    sealed: bool = True

    @property
    def offset(self) -> str:
        """Where it stands."""
        return f"{self.ms}-{self.version}"


class Place(NamedTuple):
    """What was sealed as a version whose event is not there.

    Attributes:
        tag: of the event.
        bare: the tag that it has without who did it and why.
        digester: what they were computed with.
    """

    tag: bytes
    bare: bytes
    digester: Digester


class Diagnosed(NamedTuple):
    """A finding, and the entry that it is about, if there is one that may come from elsewhere."""

    finding: Finding
    stray: Stray | None = None


class Diagnosis(NamedTuple):
    """What was done.

    Attributes:
        found: by the place where it was done.
        shift: by how many versions the last entries that were looked at have moved down.
    """

    found: list[Diagnosed]
    shift: int


def diagnose(
    strays: Sequence[Stray], places: dict[int, Place], sealed_to: int, end: int, *, more: int = 0
) -> Diagnosis:
    """Return what was done to the events that were sealed.

    Args:
        strays: the entries that are not what was sealed, in the order of the stream; at most the first `MOST_STRAYS`.
        places: the versions whose event is not in its place.
        sealed_to: the version up to which seals go.
        end: the version of the stream's last entry; what was sealed behind it is cut off, which is not told here.
        more: how many further strays there are.
    """
    origins = _Origins(strays, places).find()
    taken = {origin for origin in origins.values() if origin}
    shift = next((origin - strays[at].version for at, origin in sorted(origins.items(), reverse=True) if origin), 0)
    homeless = [stray for at, stray in enumerate(strays) if not origins.get(at) and stray.sealed]
    # Behind the last stray that was looked at it is not known what was gone.
    known_to = min(end, strays[-1].version + shift) if more else end
    left = {version for version in places if version not in taken and version <= known_to}
    found = list(_edited(homeless, places, left))
    edited = {one.finding.version for one in found}
    gone = sorted(left - edited)
    inserted = [one for one in homeless if one.version not in edited and one.version + shift <= sealed_to]
    found += _inserted(inserted)
    found += (Diagnosed(_gone(first, last)) for first, last in _runs(gone))
    found += _reordered(strays, origins, balanced=not gone and not inserted)
    if more:
        found.append(Diagnosed(_further(strays[-1], more, moved=bool(shift))))
    return Diagnosis(sorted(found, key=lambda one: one.finding.version or 0), shift)


class _Origins:
    """Looks for the version as which each stray was appended."""

    def __init__(self, strays: Sequence[Stray], places: dict[int, Place]) -> None:
        self._strays = strays
        self._places = places
        self._free = dict.fromkeys(sorted(places))
        self._offsets = {stray.version: stray.offset for stray in strays}
        self._tries = 0

    def find(self) -> dict[int, int | None]:
        """Return, for each stray's number, the version as which it was appended, or None."""
        found: dict[int, int | None] = {}
        shift = 0
        for number, stray in enumerate(self._strays):
            origin = self._origin(stray, shift)
            found[number] = origin
            if origin is not None:
                del self._free[origin]
                shift = origin - stray.version
        return found

    def _origin(self, stray: Stray, shift: int) -> int | None:
        near = [stray.version + by for by in (shift, *_NEAR)]
        for version in [*near, *self._free]:
            if self._tries > _MOST_TRIES:
                return None
            if version in self._free and self._is(stray, version):
                return version
        return None

    def _is(self, stray: Stray, version: int) -> bool:
        """Whether an entry is the event of a version, with its own time or that of the entry which stands there."""
        place = self._places[version]
        offsets = {f"{stray.ms}-{version}", self._offsets.get(version)}
        self._tries += len(offsets)
        return any(offset and place.digester.tag(offset, stray.words) == place.tag for offset in offsets)


def _edited(homeless: Iterable[Stray], places: dict[int, Place], left: set[int]) -> Iterable[Diagnosed]:
    seen: set[int] = set()
    for stray in homeless:
        if stray.version in seen or stray.version not in left:
            continue
        seen.add(stray.version)
        place = places[stray.version]
        if place.digester.bare_tag(stray.offset, stray.words) == place.bare:
            detail = "who did it and why is not what was sealed"
            yield Diagnosed(Finding(Kind.META_EDITED, detail, stray.offset, stray.version))
        else:
            detail = "its content, or its time, is not what was sealed"
            yield Diagnosed(Finding(Kind.CONTENT_EDITED, detail, stray.offset, stray.version), stray)


def _inserted(strays: Iterable[Stray]) -> Iterable[Diagnosed]:
    for stray in strays:
        detail = "no seal knows it, and another event has this place"
        yield Diagnosed(Finding(Kind.INSERTED, detail, stray.offset, stray.version), stray)


def _gone(first: int, last: int) -> Finding:
    what = (
        f"version {first} was sealed, and is" if first == last else f"versions {first} to {last} were sealed, and are"
    )
    return Finding(Kind.REMOVED, f"{what} not in the stream", version=first)


def _reordered(strays: Sequence[Stray], origins: dict[int, int | None], *, balanced: bool) -> Iterable[Diagnosed]:
    """Tell which entries left the order; where events were removed or inserted, the others merely moved up or down."""
    moved = [(number, origin) for number, origin in sorted(origins.items()) if origin]
    in_order = set() if balanced else _longest_ascent([origin for _, origin in moved])
    for at, (number, origin) in enumerate(moved):
        if at not in in_order:
            stray = strays[number]
            detail = f"version {stray.version} holds what was appended as version {origin}"
            yield Diagnosed(Finding(Kind.REORDERED, detail, stray.offset, stray.version))


def _longest_ascent(numbers: Sequence[int]) -> set[int]:
    """Return the places of a longest ascending subsequence."""
    tops: list[int] = []
    ends: list[int] = []
    before: list[int | None] = []
    for place, number in enumerate(numbers):
        length = bisect.bisect_left(tops, number)
        before.append(ends[length - 1] if length else None)
        tops[length:] = [number]
        ends[length:] = [place]
    found: set[int] = set()
    at: int | None = ends[-1] if ends else None
    while at is not None:
        found.add(at)
        at = before[at]
    return found


def _further(last: Stray, more: int, *, moved: bool) -> Finding:
    why = ": they have moved, or were altered too" if moved else ""
    return Finding(
        Kind.REORDERED if moved else Kind.CONTENT_EDITED,
        f"{more:,} further events behind it are not what was sealed in their places{why}",
        last.offset,
        last.version + 1,
    )


def _runs(numbers: Sequence[int]) -> Iterable[tuple[int, int]]:
    """Return the first and the last of each run of neighbours."""
    start = 0
    for at in range(1, len(numbers) + 1):
        if at == len(numbers) or numbers[at] != numbers[at - 1] + 1:
            yield numbers[start], numbers[at - 1]
            start = at
