"""How much there is in a namespace."""

from __future__ import annotations

from typing import Any

from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from sessionstream.cli.diagnosis.ended import Held, StateCounts
from sessionstream.cli.moments import full, span
from sessionstream.cli.rendering.shapes import STATE_STYLES, facts
from sessionstream.cli.summaries import counted, size_of
from sessionstream.cli.terminal import Terminal, visible
from sessionstream.events.recorded import moment

__all__ = ["print_statistics", "statistics_record", "watched_panel", "watched_record"]

_STATES = ("active", "idle", "archived", "expired", "deleted", "erased")


def statistics_record(counts: StateCounts, held: Held, duration: float, feed: int) -> dict[str, Any]:
    """Return the figures, for ``--json``."""
    return {
        **counts._asdict(),
        "average_duration_seconds": duration,
        "ended_bytes": held.bytes,
        "ended_sessions_measured": held.measured,
        "feed_length": feed,
    }


def watched_record(now_ms: int, counts: StateCounts, appends: int, rate: float) -> dict[str, Any]:
    """Return the figures of one look.

    Args:
        now_ms: when, by the server's clock.
        counts: of the sessions.
        appends: how many there were, ever.
        rate: how many a second since the look before.
    """
    states = {name: getattr(counts, name) for name in _STATES}
    return {"at": full(moment(now_ms)), "sessions": counts.total, **states, "appends": appends, "per_s": round(rate, 1)}


def watched_panel(namespace: str, record: dict[str, Any]) -> Panel:
    """Return what a terminal shows of one look."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(justify="right", min_width=12)
    for name, value in record.items():
        shown = value if isinstance(value, str) else f"{value:,}"
        label = "appends a second" if name == "per_s" else name
        style = STATE_STYLES.get(name, "bold" if name == "per_s" else "")
        grid.add_row(label, Text(shown, style=style if value else "dim"))
    title = Text(visible(f"namespace {namespace}"), style="bold")
    return Panel(grid, title=title, title_align="left", border_style="cyan", expand=False)


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
