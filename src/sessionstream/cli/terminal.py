"""Where output goes: results to standard output, everything else to standard error.

A terminal gets colours and frames as wide as it is. A pipe or file gets plain lines that do not depend on any width, so
that what a script reads stays the same. With ``--json`` standard output holds one JSON object a line and nothing else.
"""

from __future__ import annotations

import sys
from typing import Any

import msgspec
from rich.console import Console, RenderableType
from rich.text import Text

__all__ = ["Terminal", "visible"]

_UNBOUNDED = 1_000_000
_encode = msgspec.json.Encoder(enc_hook=str).encode


class Terminal:
    """The output of one command.

    Args:
        as_json: whether results are JSON lines.

    Attributes:
        as_json: as given.
        out: standard output, for people.
        err: standard error.
    """

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self.out = _console(stderr=False)
        self.err = _console(stderr=True)

    @property
    def plain(self) -> bool:
        """Whether standard output is a pipe or a file."""
        return not self.out.is_terminal

    def emit(self, record: Any) -> None:
        """Write one JSON line to standard output."""
        self.write(_encode(record) + b"\n")

    def write(self, data: bytes) -> None:
        """Write bytes to standard output as they are."""
        sys.stdout.flush()
        sys.stdout.buffer.write(data)

    def show(self, *renderables: RenderableType) -> None:
        """Write for people to standard output; nothing with ``--json``."""
        if not self.as_json:
            for one in renderables:
                self.out.print(one, soft_wrap=self.plain)

    def line(self, text: str | Text = "") -> None:
        """Write one line for people to standard output, cut to a terminal's width; nothing with ``--json``."""
        if self.as_json:
            return
        if self.plain:
            # As rich would, in a fifth of the time: a history can have a hundred thousand lines.
            sys.stdout.write(f"{text}\n")
        else:
            self.out.print(text, no_wrap=True, overflow="ellipsis", markup=False)

    def say(self, text: str, style: str = "") -> None:
        """Write prose to standard error."""
        self.err.print(Text(text, style=style), soft_wrap=True)

    def complain(self, text: str) -> None:
        """Write what went wrong to standard error, in one line."""
        line = Text("sessionstream: ", style="bold red")
        self.err.print(line.append(visible(text), style="default"), soft_wrap=True)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def _console(*, stderr: bool) -> Console:
    console = _Console(stderr=stderr, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = _UNBOUNDED
    return console


def visible(text: str) -> str:
    """Return text in one line that does nothing to a terminal: white space is one blank, other control is escaped."""
    line = " ".join(text.split())
    if line.isprintable():
        return line
    return "".join(sign if sign.isprintable() or sign == "\u200d" else ascii(sign)[1:-1] for sign in line)
