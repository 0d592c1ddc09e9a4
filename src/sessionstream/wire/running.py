"""The running event loop, without asking the system for it at every call.

Before Python 3.12 `asyncio.get_running_loop` makes sure that the process is not a child of the one in which the loop
was started, by a system call: 250 ns on a virtual machine, which is a fortieth of an append. asyncio's own loops say in
which thread they run, so the one that was found last is looked at first.
"""

from __future__ import annotations

import asyncio
import os
import sys
from threading import get_ident
from typing import Any

__all__ = ["running_loop"]


class _Nowhere:
    """A loop that runs in no thread."""

    _thread_id = None


_last: Any = _Nowhere


def _found_again() -> asyncio.AbstractEventLoop:
    """Return the running event loop; raises RuntimeError outside of one."""
    global _last
    last: asyncio.AbstractEventLoop = _last
    if last._thread_id == get_ident():  # type: ignore[attr-defined]
        return last
    loop = asyncio.get_running_loop()
    # Other loops do not tell.
    if hasattr(loop, "_thread_id"):
        _last = loop
    return loop


def _forget() -> None:
    """What runs in the parent of a fork does not run in the child, where its thread has the same number."""
    global _last
    _last = _Nowhere


if sys.version_info < (3, 12):
    running_loop = _found_again
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_forget)
else:
    running_loop = asyncio.get_running_loop
