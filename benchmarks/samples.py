"""What was measured, in short: medians and tails, and how two medians compare round by round."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["Samples", "ratio", "table"]


@dataclass
class Samples:
    """The times of one operation on one subject, in rounds.

    Attributes:
        rounds: microseconds of each call, as the caller saw them, by round.
        server: microseconds that the server spent on each call, averaged over a round, by round.
    """

    rounds: list[list[float]] = field(default_factory=list)
    server: list[float] = field(default_factory=list)

    def add(self, times: list[float], server: float) -> None:
        """Add a round: the time of each call, and the server's average, in microseconds."""
        self.rounds.append(times)
        self.server.append(server)

    def percentile(self, share: float) -> float:
        """Return the time in microseconds that a share of all calls, from 0 to 1, do not exceed."""
        ordered = sorted(time for one in self.rounds for time in one)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    @property
    def rate(self) -> float:
        """Calls per second, awaited one by one."""
        times = [time for one in self.rounds for time in one]
        return 1_000_000 * len(times) / sum(times)

    def summary(self) -> dict[str, float]:
        """Return what is printed: p50, p99 and the server's share in microseconds, and the rate per second."""
        return {
            "p50_us": round(self.percentile(0.50), 1),
            "p99_us": round(self.percentile(0.99), 1),
            "rate_per_s": round(self.rate),
            "server_us": round(statistics.median(self.server), 1),
        }


def ratio(of: Samples, to: Samples) -> dict[str, float | None]:
    """Return the ratio of the medians of all calls, and the spread of the same ratio within each round (10 to 90 %).

    The ratio of the server's times is None where they are too short for its clock.
    """
    each = sorted(statistics.median(a) / statistics.median(b) for a, b in zip(of.rounds, to.rounds, strict=True))
    server = statistics.median(to.server)
    return {
        "p50": round(of.percentile(0.50) / to.percentile(0.50), 3),
        "rounds_low": round(each[int(0.1 * len(each))], 3),
        "rounds_high": round(each[min(len(each) - 1, int(0.9 * len(each)))], 3),
        "server": round(statistics.median(of.server) / server, 3) if server else None,
    }


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return rows as text in columns, the first one aligned left and the others right."""
    cells = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in cells]
    return "\n".join([lines[0], "-" * (sum(widths) + 2 * len(widths) - 2), *lines[1:]])
