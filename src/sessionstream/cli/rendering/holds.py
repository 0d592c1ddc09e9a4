"""Holds that stand, as a table and as records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sessionstream.cli.moments import age, full
from sessionstream.cli.rendering.shapes import Column, table
from sessionstream.cli.terminal import Terminal
from sessionstream.retention import Hold

__all__ = ["hold_record", "print_holds"]

_COLUMNS = (
    Column("hold", "bold", whole=True),
    Column("session", whole=True),
    Column("reason", "yellow", whole=True),
    Column("by", whole=True),
    Column("since", "dim"),
)


def hold_record(hold: Hold) -> dict[str, Any]:
    """Return a hold, for ``--json``."""
    return {
        "hold_id": hold.hold_id,
        "session_id": hold.session_id,
        "reason": hold.reason,
        "actor": hold.actor,
        "at": full(hold.at),
        "offset": hold.offset,
    }


def print_holds(terminal: Terminal, holds: Sequence[Hold], now_ms: int) -> None:
    """Print holds as a table."""
    table(
        terminal,
        _COLUMNS,
        [
            [
                hold.hold_id,
                hold.session_id,
                hold.reason,
                hold.actor or "-",
                full(hold.at) or "-" if terminal.plain else age(hold.at, now_ms),
            ]
            for hold in holds
        ],
    )
