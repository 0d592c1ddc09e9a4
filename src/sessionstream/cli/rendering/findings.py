"""What `doctor` found, by topic."""

from __future__ import annotations

from collections.abc import Sequence

from rich.padding import Padding
from rich.text import Text

from sessionstream.cli.diagnosis.finding import Finding, Level
from sessionstream.cli.rendering.shapes import section
from sessionstream.cli.terminal import Terminal, visible

__all__ = ["print_findings"]

_MARKS = {
    Level.FINE: ("✓", "green"),
    Level.NOTE: ("·", "dim"),
    Level.UNCHECKED: ("?", "yellow"),
    Level.ATTENTION: ("!", "bold red"),
}


def print_findings(terminal: Terminal, findings: Sequence[Finding]) -> None:
    """Print findings under their topics, then whether something needs attention."""
    width = max(len(one.name) for one in findings)
    topic = ""
    for one in findings:
        if one.topic != topic:
            topic = one.topic
            section(terminal, topic)
        _print(terminal, one, width)
    count = sum(one.level is Level.ATTENTION for one in findings)
    unchecked = sum(one.level is Level.UNCHECKED for one in findings)
    terminal.line()
    words = (
        "nothing needs attention"
        if not count
        else f"{count} {'thing needs' if count == 1 else 'things need'} attention"
    )
    words += f", {unchecked} could not be checked" if unchecked else ""
    terminal.line(Text(words, style="bold green" if not count else "bold red"))


def _print(terminal: Terminal, one: Finding, width: int) -> None:
    mark, style = _MARKS[one.level]
    if terminal.plain:
        advice = f" ({visible(one.advice)})" if one.advice else ""
        terminal.line(f"  {mark} {one.name:<{width}}  {visible(one.value)}{advice}")
        return
    value = Text(visible(one.value), style=style if one.level in (Level.ATTENTION, Level.UNCHECKED) else "")
    if one.advice:
        value.append(f"\n{visible(one.advice)}", style="yellow" if one.level is Level.ATTENTION else "dim")
    head = Text(f"  {mark} ", style=style).append(
        f"{one.name:<{width}}  ", style="bold" if one.level is Level.ATTENTION else "dim"
    )
    indent = width + 6
    lines = value.wrap(terminal.out, max(20, terminal.out.width - indent))
    terminal.line(head + (lines[0] if lines else Text()))
    for line in lines[1:]:
        terminal.show(Padding(line, (0, 0, 0, indent), expand=False))
