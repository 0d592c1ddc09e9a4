"""Tables and lists of facts: framed and coloured for a terminal, plain aligned lines for a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich import box
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from sessionstream.cli.terminal import Terminal, visible

__all__ = ["Column", "STATE_STYLES", "facts", "section", "table"]

_SHORTEST = 12
STATE_STYLES = {
    "active": "green",
    "idle": "yellow",
    "archived": "blue",
    "expired": "red",
    "deleted": "red",
    "erased": "red",
}


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        title: its heading.
        style: of its cells.
        right: whether it is flush right.
        whole: whether its cells are never shortened; a narrow terminal folds them.
        roomy: whether only a terminal of 110 columns or more, and a pipe, have it.
        passing: whether it tells of the present moment, so that a pipe does not have it.
    """

    title: str
    style: str = ""
    right: bool = False
    whole: bool = False
    roomy: bool = False
    passing: bool = False


def table(terminal: Terminal, columns: Sequence[Column], rows: Iterable[Sequence[str | Text]]) -> None:
    """Print a table."""
    cells = [[_cell(cell) for cell in row] for row in rows]
    if terminal.plain:
        kept = [place for place, column in enumerate(columns) if not column.passing]
        titled = [[Text(column.title.upper()) for column in columns], *cells]
        _aligned(terminal, [[row[place] for place in kept] for row in titled], [columns[place] for place in kept])
        return
    # The first column names the row: it is folded last.
    widest = max((row[0].cell_len for row in cells), default=0)
    shown = [place for place, column in enumerate(columns) if not column.roomy or terminal.out.width >= 110]
    limits = _limits([(columns[place], [row[place] for row in cells]) for place in shown], terminal.out.width)
    drawn = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True, header_style="bold")
    for place, limit in zip(shown, limits, strict=True):
        column = columns[place]
        drawn.add_column(
            column.title,
            style=column.style,
            justify="right" if column.right else "left",
            overflow="fold" if column.whole else "ellipsis",
            no_wrap=not column.whole,
            min_width=min(widest, terminal.out.width // 2) if place == 0 else None,
            max_width=limit,
        )
    for row in cells:
        drawn.add_row(*(row[place] for place in shown))
    terminal.show(drawn)


def _limits(columns: Sequence[tuple[Column, Sequence[Text]]], width: int) -> list[int | None]:
    """Return how wide each column may be: the widest that can be shortened gives way to all others."""
    widths = [max([len(column.title), *(cell.cell_len for cell in cells)]) for column, cells in columns]
    limits: list[int | None] = [None] * len(columns)
    excess = sum(widths) + 2 * (len(widths) - 1) - width
    shortened = [place for place, (column, _) in enumerate(columns) if not column.whole]
    if excess > 0 and shortened:
        longest = max(shortened, key=widths.__getitem__)
        limits[longest] = max(_SHORTEST, widths[longest] - excess)
    return limits


def facts(terminal: Terminal, title: str, pairs: Iterable[tuple[str, str | Text]]) -> None:
    """Print names and what they are, under a title."""
    cells = [(Text(name), _cell(value)) for name, value in pairs]
    if terminal.plain:
        terminal.line(visible(title))
        _aligned(terminal, [[Text(f"  {name}"), value] for name, value in cells], [Column(""), Column("")])
        return
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in cells:
        grid.add_row(name, value)
    terminal.show(
        Panel(grid, title=Text(visible(title), style="bold"), title_align="left", border_style="cyan", expand=False)
    )


def section(terminal: Terminal, title: str) -> None:
    """Print a heading."""
    terminal.line()
    terminal.line(Text(visible(title), style="bold cyan"))


def _cell(value: str | Text) -> Text:
    return value if isinstance(value, Text) else Text(visible(value))


def _aligned(terminal: Terminal, rows: Sequence[Sequence[Text]], columns: Sequence[Column]) -> None:
    widths = [max((row[place].cell_len for row in rows), default=0) for place in range(len(columns))]
    for row in rows:
        padded = [
            " " * (width - cell.cell_len) + cell.plain if column.right else cell.plain + " " * (width - cell.cell_len)
            for cell, width, column in zip(row, widths, columns, strict=True)
        ]
        terminal.line("  ".join(padded).rstrip())
