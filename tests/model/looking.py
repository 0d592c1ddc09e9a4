"""Steps that look: at past moments, at what changed between two of them, at lists; and that go on from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import hypothesis.strategies as st
from hypothesis.stateful import rule

from sessionstream import SessionState
from sessionstream.errors import HistoryTrimmed, SessionNotFound
from sessionstream.events import lifecycle as life
from sessionstream.events.forked import ForkedFrom
from tests.model.changing import Changing, differ
from tests.model.machine import NOBODY, NUMBERS, USERS, utc
from tests.model.plain import NOWHERE, Happened, Saved, SessionModel, View, at_ms, version_of

__all__ = ["Looking"]

BACK = st.integers(0, 12)
FORKS = st.sampled_from(["f1", "f2", "f3"])


class Looking(Changing):
    """Readers of what was, and forks of it."""

    @rule(number=NUMBERS, back=BACK, by_time=st.booleans())
    def as_of(self, number: int, back: int, by_time: bool) -> None:
        """G31: a session as it was at a version, or at the time of one."""
        session = self.pick(number)
        if session is None:
            self.refused(self.watcher.audit.as_of(NOBODY, version=1), SessionNotFound)
            return
        version = max(1, session.version - back)
        if not by_time:
            self._assert_known(session, version, self.attempt(self._at(session, version=version)))
            return
        ms = at_ms(session.offset_at(version))
        last = max(one.session_id and version_of(one.offset) for one in session.events if at_ms(one.offset) == ms)
        self._assert_known(session, last, self.attempt(self._at(session, time=utc(ms))))

    async def _at(self, session: SessionModel, **moment: Any) -> Any:
        return await self.watcher.audit.as_of(session.session_id, **moment)

    def _assert_known(self, session: SessionModel, version: int, found: Any) -> None:
        if isinstance(found, HistoryTrimmed):
            assert version < session.trimmed
            return
        view, offset = session.views[version - 1], session.offset_at(version)
        assert (found.offset, found.version, found.at) == (offset, version, utc(at_ms(offset)))
        assert found.metadata == view.metadata
        assert found.state is state_at(view, at_ms(offset))
        assert found.session.expires_at == utc(view.expires_ms)
        assert self.told(session, found.checkpoint) == self.kept(session, view.checkpoint)

    @rule(number=NUMBERS, back=BACK, further=BACK)
    def diff(self, number: int, back: int, further: int) -> None:
        """G31: what differs between two moments, and how much happened in between."""
        session = self.pick(number)
        if session is None:
            return
        last = max(1, session.version - back)
        first = max(1, last - further)
        found = self.attempt(self.watcher.audit.diff(session.session_id, first, last))
        if isinstance(found, HistoryTrimmed):
            assert first < session.trimmed
            return
        assert found.events == last - first
        changed = {".".join(change.path[:2]) for change in found.changes}
        assert changed == self._changed(session, first, last)

    def _changed(self, session: SessionModel, first: int, last: int) -> set[str]:
        one, other = session.views[first - 1], session.views[last - 1]
        states = [state_at(session.views[at - 1], at_ms(session.offset_at(at))) for at in (first, last)]
        pairs = {
            "state": states,
            "expires_at": (one.expires_ms, other.expires_ms),
            "checkpoint": [view.checkpoint and view.checkpoint.checkpoint_id for view in (one, other)],
        }
        keys = {key for key in (*one.metadata, *other.metadata) if differ(one.metadata, other.metadata, key)}
        return {name for name, (was, now) in pairs.items() if was != now} | {f"metadata.{key}" for key in keys}

    @rule(number=NUMBERS)
    def resume(self, number: int) -> None:
        """G15: the latest checkpoint, and what it does not cover."""
        session = self.pick(number)
        asked = self.writers[0].resume(session.session_id if session else NOBODY)
        if (refusal := self.refusal(session)) is not None or session is None:
            self.refused(asked, refusal or SessionNotFound)
            return
        found = self.attempt(asked)
        if isinstance(found, HistoryTrimmed):
            assert self.lacks_past(session)
            return
        saved = session.view.checkpoint
        assert self.told(session, found.checkpoint) == self.kept(session, saved)
        assert found.offset == session.offset
        wanted = [one for one in since(session, saved) if saved is None or one.offset != saved.saved_at]
        assert [(one.session_id, one.offset) for one in found.events] == [
            (one.session_id, one.offset) for one in wanted
        ]

    @rule(number=NUMBERS, back=BACK, name=FORKS, other_user=st.booleans())
    def fork(self, number: int, back: int, name: str, other_user: bool) -> None:
        """G31: a session that begins as another one was at a moment."""
        session = self.pick(number)
        if session is None or name in self.model.sessions:
            return
        version = max(1, session.version - back)
        user = "u" if other_user else None
        found = self.attempt(
            self.writers[0].audit.fork(session.session_id, at=version, new_session_id=name, user_id=user)
        )
        if isinstance(found, HistoryTrimmed):
            assert version < session.trimmed
            return
        assert found.session_id == name, found
        self._forked(session, version, name, user)

    def _forked(self, origin: SessionModel, version: int, name: str, user: str | None) -> None:
        view = origin.views[version - 1]
        saved = next((one for one in reversed(view.checkpoints) if one in origin.view.checkpoints), None)
        covers, covers_in = ("", "") if saved is None else covered_by(origin, saved)
        begun = origin.events[0].event.forked_from
        created = life.SessionCreated(
            user_id=user or view.user_id,
            agent_id=view.agent_id,
            metadata=view.metadata,
            ttl_ms=view.ttl_ms,
            sliding=view.sliding,
            forked_from=ForkedFrom(
                session_id=origin.session_id,
                offset=origin.offset_at(version),
                covers=covers,
                covers_in=covers_in,
                depth=1 + (begun.depth if begun else 0),
            ),
        )
        copied = [] if saved is None else [self._copy(origin, saved)]
        states = [life.StateChanged(state=view.state)] if view.state in ("idle", "archived") else []
        fork = SessionModel(name, inherited=origin.past_at(version), origins=(origin, *origin.origins))
        self.settle(fork, created, *copied, *states)
        self.model.sessions[name] = fork
        if saved is not None:
            body = self.model.bodies[origin.session_id, saved.saved_at]
            self.model.bodies[name, fork.offset_at(2)] = body

    def _copy(self, origin: SessionModel, saved: Saved) -> life.CheckpointSaved:
        told = next(one.event for one in origin.events if one.offset == saved.saved_at)
        return life.CheckpointSaved(
            checkpoint_id=saved.checkpoint_id, covers=NOWHERE, size=told.size, sha256=saved.sha256, label=saved.label
        )

    @rule(user=USERS, limit=st.none() | st.integers(0, 3))
    def list_sessions(self, user: str, limit: int | None) -> None:
        """G13: a user's sessions, newest first, page after page; all that are active; and the counts."""
        theirs = [one.session_id for one in self.model.live() if one.view.user_id == user]
        found = self.do(self.watcher.get_sessions_by_user(user, limit=limit))
        assert [one.session_id for one in found] == theirs[:limit]
        if found:
            rest = self.do(self.watcher.get_sessions_by_user(user, after=found[-1]))
            assert [one.session_id for one in rest] == theirs[len(found) :]
        active = self.do(self.watcher.get_all_active_sessions())
        assert {one.session_id for one in active} == {
            one.session_id for one in self.model.live() if one.view.state == "active"
        }
        assert [one.created_at for one in active] == sorted((one.created_at for one in active), reverse=True)
        self.do(self._assert_counts())

    async def _assert_counts(self) -> None:
        sessions = self.model.sessions.values()
        expired = sum(one.over and one.view.state != "deleted" for one in sessions)
        assert await self.watcher.get_expired_session_count() == expired
        lives = [(one.view.ended_ms - one.view.created_ms) / 1000 for one in sessions if one.view.ended_ms is not None]
        average = sum(lives) / len(lives) if lives else 0.0
        assert abs(await self.watcher.get_avg_session_duration() - average) < 0.001

    @rule(number=NUMBERS)
    def seal(self, number: int) -> None:
        """G32: a session is sealed up to where it is."""
        session = self.pick(number)
        if session is not None:
            assert self.do(self.watcher.audit.seal(session.session_id)).version == session.version


