"""Reading the views of a projection that is run from the feed, and waiting until they hold something."""

from __future__ import annotations

import asyncio

from sessionstream.consumers.generations import Generations
from sessionstream.consumers.parking import field_of
from sessionstream.consumers.views import GroupViews
from sessionstream.errors import GroupNotFound, NotProjected
from sessionstream.events.arguments import checked_seconds
from sessionstream.events.ids import checked_id
from sessionstream.feed.cursor import number_of, position_of
from sessionstream.feed.hub import Hub
from sessionstream.feed.reading import count_of
from sessionstream.log.request import Appended
from sessionstream.log.store import Store
from sessionstream.projection import Projection

__all__ = ["Projected"]

_LOOK = 0.05


class Projected(GroupViews):
    """The views of a projection, of the version that is in use.

    Args:
        store: the namespace.
        hub: tells of what changes.
        projection: whose views they are.
    """

    def __init__(self, store: Store, hub: Hub, projection: Projection) -> None:
        super().__init__(store, self._in_use)
        self._hub = hub
        self._generations = Generations(store, projection)
        self._name = projection.name

    async def _in_use(self) -> str:
        generation = await self._generations.current()
        if generation is None:
            raise GroupNotFound(self._name, f"projection {self._name!r} was not built yet: run consumers.project")
        return self._generations.group(generation)

    async def version(self) -> int | None:
        """Return the version whose views are in use; None before the first was built."""
        generation = await self._generations.current()
        return None if generation is None else int(generation.partition(".")[0])

    async def wait_until(self, appended: Appended | str, *, timeout: float = 10.0) -> None:
        """Wait until the views hold what was appended to a session up to now: you read your own writes then.

        Args:
            appended: what an append gave, or a session's id.
            timeout: seconds.

        Raises:
            NotProjected: they do not hold it in time, or never will before somebody replays or discards an event of
                the session that is parked.
            GroupNotFound: the projection was not built yet.
        """
        seconds = checked_seconds(timeout, "timeout")
        session_id = checked_id(getattr(appended, "session_id", appended), "session_id")
        partition = self._store.keys.partition(session_id)
        wanted = await count_of(self._store, partition)
        until = asyncio.get_running_loop().time() + seconds
        try:
            async with asyncio.timeout_at(until):
                while not await self._holds(partition, session_id, wanted):
                    pass
        except NotProjected:
            raise
        except TimeoutError:
            raise NotProjected(
                self._name, f"projection {self._name!r} did not hold it within {seconds:g} s: is anybody running it?"
            ) from None

    async def _holds(self, partition: int, session_id: str, wanted: int) -> bool:
        """Wait until the group in use has come to a place; False if another one was put in its place meanwhile."""
        group, keys, server = await self._in_use(), self._store.keys, self._store.server
        with self._hub.watching([keys.groups(partition)]) as bell:
            while True:
                await bell.wait()
                position = await server.call("HGET", keys.groups(partition), group)
                if position is None:
                    await asyncio.sleep(_LOOK)  # somebody may make it again
                    return False
                if number_of(position_of(position)) >= wanted:
                    break
        if await server.call("HEXISTS", keys.parked(group, partition), field_of(session_id, None)):
            raise NotProjected(self._name, f"an event of session {session_id!r} is parked by {group!r}")
        return await self._in_use() == group
