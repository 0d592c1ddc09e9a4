"""Consumer groups as a table, one of them partition by partition, and what it has parked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.text import Text

from sessionstream.cli.moments import age, full, span
from sessionstream.cli.rendering.shapes import Column, facts, section, table
from sessionstream.cli.summaries import counted
from sessionstream.cli.terminal import Terminal, visible
from sessionstream.consumers import GroupStatus, Parked
from sessionstream.consumers.status import COUNTERS, PartitionStatus

__all__ = ["group_record", "parked_record", "print_group", "print_groups", "print_parked"]

_HEALTH = {"active": "green", "failing": "yellow", "stalled": "red"}
_GROUPS = (
    Column("group", "bold", whole=True),
    Column("health"),
    Column("members", right=True),
    Column("events behind", right=True),
    Column("time behind", right=True),
    Column("parked", right=True),
    Column("handled", right=True, roomy=True),
)
_PARTITIONS = (
    Column("partition", right=True),
    Column("member", whole=True),
    Column("health"),
    Column("position", "dim", roomy=True),
    Column("events behind", right=True),
    Column("time behind", right=True),
    Column("parked", right=True),
    Column("moved", "dim"),
)
_PARKED = (
    Column("session", "bold", whole=True),
    Column("offset", whole=True),
    Column("type", roomy=True),
    Column("attempts", right=True, roomy=True),
    Column("error", "red"),
    Column("then", roomy=True),
    Column("parked", "dim"),
    Column("asked", "yellow"),
)


def group_record(status: GroupStatus, *, whole: bool) -> dict[str, Any]:
    """Return how a group does, for ``--json``; ``whole`` adds each partition."""
    record = {
        "group": status.group,
        "health": status.health,
        "members": [one._asdict() for one in status.members],
        "lag": status.lag,
        "lag_seconds": status.lag_seconds,
        "parked": status.parked,
        "counters": {name: status.count(name) for name in COUNTERS},
        "cursor": str(status.cursor),
    }
    return record | {"partitions": [_partition_record(one) for one in status.partitions]} if whole else record


def _partition_record(one: PartitionStatus) -> dict[str, Any]:
    failing = [
        {"session_id": session_id, "offset": offset, "attempts": attempts, "error": error}
        for session_id, (offset, attempts, error) in one.failing.items()
    ]
    return {
        "partition": one.partition,
        "member": one.member or None,
        "health": one.health,
        "position": one.position,
        "lag": one.lag,
        "lag_seconds": one.lag_seconds,
        "moved_at": full(one.moved_at),
        "failing": failing,
        "parked": one.parked,
        "counters": one.counters,
    }


def parked_record(one: Parked) -> dict[str, Any]:
    """Return something parked, for ``--json``."""
    return one._asdict() | {"at": full(one.at), "asked": one.asked or None}


def print_groups(terminal: Terminal, groups: Sequence[GroupStatus]) -> None:
    """Print groups as a table."""
    table(terminal, _GROUPS, [_group_row(status) for status in groups])


def _group_row(status: GroupStatus) -> list[str | Text]:
    return [
        status.group,
        _health(status.health),
        str(len(status.members)),
        f"{status.lag:,}",
        _behind(status.lag_seconds),
        f"{status.parked:,}",
        f"{status.count('handled'):,}",
    ]


def print_group(terminal: Terminal, status: GroupStatus, now_ms: int) -> None:
    """Print a group, its members and its partitions."""
    members = ", ".join(f"{one.name} ({len(one.partitions)})" for one in status.members) or "none"
    rows: list[tuple[str, str | Text]] = [
        ("health", _health(status.health)),
        ("members", members),
        ("behind", f"{counted(status.lag, 'event')}, {span(status.lag_seconds)}" if status.lag else "nothing"),
        ("parked", f"{status.parked:,}"),
        ("since it was made", ", ".join(f"{name} {status.count(name):,}" for name in COUNTERS)),
    ]
    facts(terminal, f"group {status.group}", rows)
    section(terminal, "partitions")
    table(terminal, _PARTITIONS, [_partition_row(terminal, one, now_ms) for one in status.partitions])
    failing = [item for one in status.partitions for item in one.failing.items()]
    if failing:
        section(terminal, "being tried again")
    for session_id, (offset, attempts, error) in failing:
        line = Text(f"  {visible(session_id)} {offset}  ")
        terminal.line(line.append(f"failed {attempts} times: {visible(error)}", style="yellow"))


def _partition_row(terminal: Terminal, one: PartitionStatus, now_ms: int) -> list[str | Text]:
    moved = (full(one.moved_at) if terminal.plain else age(one.moved_at, now_ms, 1)) if one.moved_at else "-"
    return [
        str(one.partition),
        one.member or "-",
        _health(one.health),
        one.position,
        f"{one.lag:,}",
        _behind(one.lag_seconds),
        f"{one.parked:,}",
        moved or "-",
    ]


def print_parked(terminal: Terminal, found: Sequence[Parked], now_ms: int, *, trace: bool) -> None:
    """Print what is parked as a table, or each with the end of its traceback."""
    if not trace:
        table(terminal, _PARKED, [_parked_row(terminal, one, now_ms) for one in found])
        return
    for one in found:
        section(terminal, f"{one.session_id} {one.offset} {one.type}")
        for line in one.trace.splitlines():
            indent = len(line) - len(line.lstrip(" "))
            terminal.line(Text("  " + " " * indent + visible(line), style="dim"))


def _parked_row(terminal: Terminal, one: Parked, now_ms: int) -> list[str | Text]:
    return [
        one.session_id,
        one.offset,
        one.type,
        str(one.attempts),
        f"{one.error}: {one.message}" if one.message else one.error,
        "waits" if one.waits else "goes on",
        (full(one.at) if terminal.plain else age(one.at, now_ms, 1)) or "-",
        one.asked or "-",
    ]


def _behind(seconds: float) -> str:
    return span(seconds) if seconds else "-"


def _health(name: str) -> Text:
    return Text(name, style=_HEALTH[name])
