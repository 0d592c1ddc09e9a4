"""Checkpoints as a table, and where a session goes on from one."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rich.syntax import Syntax

from sessionstream.checkpoints.reading import Resumed
from sessionstream.cli.moments import age, full, minute
from sessionstream.cli.rendering.shapes import Column, facts, section, table
from sessionstream.cli.rendering.timeline import Timeline
from sessionstream.cli.summaries import counted, size_of
from sessionstream.cli.terminal import Terminal, visible
from sessionstream.events.recorded import NOWHERE
from sessionstream.session import Checkpoint

__all__ = ["checkpoint_line", "print_checkpoints", "print_data", "print_resumed"]

_COLUMNS = (
    Column("checkpoint", "bold", whole=True),
    Column("label", whole=True),
    Column("size", right=True),
    Column("covers", "dim", whole=True),
    Column("created", "dim", roomy=True),
    Column("sha-256", "dim", whole=True, roomy=True),
    Column("saved", "dim", passing=True),
)
_MOST_LINES = 40


def checkpoint_line(checkpoint: Checkpoint | None) -> str:
    """Return a checkpoint in one line."""
    if checkpoint is None:
        return "none"
    label = "" if checkpoint.label is None else f" “{checkpoint.label}”"
    covers = "none of its events" if checkpoint.offset == NOWHERE else f"up to {checkpoint.offset}"
    return f"{checkpoint.checkpoint_id}{label}, {size_of(checkpoint.size)}, covers {covers}"


def print_checkpoints(terminal: Terminal, checkpoints: Sequence[Checkpoint], now_ms: int) -> None:
    """Print checkpoints as a table."""
    rows = [
        [
            one.checkpoint_id,
            one.label or "-",
            size_of(one.size),
            one.offset,
            (full(one.created_at) or "-") if terminal.plain else minute(one.created_at),
            one.sha256 if terminal.plain else one.sha256[:16] + "…",
            age(one.created_at, now_ms, 1),
        ]
        for one in checkpoints
    ]
    table(terminal, _COLUMNS, rows)


def print_data(terminal: Terminal, checkpoint: Checkpoint) -> None:
    """Print a checkpoint's data as JSON: all of it to a pipe, the first 40 lines to a terminal."""
    section(terminal, f"data of {checkpoint.checkpoint_id}")
    lines = json.dumps(checkpoint.data, ensure_ascii=False, indent=2).splitlines()
    if terminal.plain:
        for line in lines:
            terminal.line(line)
        return
    shown = [visible(line) if not line.isprintable() else line for line in lines[:_MOST_LINES]]
    terminal.show(Syntax("\n".join(shown), "json", background_color="default", word_wrap=False))
    if len(lines) > _MOST_LINES:
        terminal.line(f"… {len(lines) - _MOST_LINES} lines more: --json has all of it")


def print_resumed(terminal: Terminal, resumed: Resumed) -> None:
    """Print where a session goes on: the checkpoint, what happened since, and the new position."""
    checkpoint = resumed.checkpoint
    facts(
        terminal,
        f"resume {resumed.session.session_id}",
        [
            ("checkpoint", checkpoint_line(checkpoint) if checkpoint else "none: everything is replayed"),
            ("since then", counted(len(resumed.events), "event")),
            ("position", f"{resumed.offset} (version {resumed.version})"),
        ],
    )
    if checkpoint is not None:
        print_data(terminal, checkpoint)
    if resumed.events:
        section(terminal, "events since")
        with Timeline(terminal) as timeline:
            for event in resumed.events:
                timeline.print(event)
