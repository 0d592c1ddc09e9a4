"""How much there is in a namespace."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from sessionstream.cli.diagnosis.ended import Held, StateCounts
from sessionstream.cli.moments import span
from sessionstream.cli.rendering.shapes import STATE_STYLES, facts
from sessionstream.cli.summaries import counted, size_of
from sessionstream.cli.terminal import Terminal

__all__ = ["print_statistics", "statistics_record"]

_STATES = ("active", "idle", "archived", "expired", "deleted")


def statistics_record(counts: StateCounts, held: Held, duration: float, feed: int) -> dict[str, Any]:
    """Return the figures, for ``--json``."""
    return {
        **counts._asdict(),
        "average_duration_seconds": duration,
        "ended_bytes": held.bytes,
        "ended_sessions_measured": held.measured,
        "feed_length": feed,
    }


def print_statistics(
    terminal: Terminal, namespace: str, counts: StateCounts, held: Held, duration: float, feed: int
) -> None:
    """Print the figures."""
    rows: list[tuple[str, str | Text]] = [("sessions", f"{counts.total:,}")]
    rows += [(name, Text(f"{getattr(counts, name):,}", style=STATE_STYLES[name])) for name in _STATES]
    if counts.unswept:
        rows.append(("not swept yet", f"{counts.unswept:,} of the expired"))
    if counts.due:
        rows.append(("to be removed", f"{counts.due:,} of the ended"))
    how = "" if held.measured == held.sessions else f", estimated from {held.measured:,}"
    bytes_held = (
        "unknown" if held.bytes is None else f"{size_of(held.bytes)} ({counted(held.sessions, 'session')}{how})"
    )
    rows += [
        ("average duration", span(duration) if duration else "no session has ended"),
        ("held by ended", bytes_held),
        ("feed", f"{feed:,} entries"),
    ]
    facts(terminal, f"namespace {namespace}", rows)
