"""What the machine is made of: the store, the model beside it, and how both are held equal after each step."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import sys
import tempfile
from collections.abc import Awaitable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant
from redis.asyncio import Redis

from sessionstream import Session, SessionManager, SessionState, SessionStreamError
from sessionstream.errors import SessionArchived, SessionEnded, SessionNotFound
from sessionstream.events import lifecycle as life
from tests.model.plain import Model, SessionModel
from tests.model.told import Told, declare
from tests.servers import Server

__all__ = ["IDS", "KEY", "LATER", "NOBODY", "NUMBERS", "TEXTS", "USERS", "VALUES", "WRITERS", "Driven", "utc"]

KEY = "0123456789abcdef0123456789abcdef"
NOBODY = "nobody"
IDS = st.sampled_from(["s", ":first", "zwei\n"])
USERS = st.sampled_from(["u", "u:", "ü"])
NUMBERS = st.integers(0, 19)
WRITERS = st.integers(0, 1)
TEXTS = st.text(max_size=4)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-2, 2) | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=3,
)
_DEADLINE = 60.0
_names = itertools.count()
Given = TypeVar("Given")


def utc(ms: int | None) -> datetime | None:
    """Return the aware UTC datetime of milliseconds since 1970."""
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC)


class Driven(RuleBasedStateMachine):
    """Two managers that write, one that only looks, and the model of what they wrote.

    Attributes:
        server: what all examples run on, one after the other, each in a namespace of its own.
        model: what there is.
        writers: two managers, as two processes would have them; the first one seals beside its appends.
        watcher: a manager that reads.
        client: one of redis-py, for what is done to the server itself.
        folder: where archives lie.
        known: of the own event type, the version that this process knows.
    """

    server: ClassVar[Server]

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.model = Model()
        self.namespace = f"model{next(_names)}"
        self.folder = Path(tempfile.mkdtemp(prefix="sst-model-"))
        self.known = 1
        declare(1)
        self.client = Redis.from_url(self.server.unix_url)
        self.writers = (self.open(seal_key=KEY), self.open(extend_on="append"))
        self.watcher = self.open(seal_key=KEY)

    def open(self, **settings: Any) -> SessionManager:
        """Return one more manager of the namespace."""
        given = {"namespace": self.namespace, "partitions": 2, "reply_timeout": 30.0, "deadline": 45.0, **settings}
        return SessionManager(url=self.server.unix_url, **given)

    async def started(self) -> None:
        """Begin what goes on beside the steps."""

    # What a step does

    def do(self, asked: Awaitable[Given]) -> Given:
        """Return what is asked for; nothing takes longer than a minute."""
        return self.loop.run_until_complete(asyncio.wait_for(asked, _DEADLINE))

    def attempt(self, asked: Awaitable[Any]) -> Any:
        """Return what is asked for, or the error that refuses it."""
        try:
            return self.do(asked)
        except SessionStreamError as error:
            return error

    def refused(self, asked: Awaitable[Any], *kinds: type[SessionStreamError]) -> None:
        """See that what is asked for is refused by exactly one of some errors."""
        found = self.attempt(asked)
        assert type(found) in kinds, found

    def pick(self, number: int) -> SessionModel | None:
        """Return a session: mostly one that lives, sometimes one that is over, seldom none."""
        kept = list(self.model.sessions.values())
        chosen = (list(self.model.live()) or kept) if number < 15 else kept
        return None if not chosen or number == 19 else chosen[number % len(chosen)]

    def refusal(self, session: SessionModel | None, *, runtime: bool = False) -> type[SessionStreamError] | None:
        """Return what refuses an event of a session, if anything does."""
        if session is None:
            return SessionNotFound
        if session.over:
            return SessionEnded
        return SessionArchived if runtime and session.view.state == "archived" else None

    def events(self, *events: Any) -> list[Any]:
        """Return events as this process makes them."""
        return [event.in_version(self.known) if isinstance(event, Told) else event for event in events]

    def settle(self, session: SessionModel, *expected: Any) -> None:
        """See that exactly these events were appended, and take them into the model."""
        found = self.do(self._since(session))
        assert len(found) == len(expected), (found, expected)
        for event, wanted in zip(found, expected, strict=True):
            self._take(session, event, wanted)

    def settle_in_any_order(self, session: SessionModel, *lanes: list[Any]) -> None:
        """See that events were appended, those of each list in its order, and take them in the order that they got."""
        left = [list(lane) for lane in lanes]
        for event in self.do(self._since(session)):
            lane = next(lane for lane in left if lane and event.data == lane[0])
            self._take(session, event, lane.pop(0))
        assert not any(left), left

    async def _since(self, session: SessionModel) -> list[Any]:
        after = session.offset if session.events else None
        return [event async for event in self.watcher.history(session.session_id, after=after)]

    def _take(self, session: SessionModel, event: Any, wanted: Any) -> None:
        assert same(event.data, wanted, self.known), (event.data, wanted)
        assert event.version == session.version + 1
        session.take(event.offset, wanted if isinstance(wanted, Told) else event.data)
        self.model.feed.setdefault(session.session_id, []).append(event.offset)

    # What holds after every step

    @invariant()
    def what_is_read_is_what_the_model_says(self) -> None:
        """G7: every session, as its readers give it; and how many there are."""
        self.do(self._assert_read())

    async def _assert_read(self) -> None:
        sessions = self.model.sessions.values()
        for session in sessions:
            found = await self.watcher.get_session(session.session_id)
            assert (found is None) == session.over, session.session_id
            assert found is None or as_told(found) == as_modelled(session)
            assert await self.watcher.get_session_state(session.session_id) is state_of(session)
        assert await self.watcher.get_session(NOBODY) is None
        assert await self.watcher.get_total_session_count() == len(sessions)
        active = sum(session.view.state == "active" for session in self.model.live())
        assert await self.watcher.get_active_session_count() == active

    # Its end

    def teardown(self) -> None:
        """Hold everything that can be read against the model, unless a step has failed."""
        try:
            if sys.exc_info()[0] is None:
                self.do(self.finished())
        finally:
            self.loop.run_until_complete(self._close())
            self.loop.close()
            shutil.rmtree(self.folder)

    async def finished(self) -> None:
        """Hold everything that can be read against the model."""

    async def stopped(self) -> None:
        """End what goes on beside the steps."""

    async def caught_up(self) -> None:
        """Wait until whoever reads beside the steps has read what there is."""

    async def _close(self) -> None:
        await self.stopped()
        for manager in (*self.writers, self.watcher):
            await manager.aclose()
        await self.client.flushall()
        await self.client.aclose()
        await self.loop.shutdown_asyncgens()


LATER = life.SessionRefreshed(ttl_ms=-1)
"""A refresh by a time that the model does not know."""


def same(found: Any, wanted: Any, known: int) -> bool:
    """Whether an event is the one that is wanted; what only the archive can say of a trim is not compared."""
    if isinstance(wanted, Told):
        return bool(found == wanted.in_version(known))
    if wanted is LATER:
        return isinstance(found, life.SessionRefreshed)
    if isinstance(wanted, life.SessionTrimmed):
        return isinstance(found, life.SessionTrimmed) and found.upto == wanted.upto
    return bool(type(found) is type(wanted) and found == wanted)


def as_told(session: Session) -> dict[str, Any]:
    """Return what a session that was read says of itself."""
    forked = session.forked_from
    return {
        "whose": (session.user_id, session.agent_id),
        "created": session.created_at,
        "expires": session.expires_at,
        "metadata": session.metadata,
        "state": session.state,
        "version": session.version,
        "last": session.last_event_at,
        "origin": None if forked is None else (forked.session_id, forked.offset),
    }


def as_modelled(session: SessionModel) -> dict[str, Any]:
    """Return what the model says of a session."""
    view, begun = session.view, session.events[0].event.forked_from
    return {
        "whose": (view.user_id, view.agent_id),
        "created": utc(view.created_ms),
        "expires": utc(view.expires_ms),
        "metadata": view.metadata,
        "state": state_of(session),
        "version": session.version,
        "last": utc(int(session.offset.partition("-")[0])),
        "origin": None if begun is None else (begun.session_id, begun.offset),
    }


def state_of(session: SessionModel) -> SessionState | None:
    """Return the state that a session is said to be in."""
    if session.view.state == "deleted":
        return None
    return SessionState.EXPIRED if session.over else SessionState(session.view.state)
