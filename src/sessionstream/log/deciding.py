"""Reading, deciding and appending as one step: tried again when somebody else appended in between."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from sessionstream.errors import ConflictError
from sessionstream.events.base import Phase
from sessionstream.log.request import Appended
from sessionstream.log.store import Store

__all__ = ["Decision", "append_decided"]


class Decision(NamedTuple):
    """Which events to append, if the session is still as it was when that was decided.

    Attributes:
        events: what to append.
        version: of the session that the decision rests on.
        only: see `Store.append`.
        claims: see `Store.append`.
    """

    events: Sequence[Any]
    version: int
    only: frozenset[Phase] | None = None
    claims: Sequence[tuple[str, bytes | None]] = ()


async def append_decided(
    store: Store, session_id: str, decide: Callable[[], Awaitable[Decision | None]]
) -> Appended | None:
    """Append what ``decide`` says, on exactly the session that it looked at.

    Args:
        store: where to.
        session_id: the session.
        decide: reads what it needs and returns a decision, or None to append nothing; called again after a conflict.

    Raises:
        ConflictError: others were faster, again and again, until the deadline.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + store.server.deadline
    while True:
        decision = await decide()
        if decision is None:
            return None
        try:
            return await store.append(
                session_id,
                decision.events,
                expected_version=decision.version,
                only=decision.only,
                claims=decision.claims,
            )
        except ConflictError:
            if loop.time() > until:
                raise
