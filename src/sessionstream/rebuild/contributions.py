"""What the sessions of a partition contribute to the views that they share, and which cells that changes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from sessionstream.fold import Spot, Views
from sessionstream.projections.directory import ERASED, EXPIRY, STATES
from sessionstream.projections.retention import HELD
from sessionstream.projections.statistics import LIFETIMES

__all__ = ["Cell", "Changes", "Contributions", "contribution_of"]

_SHARED = ("index", "counters")
_LARGEST = 2**53 - 1
_ALWAYS = [
    *(Spot("directory", place) for place in (EXPIRY, ERASED, *STATES.values())),
    Spot("statistics", LIFETIMES),
    Spot("retention", HELD),
]

Changes = dict[Spot, dict[bytes, bytes | float | None]]
"""The cells of each view that have another value now; None are gone."""


class Cell(NamedTuple):
    """One score of an index, or one field of counters."""

    spot: Spot
    name: bytes


def contribution_of(views: Views) -> dict[Cell, Any]:
    """Return the scores that one session has in indexes, and its shares of counters."""
    cells: dict[Cell, Any] = {
        Cell(spot, member): score
        for spot, members in views.sets.items()
        if spot.place.kind == "index"
        for member, score in members.items()
    }
    for spot, fields in views.hashes.items():
        if spot.place.kind == "counters":
            cells.update((Cell(spot, field), int(value)) for field, value in fields.items())
    return cells


class Contributions:
    """The sums over all sessions.

    Attributes:
        spots: every view that was ever touched, also where nothing is left in it: those have to be emptied.
    """

    def __init__(self) -> None:
        self.spots: dict[Spot, Spot] = {}
        self._totals: dict[Cell, int] = {}
        self._changes: Changes = {}
        self._meet(_ALWAYS)

    @property
    def pending(self) -> int:
        """How many cells have changed since `take_changes` was called last."""
        return sum(map(len, self._changes.values()))

    def take_changes(self) -> Changes:
        """Return what has changed since the last time; a view that was met since is there, with a cell or without."""
        changes, self._changes = self._changes, {}
        return changes

    def count(self, views: Views, before: dict[Cell, Any]) -> None:
        """Count what a session contributes now, instead of what it contributed before."""
        self._meet(spot for spot in (*views.hashes, *views.sets) if spot.place.kind in _SHARED)
        self._change(before, contribution_of(views))

    def discount(self, before: dict[Cell, Any]) -> None:
        """Take back what a session contributed, of which nothing is kept any more."""
        self._change(before, {})

    def _meet(self, spots: Iterable[Spot]) -> None:
        for spot in spots:
            if spot not in self.spots:
                self.spots[spot] = spot
                self._changes[spot] = {}

    def _change(self, before: dict[Cell, Any], after: dict[Cell, Any]) -> None:
        for cell in {**before, **after}:
            changes = self._changes.setdefault(cell.spot, {})
            if cell.spot.place.kind == "index":
                changes[cell.name] = after.get(cell)
            else:
                total = self._totals.get(cell, 0) + after.get(cell, 0) - before.get(cell, 0)
                self._totals[cell] = total
                changes[cell.name] = str(max(-_LARGEST, min(_LARGEST, total))).encode()
