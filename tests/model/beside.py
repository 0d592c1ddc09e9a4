"""Who reads beside the steps: followers of sessions, a follower of all, and a consumer group."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from sessionstream.consumers import Item
from sessionstream.errors import SessionNotFound
from sessionstream.projection import Increment, counters
from tests.model.keeping import Keeping
from tests.model.machine import NUMBERS
from tests.model.plain import RETIRED, UNSEEN, SessionModel
from tests.sessions.waiting import until

__all__ = ["Beside"]

GROUP = "group"
HANDLED = counters("handled")
_MOST_FOLLOWERS = 3
_ENDS = ("session.expired", "session.deleted")


@dataclass
class Following:
    """A follower, and what it was given.

    Attributes:
        events: the follower.
        session: which it follows; None is all.
        start: the version behind which it began.
        items: what it was given.
        entered: set when its block is entered.
        task: the one that iterates.
    """

    events: Any
    session: SessionModel | None = None
    start: int = 0
    items: list[Any] = field(default_factory=list)
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Enter the block in a task of its own, and return when that is done."""
        self.task = asyncio.get_running_loop().create_task(self._iterate())
        await until(lambda: self.entered.is_set() or self.failed())

    async def _iterate(self) -> None:
        async with self.events as events:
            self.entered.set()
            async for item in events:
                self.items.append(item)

    def failed(self) -> bool:
        """Raise what ended it, if anything did."""
        if self.task is not None and self.task.done():
            self.task.result()
        return False

    async def has(self, count: int) -> None:
        """Wait until so many were given."""
        await until(lambda: len(self.items) >= count or self.failed())

    async def end(self) -> None:
        """Leave the block."""
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)


