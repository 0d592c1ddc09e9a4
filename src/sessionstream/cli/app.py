"""The commands together, and how a process runs them."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import Annotated

import typer

from sessionstream.cli import (
    archives,
    checkpoints,
    consumers,
    doctor,
    erasing,
    exports,
    following,
    history,
    holds,
    integrity,
    keys,
    permissions,
    sessions,
    traces,
    transfers,
    travel,
    upkeep,
)
from sessionstream.cli.calling import application
from sessionstream.cli.demo import play

__all__ = ["application", "run"]

_THEMES = (
    *(play, transfers, exports, sessions, history, following, travel, traces, checkpoints),
    *(integrity, archives, holds, keys, erasing, consumers, upkeep, permissions, doctor),
)
_ORDER = (
    *("demo", "import", "export", "sessions", "show", "history", "follow", "as-of", "diff", "trace", "checkpoints"),
    *("resume", "stats", "seal", "verify", "evidence"),
    *("fork", "archive", "hold", "keys", "erase", "consumers", "parked"),
    *("rebuild", "cleanup", "acl", "doctor"),
)
application.registered_commands.sort(key=lambda one: _ORDER.index(one.name or ""))

_EXIT_CODES = (
    "[bold]Exit codes[/bold]: 0 done · 1 nothing there, or doctor or verify found something · 2 wrong usage · "
    "3 server unavailable, or outcome unknown · 4 partly done · 5 refused · 130 interrupted"
)


def _version(wanted: bool) -> None:
    if wanted:
        from sessionstream import __version__

        typer.echo(f"sessionstream {__version__}")
        raise typer.Exit


@application.callback(epilog=_EXIT_CODES)
def sessionstream(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """An event-sourced session store for AI agent runtimes, on Redis Streams."""


def run() -> None:
    """Run the command that the process's arguments name, and exit with its code."""
    _open_closed_descriptors()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, io.UnsupportedOperation):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    application(prog_name="sessionstream")


def _open_closed_descriptors() -> None:
    """Open what the caller has closed of 0, 1 and 2 (`>&-`): a connection would take its place, and uvloop abort."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)  # the lowest one that is free
            if descriptor == number:
                setattr(sys, name, os.fdopen(descriptor, "w" if number else "r"))
