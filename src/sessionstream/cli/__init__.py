"""The command line: `sessionstream --help` tells its commands, and `docs/cli.md` all of them with their exit codes."""

from __future__ import annotations

import importlib.util
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command that the process's arguments name, and exit with its code."""
    if any(importlib.util.find_spec(name) is None for name in ("typer", "rich")):
        sys.exit('sessionstream: the command line is not installed: pip install "sessionstream[cli]"')
    from sessionstream.cli.app import run

    run()