def state_at(view: View, ms: int) -> SessionState:
    """Return the state that a session was in at a time."""
    over = view.ended or (view.expires_ms is not None and view.expires_ms <= ms)
    return SessionState.EXPIRED if over else SessionState(view.state)


def copied_from(session: SessionModel, saved: Saved) -> ForkedFrom | None:
    """Return where a session comes from, if a checkpoint is the one that it began with."""
    begun: ForkedFrom | None = session.events[0].event.forked_from
    began_with = begun is not None and bool(begun.covers) and version_of(saved.saved_at) == 2
    return begun if began_with else None


def covered_by(session: SessionModel, saved: Saved) -> tuple[str, str]:
    """Return the offset that a checkpoint covers, and in which session, if that is an origin of this one."""
    begun = copied_from(session, saved)
    return (saved.covers, "") if begun is None else (begun.covers, begun.covers_in or begun.session_id)


def since(session: SessionModel, saved: Saved | None) -> Sequence[Happened]:
    """Return what happened in a session, and before in its origins, that a checkpoint does not cover."""
    if saved is None:
        return session.past
    begun = copied_from(session, saved)
    if begun is None:
        return session.events[version_of(saved.covers) :] if saved.covers != NOWHERE else session.past
    origin = begun.covers_in or begun.session_id
    if begun.covers == NOWHERE:
        before = list(session.inherited)
    else:
        place = next(
            at for at, one in enumerate(session.inherited) if (one.session_id, one.offset) == (origin, begun.covers)
        )
        before = list(session.inherited[place + 1 :])
    told = [
        one
        for one in before
        if not (isinstance(one.event, life.CheckpointSaved) and one.event.checkpoint_id == saved.checkpoint_id)
    ]
    return [*told, *session.events]
