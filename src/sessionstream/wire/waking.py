"""Waking the tasks that wait for what came together, the appends of a call or the replies, by one callback for all.

A future that is given its result has the loop call who waits for it, by a handle of its own for each: of the 64,000
instructions that an append by one of many tasks took here, that was 5,600. What a future is to call is taken off it
instead, and called, in its own context, together with what the others are to call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextvars import Context
from typing import Any

__all__ = ["Given", "give_all"]

Given = tuple[asyncio.Future[Any], object]
"""A future, and the result that it is to be given."""

_Waiting = tuple[Context, Callable[[Any], object], asyncio.Future[Any]]


def give_all(loop: asyncio.AbstractEventLoop, given: Iterable[Given]) -> None:
    """Give futures their results, but for those that are done, as a cancelled one is, and have the loop wake who waits.

    Args:
        loop: the running event loop.
        given: the futures and their results, in the order in which who waits is to be woken.
    """
    waiting: list[_Waiting] = []
    for future, result in given:
        # None, or pairs of a callback and its context. A task waits by one; whoever has more is called as ever.
        try:
            ((callback, context),) = future._callbacks
        except (TypeError, ValueError):
            if not future.done():
                future.set_result(result)
        else:
            future.remove_done_callback(callback)
            waiting.append((context, callback, future))
            future.set_result(result)
    # The last by itself: as long as it is still to come, nobody takes himself for the only one (`Lane.alone`).
    if len(waiting) > 1:
        loop.call_soon(_wake, waiting[:-1])
    if waiting:
        loop.call_soon(_wake, waiting[-1:])


def _wake(waiting: Sequence[_Waiting]) -> None:
    left = iter(waiting)
    try:
        for context, callback, future in left:
            context.run(callback, future)
    finally:
        # An interrupt ends the loop, which may run again, and it tells of any other error of a callback.
        if rest := list(left):
            asyncio.get_running_loop().call_soon(_wake, rest)
