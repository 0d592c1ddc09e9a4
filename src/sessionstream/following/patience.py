"""Reads that are made again for as long as the server is away: a follower waits for it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sessionstream.errors import Unavailable
from sessionstream.feed.hub import Bell
from sessionstream.wire.patience import waiting_is_vain

__all__ = ["patiently"]

Read = TypeVar("Read")

_PAUSE = 0.5
_SILENCE = 60.0
_said_at = [float("-inf")]
_log = logging.getLogger("sessionstream")


async def patiently(read: Callable[[], Awaitable[Read]], bell: Bell) -> Read:
    """Return what a read gives, made again and again for as long as the server is away.

    Args:
        read: it.
        bell: of the follower; once that is closed, nothing is read again.
    """
    while True:
        try:
            return await read()
        except Unavailable as failure:
            if bell.closed or waiting_is_vain(failure):
                raise
            _say_once(failure)
            await asyncio.sleep(_PAUSE)


def _say_once(failure: Unavailable) -> None:
    """Thousands of followers wait at the same time."""
    now = time.monotonic()
    if now - _said_at[0] > _SILENCE:
        _said_at[0] = now
        _log.warning("followers wait for the server: %s", failure)
