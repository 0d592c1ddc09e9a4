"""What changed between two moments: a line for each field, and how many events there were."""

from __future__ import annotations

from datetime import datetime

from rich.text import Text

from sessionstream.audit import AsOf, Change, Diff
from sessionstream.cli.moments import full
from sessionstream.cli.rendering.shapes import Column, facts, section, table
from sessionstream.cli.summaries import counted, short, shortened
from sessionstream.cli.terminal import Terminal

__all__ = ["print_diff"]

_COLUMNS = (
    Column("field", "bold", whole=True),
    Column("was", whole=True),
    Column("is", whole=True),
    Column("by", "dim", whole=True),
)
_MOST_CAUSES = 3
_STYLES = {"added": ("dim", "green"), "removed": ("red", "dim"), "changed": ("red", "green")}


def print_diff(terminal: Terminal, found: Diff) -> None:
    """Print what differs between two moments of a session."""
    counts = ", ".join(f"{count:,} {kind}" for kind, count in found.types.items())
    facts(
        terminal,
        f"session {found.before.session.session_id} from version {found.before.version} to {found.after.version}",
        [
            ("from", _moment(found.before)),
            ("to", _moment(found.after)),
            ("in between", f"{counted(found.events, 'event')}{': ' if counts else ''}{counts}"),
        ],
    )
    if not found.changes:
        terminal.say("no field differs")
        return
    section(terminal, "what differs")
    table(terminal, _COLUMNS, [_row(change) for change in found.changes])


def _moment(known: AsOf) -> str:
    return f"{full(known.at)}  offset {known.offset}"


def _row(change: Change) -> list[str | Text]:
    was, now = _STYLES[change.kind]
    before = "-" if change.kind == "added" else _value(change.before)
    after = "-" if change.kind == "removed" else _value(change.after)
    return [change.name, Text(before, style=was), Text(after, style=now), _causes(change)]


def _value(value: object) -> str:
    return shortened(full(value) or "" if isinstance(value, datetime) else short(value))


def _causes(change: Change) -> str:
    """Return the versions and types of the last events that did it; of several of one type the type once."""
    if not change.events:
        return "time"
    words, last = list[str](), ""
    if len(change.events) > _MOST_CAUSES or not change.complete:
        words.append("…")
    for cause in change.events[-_MOST_CAUSES:]:
        version = cause.offset.partition("-")[2]
        words.append(version if cause.type == last else f"{cause.type} {version}")
        last = cause.type
    return ", ".join(words)
