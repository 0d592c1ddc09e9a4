"""Steps of what is kept: holds, archives and trims, and the removal of what has ended."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
from hypothesis.stateful import rule

from sessionstream.errors import InvalidArgument, SessionHeld, SessionNotFound
from sessionstream.events import lifecycle as life
from tests.model.looking import Looking
from tests.model.machine import KEY, NOBODY, NUMBERS, WRITERS
from tests.model.plain import SessionModel, version_of

__all__ = ["Keeping"]

HOLDS = st.sampled_from(["h1", "h2:"])


class Keeping(Looking):
    """What keeps sessions, and what removes them."""

    @rule(writer=WRITERS, number=NUMBERS, hold=HOLDS, reason=st.sampled_from(["audit", "law suit"]))
    def hold(self, writer: int, number: int, hold: str, reason: str) -> None:
        """G34: a hold is placed once; the same one for another reason is refused."""
        session = self.pick(number)
        session_id = session.session_id if session else NOBODY
        asked = self.writers[writer].retention.hold(session_id, reason, hold_id=hold)
        if session is None:
            self.refused(asked, SessionNotFound)
        elif session.view.holds.get(hold, reason) != reason:
            self.refused(asked, InvalidArgument)
        else:
            stands = hold in session.view.holds
            assert self.do(asked) == hold
            self.settle(session, *([] if stands else [life.HoldPlaced(hold_id=hold, reason=reason)]))

    @rule(writer=WRITERS, number=NUMBERS, hold=HOLDS)
    def release(self, writer: int, number: int, hold: str) -> None:
        """A hold is released; the others go on standing."""
        session = self.pick(number)
        asked = self.writers[writer].retention.release(session.session_id if session else NOBODY, hold)
        if session is None:
            self.refused(asked, SessionNotFound)
            return
        stood = hold in session.view.holds
        left = len(session.view.holds) - 1
        assert self.do(asked) is stood
        self.settle(session, *([life.HoldReleased(hold_id=hold, standing=left)] if stood else []))

    @rule()
    def read_holds(self) -> None:
        """All that stand are listed."""
        found = [(one.session_id, one.hold_id, one.reason) for one in self.do(self.watcher.retention.holds())]
        assert sorted(found) == sorted(
            (session.session_id, hold, reason)
            for session in self.model.sessions.values()
            for hold, reason in session.view.holds.items()
        )

    @rule(number=NUMBERS, keep=st.integers(0, 3))
    def archive(self, number: int, keep: int) -> None:
        """An archive holds what it was asked to, and nothing is removed."""
        session = self.pick(number)
        if session is not None:
            asked = self.watcher.retention.archive(session.session_id, self.folder, keep_events=keep)
            assert self.do(asked).version >= max(session.trimmed, session.version - keep)
            self.settle(session)

    @rule(number=NUMBERS, keep=st.integers(0, 3))
    def trim(self, number: int, keep: int) -> None:
        """G35: what is archived is removed, up to the oldest checkpoint, and to what the group has handled."""
        session = self.pick(number)
        session_id = session.session_id if session else NOBODY
        asked = self.writers[0].retention.trim(session_id, self.folder, keep_events=keep)
        if session is None:
            self.refused(asked, SessionNotFound)
        elif session.view.holds:
            self.refused(asked, SessionHeld)
        else:
            self.do(self.caught_up())
            upto = self._upto(session, session.version - keep)
            found = self.do(asked)
            assert (found.trimmed, found.removed) == (max(upto, session.trimmed), max(0, upto - session.trimmed))
            self._trimmed(session, upto)

    def _trimmed(self, session: SessionModel, upto: int) -> None:
        """See that the trim is told: once for each file of the archive, up to where it was to go."""
        if upto <= session.trimmed:
            self.settle(session)
            return
        events = [event.data for event in self.do(self._since(session))]
        assert [type(event) for event in events] == [life.SessionTrimmed] * len(events)
        assert events[-1].upto == session.offset_at(upto)
        self.settle(session, *events)

    def _upto(self, session: SessionModel, goal: int) -> int:
        """Return up to which version a session is trimmed; no farther than it is already where nothing is to trim."""
        covered = [version_of(one.covers) for one in session.view.checkpoints]
        limits = [version for version in covered if version >= session.trimmed]
        if session.handled < session.version:
            limits.append(session.handled)
        left = session.events[session.trimmed : max(goal, 0)]
        if session.trimmed and all(isinstance(one.event, life.SessionTrimmed) for one in left):
            return session.trimmed
        return min([goal, *limits])

    @rule(number=NUMBERS)
    def replay(self, number: int) -> None:
        """G35: what is archived and what is in the stream are all that happened, without a seam."""
        session = self.pick(number)
        if session is not None:
            self.do(self._assert_replayed(session))

    async def _assert_replayed(self, session: SessionModel) -> None:
        found = [event async for event in self.watcher.retention.replay(session.session_id, self.folder)]
        assert [event.offset for event in found] == [one.offset for one in session.events]

    @rule(archiving=st.booleans())
    def retire(self, archiving: bool) -> None:
        """G14: what has ended is removed when its retention is over; an archive has all of it then."""
        self.sweep(0)
        self.do(self.caught_up())
        self.do(self._retire(archiving))
        for session in [one for one in self.model.sessions.values() if one.view.ended and not one.view.holds]:
            self.gone(session)
            if archiving:
                self.do(self._assert_replayed(session))

    async def _retire(self, archiving: bool) -> None:
        settings: dict[str, Any] = {"archive": self.folder} if archiving else {}
        async with self.open(retention=0, seal_key=KEY, **settings) as manager:
            assert await manager.cleanup_expired_sessions() == 0
