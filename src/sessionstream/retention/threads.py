"""Waiting for the disk in a thread, so that the event loop does not."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeVar

__all__ = ["each_in_thread", "to_its_end"]

_Result = TypeVar("_Result")


async def to_its_end(work: Callable[..., _Result], *args: Any) -> _Result:
    """Do something in a thread; who is cancelled meanwhile waits for its end, so that nothing is done behind that."""
    task = asyncio.ensure_future(asyncio.to_thread(work, *args))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        with contextlib.suppress(Exception):
            await task
        raise


async def each_in_thread(items: Iterator[_Result]) -> AsyncIterator[_Result]:
    """Yield what an iterator gives, each item made in a thread.

    Who is cancelled leaves the thread to end by itself, and the iterator with it, which closes its file then.
    """
    end: Any = object()
    while (item := await asyncio.to_thread(next, items, end)) is not end:
        yield item