class Beside(Keeping):
    """Followers and a group that were there before what they read."""

    def __init__(self) -> None:
        super().__init__()
        self.followers: list[Following] = []
        self.all: Following | None = None
        self.given: list[Any] = []
        self.handled: dict[str, list[str]] = {}
        self.count = 0

    async def started(self) -> None:
        """Begin to follow all, and make the group."""
        self.all = Following(self.watcher.follow_all())
        await self.all.begin()
        async with self.watcher.consumers.join(GROUP, lease=3.0):
            pass

    @rule(number=NUMBERS, behind=st.integers(0, 4), ends=st.booleans())
    def follow(self, number: int, behind: int, ends: bool) -> None:
        """G23: a follower that begins somewhere is given each event from there on, once."""
        session = self.pick(number)
        if session is not None and len(self.followers) < _MOST_FOLLOWERS:
            start = max(session.trimmed, session.version - behind)
            after = session.offset_at(start) if start else None
            events = self.watcher.follow(session.session_id, after=after, until_end=ends)
            self.followers.append(Following(events, session, start))
            self.do(self.followers[-1].begin())

    @rule()
    def leave_and_go_on(self) -> None:
        """G24: another follower goes on from the cursor of one that was left."""
        self.do(self._go_on())

    async def _go_on(self) -> None:
        assert self.all is not None
        await self.all.end()
        self.given = self._told()
        self.all = Following(self.writers[1].follow_all(after=str(self.all.events.cursor)))
        await self.all.begin()

    @rule(failing=st.booleans(), attempts=st.sampled_from([1, 2]))
    def consume(self, failing: bool, attempts: int) -> None:
        """G26, G29: a member handles what there is; what fails is tried again, or parked with what comes behind it."""
        self.do(self._consume(failing, attempts))

    async def _consume(self, failing: bool, attempts: int) -> None:
        failed: set[str] = set()

        async def handle(item: Item) -> None:
            event = item.event
            if event.type == "session.retired":
                return
            if failing and event.version % 3 == 2 and event.offset not in failed:
                failed.add(event.offset)
                raise ValueError("not this time")
            item.apply(Increment(HANDLED, "events", 1))
            await asyncio.sleep(0)
            taken.append((item.session_id, event.offset))

        taken: list[tuple[str, str]] = []
        manager = self.writers[1]
        async with manager.consumers.join(GROUP, handle, attempts=attempts, backoff=0.001, lease=3.0):
            await until(lambda: self._has_handled(manager, wholly=not failing))
        # At least once: what was not acknowledged in time is given again.
        for session_id, offset in dict.fromkeys(taken):
            self.handled.setdefault(session_id, []).append(offset)
        self.count += len(set(taken))
        for session in self.model.sessions.values():
            session.handled = len(self.handled.get(session.session_id, ()))

    async def _has_handled(self, manager: Any, *, wholly: bool) -> bool:
        status = await manager.consumers.status(GROUP)
        if wholly and status.parked:
            await manager.consumers.replay(GROUP)
        return bool(status.lag == 0 and not (wholly and status.parked))

    async def caught_up(self) -> None:
        """Wait until followers were given what there is, so that nothing of it is removed before."""
        for one in self.followers:
            if one.session is not None and self.model.sessions.get(one.session.session_id) is one.session:
                await one.has(self._due(one))
        await until(lambda: not self._lacking() or (self.all is not None and self.all.failed()))

    def _told(self) -> list[Any]:
        """Return what followers of all were given: where one was left amid an append, the next one begins with that."""
        assert self.all is not None
        known = {(event.session_id, event.offset, event.type) for event in self.given}
        fresh = [event for event in self.all.items if (event.session_id, event.offset, event.type) not in known]
        return [*self.given, *fresh]

    @staticmethod
    def _due(one: Following) -> int:
        """Return how many events a follower is given for sure."""
        assert one.session is not None
        events = one.session.events[one.start :]
        ends = [at for at, event in enumerate(one.session.events, 1) if one.session.views[at - 1].ended and event]
        if one.events._until_end and ends:
            return max(0, ends[0] - one.start)
        return len(events)

    async def finished(self) -> None:
        """Hold what was given and handled against what was appended."""
        await super().finished()
        await self.caught_up()
        for one in self.followers:
            assert one.session is not None
            wanted = [event.offset for event in one.session.events[one.start :]]
            given = [event.offset for event in one.items]
            gone = self.model.sessions.get(one.session.session_id) is not one.session
            assert len(given) >= (self._due(one) if not gone else len(wanted) if not one.events._until_end else 0)
            assert given[: len(wanted)] == wanted[: len(given)]
            assert len(given) <= len(wanted) + gone
        assert not self._lacking(), self._lacking()
        await self._consume(False, 2)
        for session_id, session in self.model.sessions.items():
            assert self.handled.get(session_id, []) == [event.offset for event in session.events], session_id
        views = self.watcher.consumers.view(GROUP)
        assert (await views.counters(HANDLED)).get("events", 0) == self.count

    def _lacking(self) -> Any:
        """Return what the followers of all were not told yet, or were told and should not have been."""
        told: dict[str, list[str]] = {}
        for event in self._told():
            kind = event.type
            word = RETIRED if kind == "session.retired" else UNSEEN if kind in _ENDS else ""
            told.setdefault(event.session_id, []).append(f"{word} {event.offset}")
        for session_id, wanted in self.model.feed.items():
            found = told.pop(session_id, [])
            for one in wanted:
                fits = bool(found) and (found[0].split(" ")[1] == one or found[0].split(" ")[0] == one)
                if fits:
                    del found[0]
                elif one != UNSEEN:
                    return session_id, one, found
            if found:
                return session_id, None, found
        return told

    def gone(self, session: SessionModel) -> None:
        """See that the group had handled what it has, in its order, before the rest was gone."""
        handled = self.handled.pop(session.session_id, [])
        assert handled == [event.offset for event in session.events[: len(handled)]]
        super().gone(session)

    async def stopped(self) -> None:
        """Leave all followers."""
        for one in (*self.followers, *filter(None, [self.all])):
            with contextlib.suppress(SessionNotFound):
                await one.end()
        await super().stopped()
