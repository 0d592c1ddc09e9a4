"""A progress bar on standard error; nothing where that is no terminal."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich import progress

from sessionstream.cli.terminal import Terminal

__all__ = ["Progress"]


class Progress:
    """Shows how far something is while it runs, and is gone afterwards.

    Args:
        terminal: whose standard error it is.
        doing: what is done.
        total: how much there is to do; None is unknown.
    """

    def __init__(self, terminal: Terminal, doing: str, total: float | None) -> None:
        self._bar = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(bar_width=30),
            progress.TaskProgressColumn(),
            progress.TextColumn("[dim]{task.fields[detail]}"),
            progress.TimeElapsedColumn(),
            console=terminal.err,
            disable=not terminal.err.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task(doing, total=total, detail="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def move(self, done: float, detail: str = "", total: float | None = None) -> None:
        """Show how much is done, with a few words, and how much there is if that changed."""
        self._bar.update(self._task, completed=done, total=total, detail=detail)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
