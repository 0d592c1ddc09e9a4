"""A history as a timeline: one line an event, printed as it is read, so that no history has to fit in memory."""

from __future__ import annotations

from datetime import date
from types import TracebackType
from typing import Self

from rich.cells import cell_len
from rich.text import Text

from sessionstream.cli.moments import clock, day, full
from sessionstream.cli.summaries import shortened, summary
from sessionstream.cli.terminal import Terminal, visible
from sessionstream.events.recorded import RecordedEvent

__all__ = ["Timeline"]

_STYLES = {
    "session": "magenta",
    "message": "white",
    "tool": "yellow",
    "checkpoint": "bold green",
    "error": "bold red",
    "usage": "dim",
    "note": "blue",
}
_HELD = 200
_ROLES = {"user": "cyan", "assistant": "white", "tool": "yellow", "system": "dim"}


class Timeline:
    """Prints events one after the other; a context manager, at whose end all are printed.

    A terminal gets the time of day, under a heading for each day, and as much of the summary as fits. A pipe gets the
    whole time, and at most 200 characters of the summary.

    Args:
        terminal: where to.
    """

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._day: date | None = None
        self._type_width = 15
        self._actor_width = 0
        self._version_width = 3
        self._held: list[RecordedEvent] | None = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release()

    def print(self, event: RecordedEvent) -> None:
        """Print one event, soon: the first 200 are held back, since they tell how wide the columns have to be."""
        if self._held is None:
            self._print(event)
            return
        self._fields(event)
        self._held.append(event)
        if len(self._held) == _HELD:
            self._release()

    def _release(self) -> None:
        held, self._held = self._held or [], None
        for event in held:
            self._print(event)

    def _print(self, event: RecordedEvent) -> None:
        if self._terminal.plain:
            self._terminal.line(self._plain(event))
            return
        if event.at.date() != self._day:
            self._day = event.at.date()
            self._terminal.line(Text(f"{day(event.at)} (UTC)", style="dim"))
        self._terminal.line(self.text(event))

    def _fields(self, event: RecordedEvent) -> tuple[str, str, str]:
        kind, actor, version = visible(event.type) or "?", visible(event.actor or "-"), str(event.version)
        # Widths only grow, so that columns stay aligned as well as they can, whatever is still to come.
        self._type_width = max(self._type_width, cell_len(kind))
        self._actor_width = max(self._actor_width, cell_len(actor))
        self._version_width = max(self._version_width, len(version))
        return version.rjust(self._version_width), _padded(kind, self._type_width), _padded(actor, self._actor_width)

    def _plain(self, event: RecordedEvent) -> str:
        version, kind, actor = self._fields(event)
        return f"{full(event.at)}  {version}  {kind}  {actor}  {shortened(summary(event))}".rstrip()

    def text(self, event: RecordedEvent) -> Text:
        """Return the line of one event as a terminal has it, of any length."""
        version, kind, actor = self._fields(event)
        bad = event.error is not None
        style = "bold red" if bad else _STYLES.get(event.type.partition(".")[0], "")
        line = Text().append(clock(event.at), style="dim").append(f" {version} ", style="bold")
        line.append(f" {kind}", style=style).append(f"  {actor}  ", style="dim")
        text = summary(event)
        role = str(getattr(event.data, "role", ""))
        return line.append(text, style="red" if bad else _ROLES.get(role, "") if role else "")


def _padded(text: str, width: int) -> str:
    return text + " " * (width - cell_len(text))
