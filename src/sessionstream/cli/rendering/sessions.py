"""Sessions as a table, one session with what belongs to it, and how it was at a moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from sessionstream.audit import AsOf
from sessionstream.cli.moments import age, full, minute
from sessionstream.cli.rendering.checkpoints import checkpoint_line
from sessionstream.cli.rendering.shapes import STATE_STYLES, Column, facts, section, table
from sessionstream.cli.summaries import content_of, short, shortened
from sessionstream.cli.terminal import Terminal, visible
from sessionstream.session import Checkpoint, Session
from sessionstream.transfer.choosing import Kept

__all__ = ["print_as_of", "print_conversation", "print_session", "print_sessions"]

_COLUMNS = (
    Column("session", "bold", whole=True),
    Column("user", whole=True),
    Column("agent", whole=True),
    Column("state"),
    Column("events", right=True),
    Column("created", "dim", roomy=True),
    Column("last event", "dim"),
)
_ROLE_STYLES = {"user": "cyan", "assistant": "green", "tool": "yellow", "system": "dim"}


def print_sessions(terminal: Terminal, sessions: Sequence[Kept], now_ms: int) -> None:
    """Print sessions as a table."""
    table(terminal, _COLUMNS, [_row(terminal, kept, now_ms) for kept in sessions])


def _row(terminal: Terminal, kept: Kept, now_ms: int) -> list[str | Text]:
    one = kept.session
    last = full(one.last_event_at) or "-" if terminal.plain else age(one.last_event_at, now_ms, 1)
    created = full(one.created_at) or "-" if terminal.plain else minute(one.created_at)
    return [one.session_id, one.user_id, one.agent_id, _state(kept.state), str(one.version), created, last]


def print_session(
    terminal: Terminal, kept: Kept, checkpoint: Checkpoint | None, now_ms: int, trimmed: str | None = None
) -> None:
    """Print a session, its metadata, its latest checkpoint, and up to which offset its stream is trimmed."""
    rows = [*_of_session(kept.session, kept.state, now_ms), ("latest checkpoint", checkpoint_line(checkpoint))]
    if trimmed is not None:
        rows.append(("trimmed", f"up to version {trimmed.partition('-')[2]}, offset {trimmed}"))
    facts(terminal, f"session {kept.session.session_id}", rows)
    _print_metadata(terminal, kept.session.metadata)


def print_as_of(terminal: Terminal, known: AsOf, latest_version: int) -> None:
    """Print a session as it was known at a moment."""
    facts(
        terminal,
        f"session {known.session.session_id} as of version {known.version} of {latest_version}",
        [
            ("moment", f"{full(known.at)}  offset {known.offset}"),
            *_of_session(known.session, known.state.value, int(known.at.timestamp() * 1000)),
            ("latest checkpoint", checkpoint_line(known.checkpoint)),
        ],
    )
    _print_metadata(terminal, known.metadata)


def print_conversation(terminal: Terminal, messages: Sequence[Mapping[str, Any]]) -> None:
    """Print chat messages, one a line, oldest first."""
    section(terminal, "newest messages")
    for message in messages:
        role = visible(str(message.get("role", "?")))
        line = Text(f"  {role:>9}  ", style=_ROLE_STYLES.get(role, "bold"))
        terminal.line(line.append(shortened(content_of(dict(message))), style="default"))


def _of_session(one: Session, state: str, now_ms: int) -> list[tuple[str, str | Text]]:
    expires = "never" if one.expires_at is None else f"{full(one.expires_at)} ({age(one.expires_at, now_ms)})"
    forked = one.forked_from
    origin = [] if forked is None else [("forked from", f"{forked.session_id} at {forked.offset}")]
    return [
        *origin,
        ("user", one.user_id),
        ("agent", one.agent_id),
        ("state", _state(state)),
        ("created", f"{full(one.created_at)}"),
        ("expires", expires),
        ("events", f"{one.version}, the last {full(one.last_event_at)}"),
    ]


def _print_metadata(terminal: Terminal, metadata: Mapping[str, Any]) -> None:
    if metadata:
        section(terminal, "metadata")
        width = max(len(visible(key)) for key in metadata)
        for key, value in metadata.items():
            terminal.line(
                Text(f"  {visible(key):<{width}}  ", style="dim").append(visible(short(value)), style="default")
            )


def _state(name: str) -> Text:
    return Text(name, style=STATE_STYLES.get(name, ""))
