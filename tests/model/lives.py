"""Steps of a session's life: begun, refreshed, changed, lapsed, ended, swept, removed."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
from hypothesis.stateful import initialize, rule

from sessionstream import Session, SessionState
from sessionstream.errors import (
    ConflictError,
    IdempotencyConflict,
    InvalidArgument,
    SessionEnded,
    SessionExists,
    SessionHeld,
    SessionNotFound,
    SessionsHeld,
)
from sessionstream.events import lifecycle as life
from sessionstream.events.ids import session_id_for
from tests.model.machine import IDS, NOBODY, NUMBERS, USERS, VALUES, WRITERS, Driven, utc
from tests.model.plain import SessionModel
from tests.sessions.waiting import until_past

__all__ = ["Lives"]

METADATA = st.dictionaries(st.sampled_from(["a", "b", "ü:"]), VALUES, max_size=2)
TTLS = st.sampled_from([None, 3600.0, 0.5e6])
STATES = st.sampled_from(["active", "idle", "archived"])


class Lives(Driven):
    """Sessions that begin, change and end."""

    @initialize(metadata=METADATA, ttl=TTLS)
    def create_two(self, metadata: dict[str, Any], ttl: float | None) -> None:
        """There is something to begin with: of either writer, so that of one the time to live slides."""
        self.create(0, "s", "u", metadata, None)
        self.create(1, ":first", "u:", {}, ttl)

    @rule(writer=WRITERS, session_id=IDS, user=USERS, metadata=METADATA, ttl=TTLS)
    def create(self, writer: int, session_id: str, user: str, metadata: dict[str, Any], ttl: float | None) -> None:
        """G12: an id is used once, while anything of it is kept."""
        made = self.writers[writer].create_session(user, "agent", metadata, session_id=session_id, ttl=ttl)
        if session_id in self.model.sessions:
            self.refused(made, SessionExists)
            return
        self.do(made)
        self.begun(session_id, self._created(writer, user, metadata, ttl))

    @rule(writer=WRITERS, key=st.sampled_from(["k1", "k2"]), user=USERS)
    def create_once(self, writer: int, key: str, user: str) -> None:
        """G4: the same key makes one session; with other arguments it is refused."""
        session_id = session_id_for(key)
        session = self.model.sessions.get(session_id)
        event = self._created(writer, user, {}, None)
        made = self.writers[writer].create_session(user, "agent", ttl=None, idempotency_key=key)
        if session is None:
            self.do(made)
            self.begun(session_id, event)
        elif session.events[0].event == event:
            assert self.do(made).created_at == utc(session.view.created_ms)
        else:
            self.refused(made, IdempotencyConflict)

    def _created(self, writer: int, user: str, metadata: dict[str, Any], ttl: float | None) -> life.SessionCreated:
        ttl_ms = None if ttl is None else int(ttl * 1000)
        return life.SessionCreated(
            user_id=user, agent_id="agent", metadata=metadata, ttl_ms=ttl_ms, sliding=writer == 1
        )

    def begun(self, session_id: str, *events: Any) -> SessionModel:
        """Take a new session into the model."""
        session = SessionModel(session_id)
        self.settle(session, *events)
        self.model.sessions[session_id] = session
        return session

    @rule(writer=WRITERS, number=NUMBERS)
    def refresh(self, writer: int, number: int) -> None:
        """G12: the time to live begins anew, and nothing is revived."""
        session = self.pick(number)
        asked = self.writers[writer].refresh_session(session.session_id if session else NOBODY)
        assert self.do(asked) is (session is not None and not session.over)
        if session is not None:
            ttl = session.view.ttl_ms
            self.settle(session, *([] if session.over or ttl is None else [life.SessionRefreshed(ttl_ms=ttl)]))

    @rule(number=NUMBERS)
    def lapse(self, number: int) -> None:
        """G11: a session whose time is over is gone at once, though nobody has ended it."""
        session = self.pick(number)
        if session is not None and not session.over:
            self.do(self._lapse(session))

    async def _lapse(self, session: SessionModel) -> None:
        after = await self._about_to_expire(session.session_id)
        [event] = await self._since(session)
        assert isinstance(event.data, life.SessionRefreshed)
        self._take(session, event, event.data)
        assert after.expires_at == utc(session.view.expires_ms)
        await until_past(self.client, after.expires_at)
        session.lapsed = True

    async def _about_to_expire(self, session_id: str) -> Session:
        """Let a session expire as soon as the machine is quick enough to say so before that."""
        manager, ahead = self.writers[0], 20
        while True:
            given = await manager.get_session(session_id)
            assert given is not None
            given.expires_at = utc(await manager.store.now_ms() + ahead)
            try:
                return await manager.update_session(session_id, given)
            except InvalidArgument:
                ahead *= 4

    @rule(writer=WRITERS, number=NUMBERS, state=STATES, expected=st.none() | st.integers(0, 1))
    def set_state(self, writer: int, number: int, state: str, expected: int | None) -> None:
        """G6: a state is set once, on the version that is expected; what has ended stays so."""
        session = self.pick(number)
        version = None if expected is None or session is None else session.version - expected
        session_id = session.session_id if session else NOBODY
        asked = self.writers[writer].set_session_state(session_id, state, expected_version=version)
        if session is None:
            self.refused(asked, SessionNotFound)
        elif session.over:
            self.refused(asked, SessionEnded)
        elif version not in (None, session.version):
            self.refused(asked, ConflictError)
        else:
            changes = session.view.state != state
            assert self.do(asked) is changes
            self.settle(session, *([life.StateChanged(state=state)] if changes else []))

    @rule(writer=WRITERS, number=NUMBERS)
    def expire(self, writer: int, number: int) -> None:
        """G12: a session that is set to EXPIRED ends; one that is over so already is left."""
        session = self.pick(number)
        asked = self.writers[writer].set_session_state(session.session_id if session else NOBODY, SessionState.EXPIRED)
        if session is None:
            self.refused(asked, SessionNotFound)
        elif session.view.state == "deleted":
            self.refused(asked, SessionEnded)
        elif session.over:
            assert self.do(asked) is False
        else:
            assert self.do(asked) is True
            self.settle(session, self.expired(session))

    @staticmethod
    def expired(session: SessionModel) -> life.SessionExpired:
        """Return the event that a session's time was over."""
        view = session.view
        return life.SessionExpired(user_id=view.user_id, agent_id=view.agent_id, created_ms=view.created_ms)

    @staticmethod
    def deleted(session: SessionModel) -> life.SessionDeleted:
        """Return the event that a session was deleted."""
        view = session.view
        return life.SessionDeleted(user_id=view.user_id, agent_id=view.agent_id, created_ms=view.created_ms)

    @rule(writer=WRITERS, number=NUMBERS)
    def delete(self, writer: int, number: int) -> None:
        """G34: a session is deleted once, and not under a hold."""
        session = self.pick(number)
        asked = self.writers[writer].delete_session(session.session_id if session else NOBODY)
        if session is None or session.over:
            assert self.do(asked) is False
        elif session.view.holds:
            self.refused(asked, SessionHeld)
        else:
            assert self.do(asked) is True
            self.settle(session, self.deleted(session))

    @rule(writer=WRITERS, number=NUMBERS)
    def purge(self, writer: int, number: int) -> None:
        """G14: all of a session is removed at once, ended or not; not under a hold."""
        session = self.pick(number)
        asked = self.writers[writer].delete_session(session.session_id if session else NOBODY, purge=True)
        if session is None:
            assert self.do(asked) is False
        elif session.view.holds:
            self.refused(asked, SessionHeld)
        else:
            self.do(self.caught_up())
            assert self.do(asked) is True
            self.gone(session)

    def gone(self, session: SessionModel) -> None:
        """Take a session out of the model, and see that it is out of the store."""
        self.model.removed(session)
        self.do(self._assert_gone(session.session_id))

    async def _assert_gone(self, session_id: str) -> None:
        try:
            assert [event async for event in self.watcher.history(session_id)] == []
        except SessionNotFound:
            return
        raise AssertionError(f"{session_id!r} is there still")

    @rule(user=USERS)
    def delete_of_user(self, user: str) -> None:
        """All that a user has ends, but for what is held."""
        theirs = [session for session in self.model.live() if session.view.user_id == user]
        held = {session.session_id for session in theirs if session.view.holds}
        asked = self.writers[0].delete_user_sessions(user)
        if held:
            self.refused(asked, SessionsHeld)
        else:
            assert self.do(asked) == len(theirs)
        for session in theirs:
            self.settle(session, *([] if session.session_id in held else [self.deleted(session)]))

    @rule(writer=WRITERS)
    def sweep(self, writer: int) -> None:
        """G11: what has lapsed is ended, once."""
        self._swept(self.do(self.writers[writer].cleanup_expired_sessions()))

    def _swept(self, count: int) -> None:
        lapsed = [one for one in self.model.sessions.values() if one.lapsed and not one.view.ended]
        assert count == len(lapsed)
        for session in lapsed:
            self.settle(session, self.expired(session))
