"""What an archive came to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.text import Text

from sessionstream.cli.rendering.shapes import Column, table
from sessionstream.cli.summaries import counted
from sessionstream.cli.terminal import Terminal
from sessionstream.retention import Archived

__all__ = ["archived_record", "print_archived"]

_COLUMNS = (
    Column("session", "bold", whole=True),
    Column("archived to", right=True),
    Column("files", right=True),
    Column("trimmed to", right=True),
    Column("removed", "green", right=True),
    Column("stopped by", "yellow", whole=True),
)


def archived_record(one: Archived) -> dict[str, Any]:
    """Return what an archive of a session came to, for ``--json``."""
    return {
        "session_id": one.session_id,
        "version": one.version,
        "files": [str(path) for path in one.files],
        "trimmed": one.trimmed,
        "removed": one.removed,
        "stopped_by": one.stopped_by or None,
        "closed": None if one.closed is None else str(one.closed),
    }


def print_archived(terminal: Terminal, archives: Sequence[Archived], folder: Path) -> None:
    """Print what archives came to, as a table."""
    rows: list[list[str | Text]] = [
        [
            one.session_id,
            str(one.version),
            str(len(one.files)),
            str(one.trimmed) if one.trimmed else "-",
            str(one.removed) if one.removed else "-",
            one.stopped_by or "-",
        ]
        for one in archives
    ]
    table(terminal, _COLUMNS, rows)
    removed = sum(one.removed for one in archives)
    freed = f", {counted(removed, 'event')} removed from the streams" if removed else ""
    terminal.say(f"{counted(len(archives), 'session')} in {folder}{freed}")
