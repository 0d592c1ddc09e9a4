"""What is claimed, what was found, and whether that is enough: as a table, and as one line of JSON."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.rounds import Found

__all__ = ["Claim", "Measured", "claim_of", "claim_rows", "contestant_rows", "ratio_of_rates", "show", "table"]


@dataclass(frozen=True)
class Claim:
    """One row of what the project claims.

    Attributes:
        what: what is measured.
        against: with what it is compared.
        found: the ratio, or None where it could not be measured.
        wanted: the target.
        at_most: whether the target is a ceiling; otherwise it is a floor.
        unit: of ``found`` and ``wanted``: ``×`` for a ratio.
        low: the ratio within single rounds that a tenth of the rounds do not reach.
        high: the one that a tenth exceed.
        why: if it was not measured, why.
    """

    what: str
    against: str
    found: float | None
    wanted: float
    at_most: bool = False
    unit: str = "×"
    low: float | None = None
    high: float | None = None
    why: str = ""

    @property
    def missed(self) -> bool | None:
        """Whether the target was missed; None if it was not measured."""
        if self.found is None:
            return None
        return self.found > self.wanted if self.at_most else self.found < self.wanted

    def as_dict(self) -> dict[str, Any]:
        """Return everything, as JSON can hold it."""
        return {**asdict(self), "missed": self.missed}


@dataclass
class Measured:
    """What one script found.

    Attributes:
        benchmark: the script's name.
        place: where: the server, the versions, the payloads.
        contestants: what was found of each; a mapping where it is something else than times and rates.
        claims: the rows.
        more: anything else.
    """

    benchmark: str
    place: dict[str, Any]
    contestants: Mapping[str, Found | Mapping[str, Any]]
    claims: list[Claim]
    more: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return everything, as JSON can hold it."""
        return {
            "benchmark": self.benchmark,
            "place": self.place,
            "contestants": self.summaries,
            "claims": [claim.as_dict() for claim in self.claims],
            **self.more,
        }

    @property
    def summaries(self) -> dict[str, dict[str, Any]]:
        """What was found of each contestant, as JSON can hold it."""
        return {name: one.summary() if isinstance(one, Found) else dict(one) for name, one in self.contestants.items()}


def claim_of(
    each: Iterable[float], what: str, against: str, wanted: float, *, at_most: bool = False, unit: str = "×"
) -> Claim:
    """Return the claim of what was found in each round: the middle one, and between what eight in ten rounds lie.

    Args:
        each: what was found, one for each round.
        what: the claim's words.
        against: with what it is compared.
        wanted: the target.
        at_most: whether that is a ceiling.
        unit: of what was found.
    """
    found = sorted(each)
    last = len(found) - 1
    middle, low, high = statistics.median(found), found[round(0.1 * last)], found[round(0.9 * last)]
    return Claim(what, against, round(middle, 3), wanted, at_most, unit, round(low, 3), round(high, 3))


def ratio_of_rates(found: dict[str, Found], what: str, ours: str, against: str, theirs: str, wanted: float) -> Claim:
    """Return the claim that compares the rates of two contestants, round by round.

    Args:
        found: what was measured of each contestant.
        what: the claim's words.
        ours: the contestant that is claimed of.
        against: the words for the other one.
        theirs: the other one.
        wanted: at least how many times the other one's rate.
    """
    ratios = (one / other for one, other in zip(found[ours].rates, found[theirs].rates, strict=True))
    return claim_of(ratios, what, against, wanted)


def show(measured: Measured, *tables: str) -> None:
    """Print what was found: its tables, the claims, and all of it as one line of JSON, which is the last.

    Args:
        measured: what was found.
        tables: what to print before the claims; by default the contestants.
    """
    where = ", ".join(f"{name} {value}" for name, value in measured.place.items())
    print(f"{measured.benchmark}: {where}\n")
    for text in tables or (contestant_rows(measured.summaries),):
        print(text + "\n")
    if measured.claims:
        print(claim_rows(measured.claims) + "\n")
    print(json.dumps(measured.as_dict(), ensure_ascii=False), flush=True)


def contestant_rows(contestants: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a table of what was measured of each contestant, a column for each thing."""
    names = list(dict.fromkeys(name for one in contestants.values() for name in one))
    rows = [[who, *(_number(one.get(name)) for name in names)] for who, one in contestants.items()]
    return table(["", *(name.replace("_us", " µs").replace("p999", "p99.9").replace("_", " ") for name in names)], rows)


def claim_rows(claims: Sequence[Claim]) -> str:
    """Return a table of claims: what was found and wanted, and whether that is met."""
    rows = []
    for claim in claims:
        sign = "≤" if claim.at_most else "≥"
        spread = "" if claim.low is None else f"{_number(claim.low)}–{_number(claim.high)}"
        verdict = {None: f"not measured: {claim.why}", True: "missed", False: "met"}[claim.missed]
        found = "–" if claim.found is None else f"{_number(claim.found)} {claim.unit}"
        wanted = f"{sign} {_number(claim.wanted)} {claim.unit}"
        rows.append([claim.what, claim.against, found, spread, wanted, verdict])
    return table(["claim", "against", "found", "rounds", "wanted", ""], rows, left=(0, 1, 5))


def table(head: Sequence[str], rows: Sequence[Sequence[object]], left: Sequence[int] = (0,)) -> str:
    """Return rows as text in columns.

    Args:
        head: the columns' titles.
        rows: their cells.
        left: the columns that are aligned left; the others are aligned right.
    """
    cells = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    lines = [
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
    return "\n".join([lines[0], "-" * (sum(widths) + 2 * len(widths) - 2), *lines[1:]])


def _number(value: Any) -> str:
    if not isinstance(value, int | float):
        return "" if value is None else str(value)
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 20 else f"{value:.2f}"
