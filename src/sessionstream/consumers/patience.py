"""Going on where the server is away: a consumer outlives its restarts and failovers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sessionstream.errors import OutcomeUnknown, Unavailable
from sessionstream.wire.patience import waiting_is_vain

__all__ = ["persist"]

_PAUSE = 0.05
_log = logging.getLogger("sessionstream")
_Result = TypeVar("_Result")


async def persist(work: Callable[[], Awaitable[_Result]]) -> _Result:
    """Do something that may be done again, until the server answers; what no waiting mends is raised."""
    told = False
    while True:
        try:
            return await work()
        except (OutcomeUnknown, Unavailable) as error:
            if isinstance(error, Unavailable) and waiting_is_vain(error):
                raise
            if not told:
                _log.warning("a consumer waits for the server: %s", error)
            told = True
        await asyncio.sleep(_PAUSE)
