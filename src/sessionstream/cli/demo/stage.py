"""How the demonstration looks: one panel a step, which names the call that did it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from sessionstream.cli.rendering.shapes import STATE_STYLES
from sessionstream.cli.summaries import content_of, size_of
from sessionstream.cli.terminal import Terminal, visible

__all__ = ["Stage"]

_WIDTH_OF_A_PIPE, _WIDEST = 100, 120
_ROLES = {"user": "cyan", "assistant": "green", "tool": "yellow", "system": "dim"}
_SESSIONS = ("magenta", "blue")


class Stage:
    """Shows the steps of the demonstration, one after the other.

    Args:
        terminal: where to; a pipe gets the same panels, 100 columns wide.
        session_ids: of the sessions, each of which gets a colour.
    """

    def __init__(self, terminal: Terminal, session_ids: Sequence[str]) -> None:
        width = _WIDTH_OF_A_PIPE if terminal.plain else min(terminal.out.width, _WIDEST)
        self._console = Console(width=width, highlight=False, emoji=False, quiet=terminal.as_json)
        self._colours = dict(zip(session_ids, _SESSIONS, strict=False))
        self._steps = 0

    def begin(self, where: str, namespace: str) -> None:
        """Say what is going to happen, and where."""
        self._console.print()
        self._console.print(Text("sessionstream", style="bold").append(f" on {where}", style="default"))
        self._console.print(Text(f"namespace {namespace}, which is removed at the end", style="dim"))

    def step(self, title: str, call: str, words: str, *body: RenderableType) -> None:
        """Show one step.

        Args:
            title: what happens.
            call: the API call that does it.
            words: what to know about it.
            body: what came of it.
        """
        self._steps += 1
        head = Text.assemble((f" {self._steps} ", "bold reverse cyan"), " ", (title, "bold"))
        self._console.print()
        self._console.print(
            Panel(
                Group(Text(words, style="dim"), *(Group("", one) for one in body)),
                title=head,
                title_align="left",
                subtitle=Text(f" {call} ", style="bold cyan"),
                subtitle_align="right",
                border_style="cyan",
                padding=(0, 1),
            )
        )

    def sessions(self, created: Sequence[dict[str, Any]]) -> RenderableType:
        """Return the sessions that were created, as a table."""
        drawn = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="dim")
        for title in ("session", "user", "agent", "metadata"):
            drawn.add_column(title)
        for one in created:
            metadata = "  ".join(f"{key}={value}" for key, value in one["metadata"].items())
            drawn.add_row(self._session(one["session"]), one["user"], one["agent"], Text(metadata, style="dim"))
        return drawn

    def talk(self, said: Sequence[dict[str, Any]]) -> RenderableType:
        """Return messages, one a line."""
        grid = Table.grid(padding=(0, 2, 0, 0), expand=True)
        grid.add_column(no_wrap=True)
        grid.add_column(no_wrap=True, justify="right")
        grid.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for one in said:
            message = one["message"]
            style = _ROLES.get(message["role"], "")
            words = Text(visible(content_of(message)), style="" if message["role"] == "assistant" else style)
            grid.add_row(self._session(one["session"]), Text(message["role"], style=style), words)
        return grid

    def facts(self, rows: Sequence[tuple[str, str | Text]]) -> RenderableType:
        """Return names and what they are."""
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column()
        for name, value in rows:
            grid.add_row(name, value)
        return grid

    def checkpoint(self, saved: dict[str, Any]) -> RenderableType:
        """Return what was saved."""
        return self.facts(
            [
                ("checkpoint", Text(f"{saved['checkpoint']} “{saved['label']}”", style="bold green")),
                ("of", self._session(saved["session"])),
                ("size", size_of(saved["size"])),
                ("covers up to", f"offset {saved['covers']}: everything before this moment"),
            ]
        )

    def death(self, pid: int, tool: str) -> RenderableType:
        """Return the news of a process that was killed."""
        text = Text.assemble(
            ("✗ ", "bold red"), (f"process {pid} was killed (SIGKILL) while {tool} was running", "bold red")
        )
        return text.append(": whatever it had in memory is gone")

    def lines(self, lines: Sequence[Text]) -> RenderableType:
        """Return lines that are cut to the width of the panel."""
        for line in lines:
            line.no_wrap, line.overflow = True, "ellipsis"
        return Group(*lines)

    def then_and_now(self, then: str, now: str, rows: Sequence[tuple[str, str, str]]) -> RenderableType:
        """Return two moments of a session side by side; what differs stands out."""
        drawn = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
        drawn.add_column("", style="dim", no_wrap=True)
        drawn.add_column(then, ratio=1)
        drawn.add_column(now, ratio=1)
        for name, before, after in rows:
            style = "" if before == after else "bold"
            drawn.add_row(
                name,
                Text(before, style=STATE_STYLES.get(before, "")),
                Text(after, style=f"{style} {STATE_STYLES.get(after, '')}".strip()),
            )
        return drawn

    def end(self, removed: int, commands: Sequence[tuple[str, str]]) -> None:
        """Say that nothing is left, and what to try next."""
        self._console.print()
        self._console.print(Text(f"The namespace is removed: {removed} keys, none is left. Next:", style="bold"))
        self._console.print(self.facts([(f"  {command}", words) for command, words in commands]))
        self._console.print()

    def _session(self, session_id: str) -> Text:
        return Text(session_id, style=self._colours.get(session_id, ""))
