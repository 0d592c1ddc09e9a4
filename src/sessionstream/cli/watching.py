"""`stats --watch`: the same figures again and again, and how many appends there are a second."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from typing import TYPE_CHECKING, Any

from sessionstream.cli.terminal import Terminal

if TYPE_CHECKING:
    from sessionstream.log.store import Store
    from sessionstream.manager import SessionManager

__all__ = ["watch"]


async def watch(terminal: Terminal, manager: SessionManager, seconds: float) -> None:
    """Show the figures until the command is interrupted: in place on a terminal, a line a time in a pipe.

    Args:
        terminal: where to.
        manager: of the namespace.
        seconds: between two looks.
    """
    from rich.live import Live

    from sessionstream.cli.rendering.statistics import watched_panel, watched_record

    before, at = await _appends(manager.store), time.monotonic()
    terminal.say(f"appends a second, from now on, every {seconds:g} s; Ctrl-C ends it", "dim")
    in_place = Live(console=terminal.out, auto_refresh=False, transient=False) if _in_place(terminal) else None
    with in_place or contextlib.nullcontext() as live:
        while True:
            await asyncio.sleep(seconds)
            counts, appends, now = await _counts(manager), await _appends(manager.store), time.monotonic()
            record = watched_record(await manager.store.now_ms(), counts, appends, (appends - before) / (now - at))
            before, at = appends, now
            if terminal.as_json:
                terminal.emit(record)
            elif isinstance(live, Live):
                live.update(watched_panel(manager.settings.namespace, record), refresh=True)
            else:
                terminal.line("  ".join(f"{name} {value}" for name, value in record.items()))
            sys.stdout.flush()


def _in_place(terminal: Terminal) -> bool:
    return not terminal.plain and not terminal.as_json


async def _counts(manager: SessionManager) -> Any:
    from sessionstream.cli.diagnosis.ended import count_states

    return await count_states(manager.store)


async def _appends(store: Store) -> int:
    """Return how many appends there were, ever."""
    from sessionstream.feed.cursor import number_of
    from sessionstream.feed.reading import newest

    return sum(map(number_of, (await newest(store)).positions))
