"""Those who are told of what is written: a follower of all sessions, and a member of a consumer group."""

from __future__ import annotations

import asyncio

from sessionstream import SessionManager, SessionStreamError
from sessionstream.consumers import Item
from sessionstream.events.recorded import RecordedEvent
from sessionstream.projection import Increment, counters
from tests.fault.runner.journal import Journal

__all__ = ["GROUP", "HANDLED", "follow", "take_part"]

GROUP = "watchers"
HANDLED = counters("handled")
_LEASE = 1.5
_PAUSE = 0.1


async def follow(manager: SessionManager, journal: Journal, cursor: str | None) -> None:
    """Note every event of all sessions, and how far that is; after an error, go on from there.

    Args:
        manager: through which it reads.
        journal: where it notes what it is given.
        cursor: where another one was; None is the beginning.
    """
    while True:
        journal.note("follows", cursor=cursor)
        try:
            async with manager.follow_all(after=cursor) as events:
                async for event in events:
                    cursor = str(events.cursor)
                    journal.note("given", **_facts(event), cursor=cursor)
        except SessionStreamError as error:
            journal.note("follower", error=type(error).__name__, says=str(error)[:200])
            if not isinstance(error, ConnectionError):
                cursor = None
            await asyncio.sleep(_PAUSE)


async def take_part(manager: SessionManager, journal: Journal) -> None:
    """Note every event that the group gives this member, and count it for its session; join again after an error."""

    async def handle(item: Item) -> None:
        journal.note("handled", **_facts(item.event))
        item.apply(Increment(HANDLED, item.session_id, 1))

    number = 0
    while True:
        number += 1
        options = {"lease": _LEASE, "backoff": 0.01, "longest_backoff": 0.1, "attempts": 50}
        try:
            async with manager.consumers.join(GROUP, handle, member=f"{journal.name}-{number}", **options) as consumer:
                journal.note("joined")
                await consumer.run()
        except SessionStreamError as error:
            journal.note("member", error=type(error).__name__, says=str(error)[:200])
            await asyncio.sleep(_PAUSE)


def _facts(event: RecordedEvent) -> dict[str, str]:
    return {"session": event.session_id, "offset": event.offset, "type": event.type}
