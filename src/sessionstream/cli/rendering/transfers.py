"""What an import did."""

from __future__ import annotations

from typing import Any

from sessionstream.cli.moments import span
from sessionstream.cli.rendering.shapes import facts
from sessionstream.cli.terminal import Terminal
from sessionstream.transfer import Imported, Restored

__all__ = ["imported_record", "print_imported", "print_restored", "restored_record"]


def imported_record(done: Imported, seconds: float) -> dict[str, Any]:
    """Return what an import did, for ``--json``."""
    return {
        "lines": done.lines,
        "created": done.created,
        "extended": done.extended,
        "unchanged": done.unchanged,
        "messages": done.messages,
        "kept_metadata": done.kept_metadata,
        "failures": [{"line": error.line, "problem": str(error)} for error in done.failures],
        "seconds": round(seconds, 3),
    }


def print_imported(terminal: Terminal, file: str, done: Imported, seconds: float) -> None:
    """Print what an import did."""
    rows = [
        ("lines", f"{done.lines:,}"),
        ("new sessions", f"{done.created:,}"),
        ("extended", f"{done.extended:,}"),
        ("unchanged", f"{done.unchanged:,}"),
        ("refused", f"{len(done.failures):,}"),
        ("messages appended", f"{done.messages:,}"),
        ("time", span(seconds)),
    ]
    if done.kept_metadata:
        rows.insert(5, ("metadata kept", f"{done.kept_metadata:,}: what the line says differs, and was left out"))
    facts(terminal, f"imported {'standard input' if file == '-' else file}", rows)


def restored_record(done: Restored, seconds: float) -> dict[str, Any]:
    """Return what an import of events did, for ``--json``."""
    return {
        "lines": done.lines,
        "created": done.created,
        "unchanged": done.unchanged,
        "events": done.events,
        "checkpoints": done.checkpoints,
        "bodiless": [{"session_id": session_id, "checkpoint_id": named} for session_id, named in done.bodiless],
        "failures": [{"line": error.line, "problem": str(error)} for error in done.failures],
        "seconds": round(seconds, 3),
    }


def print_restored(terminal: Terminal, file: str, done: Restored, seconds: float) -> None:
    """Print what an import of events did."""
    rows = [
        ("lines", f"{done.lines:,}"),
        ("sessions brought back", f"{done.created:,}"),
        ("unchanged", f"{done.unchanged:,}"),
        ("refused", f"{len(done.failures):,}"),
        ("events", f"{done.events:,}"),
        ("checkpoints' data", f"{done.checkpoints:,}"),
        ("time", span(seconds)),
    ]
    facts(terminal, f"imported {'standard input' if file == '-' else file}", rows)
