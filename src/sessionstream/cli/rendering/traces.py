"""What led to what: a tree on a terminal, lines that are set in as deep as they lie in a pipe."""

from __future__ import annotations

from typing import Any

from rich.text import Text
from rich.tree import Tree

from sessionstream.audit.causation import Step, Trace
from sessionstream.cli.moments import clock, full
from sessionstream.cli.rendering.timeline import style_of
from sessionstream.cli.terminal import Terminal, visible

__all__ = ["print_trace", "step_record"]

_MOST_DRAWN = 2_000
_DEEPEST_DRAWN = 40


def step_record(depth: int, step: Step) -> dict[str, Any]:
    """Return a step, for ``--json``."""
    return {
        "depth": depth,
        "id": step.id,
        "known": step.known,
        "session_id": step.session_id or None,
        "offset": step.offset or None,
        "version": step.version or None,
        "at": full(step.at),
        "type": step.type or None,
        "actor": step.actor,
        "correlation_id": step.correlation_id,
        "causation_id": step.causation_id,
        "cause": step.cause.id if step.cause is not None else None,
        "cut": step.cut,
    }


def print_trace(terminal: Terminal, trace: Trace) -> None:
    """Print a trace; one that is too large or too deep to be drawn as lines."""
    several = len({step.session_id for _, step in trace.walk() if step.known}) > 1
    small = trace.events <= _MOST_DRAWN and all(depth <= _DEEPEST_DRAWN for depth, _ in trace.walk())
    if terminal.plain or not small:
        _print_lines(terminal, trace, several)
        return
    for whole in trace.wholes:
        tree = Tree(_heading(whole.correlation_id), guide_style="dim")
        branches = [tree]
        for depth, step in Trace([whole]).walk():
            del branches[depth + 1 :]
            branches.append(branches[depth].add(_text(step, several)))
        terminal.show(tree)


def _print_lines(terminal: Terminal, trace: Trace, several: bool) -> None:
    grouped = any(whole.correlation_id is not None for whole in trace.wholes)
    for whole in trace.wholes:
        if grouped:
            terminal.line(_heading(whole.correlation_id).plain)
        for depth, step in Trace([whole]).walk():
            terminal.line("  " * (depth + grouped) + _plain(step, several))


def _heading(correlation_id: str | None) -> Text:
    if correlation_id is None:
        return Text("without correlation", style="dim")
    return Text().append("correlation ", style="dim").append(visible(correlation_id), style="bold cyan")


def _plain(step: Step, several: bool) -> str:
    if not step.known:
        return f"{visible(step.id)}  not among these events"
    where = f"{visible(step.session_id)}  " if several else ""
    words = (full(step.at), f"{where}{step.version}", visible(step.type) or "?", visible(step.actor or "-"), step.label)
    return "  ".join(word or "" for word in words).rstrip()


def _text(step: Step, several: bool) -> Text:
    if not step.known:
        return Text().append(visible(step.id), style="italic").append("  not among these events", style="dim")
    line = Text(no_wrap=True, overflow="ellipsis").append(clock(step.at) if step.at else "", style="dim")
    if several:
        line.append(f"  {visible(step.session_id)}", style="magenta")
    line.append(f" {step.version} ", style="bold").append(f" {visible(step.type) or '?'}", style=style_of(step.type))
    if step.actor:
        line.append(f"  {visible(step.actor)}", style="dim")
    if step.cut:
        line.append("  (its cause is its own effect)", style="red")
    return line.append(f"  {step.label}")
