"""A timeline of what is just happening: events of one session or of all, and deltas, each printed when it comes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from sessionstream.cli.moments import clock, full
from sessionstream.cli.rendering.timeline import Timeline
from sessionstream.cli.summaries import short, shortened
from sessionstream.cli.terminal import Terminal, visible
from sessionstream.events.recorded import RecordedEvent

if TYPE_CHECKING:
    from sessionstream.following import Delta

__all__ = ["LiveTimeline"]

_WIDEST_ID = 28


class LiveTimeline(Timeline):
    """Prints events as a timeline does, with their sessions if these are several.

    Args:
        terminal: where to.
        several: whether the events are of several sessions.
    """

    def __init__(self, terminal: Terminal, *, several: bool) -> None:
        super().__init__(terminal)
        self._several = several
        self._id_width = 0

    def release(self) -> None:
        """Print now what was held back, and what is still to come at once."""
        self._release()
        self.flush()

    def flush(self) -> None:
        """Let a pipe's reader have what was printed."""
        sys.stdout.flush()

    def print_delta(self, delta: Delta) -> None:
        """Print what was published."""
        self._release()
        version = "~".rjust(self._version_width)
        told = short(delta.data)
        if self._terminal.plain:
            self._terminal.line(f"{full(delta.at)}  {version}  {'delta'.ljust(self._type_width)}  -  {shortened(told)}")
            return
        line = Text(f"{clock(delta.at)} {version}  ", style="dim").append("delta".ljust(self._type_width), "dim italic")
        self._terminal.line(line.append(f"  {visible(told)}", style="italic"))

    def _plain(self, event: RecordedEvent) -> str:
        line = super()._plain(event)
        if not self._several:
            return line
        time, _, rest = line.partition("  ")
        return f"{time}  {self._session(event.session_id, _WIDEST_ID * 20)}  {rest}"

    def text(self, event: RecordedEvent) -> Text:
        """Return the line of one event as a terminal has it, of any length."""
        line = super().text(event)
        if not self._several:
            return line
        behind = len(clock(event.at))
        session = Text(f" {self._session(event.session_id, _WIDEST_ID)}", style="cyan")
        return line[:behind] + session + line[behind:]

    def _session(self, session_id: str, widest: int) -> str:
        shown = visible(session_id)
        if cell_len(shown) > widest:
            shown = set_cell_size(shown, widest - 1) + "…"
        self._id_width = max(self._id_width, cell_len(shown))
        return shown + " " * (self._id_width - cell_len(shown))
