"""What the faults have cost: for each kind, what was asked meanwhile, what was told, and what was lost."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

from tests.fault.runner.calls import Call

__all__ = ["Happened", "Row", "Tally", "loser_of"]

_NONE = "between faults"
_LONGEST_WINDOW = 15.0


class Happened(NamedTuple):
    """A fault that came, from its beginning until work went on for everybody."""

    name: str
    began: float
    ended: float


def loser_of(call: Call, faults: Iterable[Happened]) -> Happened | None:
    """Return the last of some faults that can have cost what was acknowledged in it, or not long before."""
    able = [one for one in faults if one.began - _LONGEST_WINDOW <= call.told_at <= one.ended]
    return next((one for one in reversed(able) if one.began <= call.gone_by), None)


@dataclass
class Row:
    """What one kind of fault has cost.

    Attributes:
        times: how often it came.
        operations: calls that write and were under way meanwhile.
        acknowledged: how many of them were.
        refused: how many gave an error that says that nothing was written.
        unknown: of how many nobody was told.
        lost: calls that were acknowledged before or meanwhile, and whose events are gone.
        window: seconds from the acknowledgment of the first that is lost to the fault.
        longest: seconds that the longest call took.
    """

    times: int = 0
    operations: int = 0
    acknowledged: int = 0
    refused: int = 0
    unknown: int = 0
    lost: int = 0
    window: float = 0.0
    longest: float = 0.0


class Tally:
    """Adds up what rounds have cost.

    Attributes:
        rows: of each kind of fault, and of the time between them.
        seconds: for how long it went on.
    """

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.seconds = 0.0

    def add(
        self, calls: Iterable[Call], lost: Sequence[Call], happened: Sequence[Happened], may: Iterable[str]
    ) -> None:
        """Add a round.

        Args:
            calls: all calls of the round.
            lost: those that were acknowledged and are gone.
            happened: the faults of the round, in their order.
            may: the faults that can have lost something.
        """
        for fault in happened:
            self._row(fault.name).times += 1
        for call in calls:
            told_at = call.told_at or call.asked_at
            during = [fault for fault in happened if fault.began <= told_at and call.asked_at <= fault.ended]
            row = self._row(during[-1].name if during else _NONE)
            row.operations += 1
            row.acknowledged += call.told == "acknowledged"
            row.refused += call.told == "refused"
            row.unknown += call.told == "unknown"
            row.longest = max(row.longest, told_at - call.asked_at)
        able = set(may)
        for call in lost:
            fault = loser_of(call, (one for one in happened if one.name in able))
            row = self._row(fault.name if fault else _NONE)
            row.lost += 1
            row.window = max(row.window, fault.began - call.told_at if fault else 0.0)

    def _row(self, name: str) -> Row:
        return self.rows.setdefault(name, Row())

    def sum(self) -> Row:
        """Return all of it in one row."""
        rows = self.rows.values()
        names = ("times", "operations", "acknowledged", "refused", "unknown", "lost")
        sums = {name: sum(getattr(row, name) for row in rows) for name in names}
        most = {name: max((getattr(row, name) for row in rows), default=0.0) for name in ("window", "longest")}
        return Row(**sums, **most)

    def table(self) -> str:
        """Return it as a table in Markdown."""
        names = ("times", "operations", "acknowledged", "refused", "unknown", "lost", "window", "longest")
        lines = [f"| fault | {' | '.join(names)} |", "|---|" + "---:|" * len(names)]
        rows = sorted(self.rows.items(), key=lambda item: (item[0] == _NONE, item[0]))
        for name, row in [*rows, ("**all**", self.sum())]:
            cells = [
                f"{value:.2f} s" if isinstance(value, float) else f"{value:,}"
                for value in (getattr(row, one) for one in names)
            ]
            lines.append(f"| {name} | {' | '.join(cells)} |")
        return "\n".join(lines)

    def json(self) -> str:
        """Return it as JSON."""
        return json.dumps({"seconds": round(self.seconds), **{name: asdict(row) for name, row in self.rows.items()}})
