"""The append path: one script call for all appends of one loop turn that share a partition."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from sessionstream.events.base import EventType
from sessionstream.log.keys import Keys, Route
from sessionstream.log.parts import Parts
from sessionstream.log.positions import Positions
from sessionstream.log.recovery import Recovery
from sessionstream.log.replicating import Replicating
from sessionstream.log.request import Append, Appended
from sessionstream.log.script_call import ScriptCalls
from sessionstream.log.sending import Queue
from sessionstream.projection import Projection
from sessionstream.wire.running import running_loop
from sessionstream.wire.server import Server

__all__ = ["Appender"]

_Future = asyncio.Future


class Appender:
    """Sends appends and resolves them; every method may be called from any event loop.

    Args:
        server: where to.
        keys: the names of the namespace's keys.
        projections: the inline projections.
        stamp: the mark of the namespace that this process can write to.
        prepare: called with a partition and the mark found there, when it is not that one.
        positions: where to note what was appended.

    Attributes:
        milestones: called with what was appended when a session has come to a multiple of so many events, or past it.
    """

    def __init__(
        self,
        server: Server,
        keys: Keys,
        projections: Sequence[Projection],
        stamp: str,
        prepare: Callable[[int], Awaitable[None]],
        positions: Positions,
    ) -> None:
        self.milestones: list[Callable[[Appended], object]] = []
        self._beside = server.beside()
        calls = ScriptCalls(keys, projections, stamp)
        recovery = Recovery(server, keys, calls, prepare)
        replicating = Replicating(self._beside, keys, calls, prepare)
        self._parts = Parts(server, keys, calls, recovery, replicating, positions, self.milestones)
        self._queues: dict[asyncio.AbstractEventLoop, Queue] = {}

    def append(self, request: Append) -> asyncio.Future[Appended]:
        """Send an append; the future gives what it gave.

        A caller that is cancelled takes nothing back: the append may still happen.
        """
        queue = self._queues.get(running_loop()) or self._new_queue()
        future: asyncio.Future[Appended] = _Future(loop=queue.loop)
        request.future = future
        queue.add(request)
        return future

    def append_usual(self, session_id: str, route: Route, kind: EventType, data: bytes) -> asyncio.Future[Appended]:
        """Send one event of a usual type on no condition; the short way to `append`.

        Args:
            session_id: the session.
            route: where it lies.
            kind: the type of the event.
            data: the JSON of its fields.
        """
        try:
            queue = self._queues[running_loop()]
        except KeyError:
            queue = self._new_queue()
        if not queue.flushing:
            return queue.begin_usual(Append(session_id, route, data, len(data), kind))
        future: asyncio.Future[Appended] = _Future(loop=queue.loop)
        request = Append(session_id, route, data, len(data), kind, future, queue.until)
        # As `Queue.add`, which is one call more.
        if session_id not in queue.busy:
            queue.fresh[route.partition].append(request)
        else:
            queue.add(request)
        return future

    def _new_queue(self) -> Queue:
        # In place: other threads' loops keep their queues in the same dict.
        for closed in [known for known in self._queues if known.is_closed()]:
            self._queues.pop(closed, None)
        queue = self._queues[running_loop()] = Queue(self._parts)
        return queue

    async def aclose(self) -> None:
        """Close the running loop's connections on which replicas are waited for."""
        await self._beside.aclose()
