"""Steps that change a session: its metadata, all of what was read of it, its checkpoints."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import hypothesis.strategies as st
import msgspec
from hypothesis.stateful import rule

from sessionstream import Checkpoint, Session, SessionState
from sessionstream.errors import CheckpointExists, ConflictError, SessionHeld, SessionNotFound
from sessionstream.events import lifecycle as life
from tests.model.lives import METADATA, STATES
from tests.model.machine import LATER, NOBODY, NUMBERS, VALUES, WRITERS, utc
from tests.model.plain import Saved, SessionModel, View, at_ms
from tests.model.talking import Talking

__all__ = ["Changing"]

CHECKPOINTS = st.sampled_from(["c1", "c2", ":c", None])
LABELS = st.sampled_from([None, "", "lábel 1"])


def as_json(values: dict[str, Any], key: str) -> str | None:
    """Return the JSON of a key: Python holds 1, 1.0 and True equal, JSON does not."""
    return json.dumps(values[key], sort_keys=True) if key in values else None


class Changing(Talking):
    """Metadata and checkpoints of sessions."""

    @rule(writer=WRITERS, number=NUMBERS, values=METADATA, unset=st.lists(st.sampled_from(["a", "b", "z"]), max_size=2))
    def merge(self, writer: int, number: int, values: dict[str, Any], unset: list[str]) -> None:
        """Keys are set and removed; all others stay."""
        session = self.pick(number)
        unset = [key for key in unset if key not in values]
        session_id = session.session_id if session else NOBODY
        asked = self.writers[writer].update_session_metadata(session_id, values, unset=unset)
        if (refusal := self.refusal(session)) is not None:
            self.refused(asked, refusal)
        elif session is not None:
            self.do(asked)
            self.settle(session, *([life.MetadataUpdated(set=values, unset=unset)] if values or unset else []))

    @rule(
        number=NUMBERS,
        changed=METADATA,
        keeps=st.booleans(),
        state=st.none() | STATES,
        later=st.booleans(),
        other=st.none() | METADATA,
    )
    def update(
        self,
        number: int,
        changed: dict[str, Any],
        keeps: bool,
        state: str | None,
        later: bool,
        other: dict[str, Any] | None,
    ) -> None:
        """G6: what was changed in a session that was read is appended, unless somebody else changed the same."""
        session = self.pick(number)
        if (refusal := self.refusal(session)) is not None or session is None:
            session_id = session.session_id if session else NOBODY
            given = Session(session_id, "u", "agent", at := utc(0) or never(), at)
            self.refused(self.writers[0].update_session(session_id, given), refusal or SessionNotFound)
            return
        given = self.do(self.writers[0].get_session(session.session_id)) or never()
        read = session.view
        if other:
            self.do(self.writers[1].update_session_metadata(session.session_id, other))
            self.settle(session, life.MetadataUpdated(set=other))
        given.metadata = {**(given.metadata if keeps else {}), **changed}
        given.state = SessionState(state or read.state)
        later = later and given.expires_at is not None
        given.expires_at = given.expires_at + timedelta(hours=1) if later and given.expires_at else given.expires_at
        self._update(session, read, given, later=later)

    def _update(self, session: SessionModel, read: View, given: Session, *, later: bool) -> None:
        changed = {key: given.metadata[key] for key in given.metadata if differ(given.metadata, read.metadata, key)}
        gone = [key for key in read.metadata if key not in given.metadata]
        asked = self.writers[0].update_session(session.session_id, given)
        if any(differ(session.view.metadata, read.metadata, key) for key in (*changed, *gone)):
            self.refused(asked, ConflictError)
            return
        self.do(asked)
        events: list[Any] = [life.MetadataUpdated(set=changed, unset=gone)] if changed or gone else []
        events += [life.StateChanged(state=given.state.value)] if given.state.value != read.state else []
        self.settle(session, *events, *([LATER] if later else []))
        assert given.version == session.version

    @rule(writer=WRITERS, number=NUMBERS, data=VALUES, name=CHECKPOINTS, label=LABELS, back=st.none() | NUMBERS)
    def save(self, writer: int, number: int, data: Any, name: str | None, label: str | None, back: int | None) -> None:
        """G15: a checkpoint covers the event that it is told to, or what its manager knows."""
        session = self.pick(number)
        known = None if back is None or session is None else session.offset_at(max(0, session.version - back))
        session_id = session.session_id if session else NOBODY
        asked = self.writers[writer].save_checkpoint(session_id, data, offset=known, label=label, checkpoint_id=name)
        if (refusal := self.refusal(session)) is not None or session is None:
            # The offset is compared first.
            self.refused(asked, refusal or SessionNotFound)
        elif name in {one.checkpoint_id for one in session.view.checkpoints}:
            self.refused(asked, CheckpointExists)
        else:
            self._saved(session, self.do(asked), data, known, label)

    def _saved(self, session: SessionModel, name: str, data: Any, known: str | None, label: str | None) -> None:
        body = msgspec.json.encode(data)
        covers = known if known is not None else self._covers(session, name)
        digest = hashlib.sha256(body).hexdigest()
        event = life.CheckpointSaved(checkpoint_id=name, covers=covers, size=len(body), sha256=digest, label=label)
        self.settle(session, event)
        self.model.bodies[session.session_id, session.offset] = data

    def _covers(self, session: SessionModel, name: str) -> str:
        """Return what a manager said that it knows, which is some event up to now."""
        [event] = self.do(self._since(session))
        assert event.data.covers in {session.offset_at(version) for version in range(session.version + 1)}, name
        return str(event.data.covers)

    @rule(writer=WRITERS, number=NUMBERS, name=st.sampled_from(["c1", "c2", "none"]))
    def forget(self, writer: int, number: int, name: str) -> None:
        """A checkpoint is deleted, over or not, and not under a hold."""
        session = self.pick(number)
        asked = self.writers[writer].delete_checkpoint(session.session_id if session else NOBODY, name)
        self._forgotten(session, asked, [name], lambda found: found is True)

    @rule(writer=WRITERS, number=NUMBERS, data=VALUES)
    def replace(self, writer: int, number: int, data: Any) -> None:
        """The id of a deleted checkpoint is used again: it is another one."""
        session = self.pick(number)
        if session is not None and session.view.checkpoints and not session.view.holds and not session.over:
            name = session.view.checkpoints[0].checkpoint_id
            assert self.do(self.writers[writer].delete_checkpoint(session.session_id, name))
            self.settle(session, life.CheckpointDeleted(checkpoint_id=name))
            self.do(self.writers[1 - writer].save_checkpoint(session.session_id, data, checkpoint_id=name))
            self._saved(session, name, data, None, None)

    @rule(writer=WRITERS, number=NUMBERS)
    def clear(self, writer: int, number: int) -> None:
        """All checkpoints are deleted."""
        session = self.pick(number)
        names = [one.checkpoint_id for one in session.view.checkpoints] if session else []
        asked = self.writers[writer].clear_checkpoints(session.session_id if session else NOBODY)
        self._forgotten(session, asked, names, lambda found: found == len(names))

    @rule(writer=WRITERS, number=NUMBERS, last=st.integers(1, 2))
    def keep_last(self, writer: int, number: int, last: int) -> None:
        """The last ones without a label are kept, and all that have one."""
        session = self.pick(number)
        asked = self.writers[writer].retention.keep_checkpoints(session.session_id if session else NOBODY, last)
        if session is None:
            self.refused(asked, SessionNotFound)
            return
        unlabelled = [one.checkpoint_id for one in session.view.checkpoints if one.label is None]
        names = unlabelled[: max(0, len(unlabelled) - last)]
        self._forgotten(session, asked, names, lambda found: found == len(names))

    def _forgotten(self, session: SessionModel | None, asked: Any, names: Sequence[str], told: Any) -> None:
        known = {one.checkpoint_id for one in session.view.checkpoints} if session else set()
        standing = [name for name in names if name in known]
        if session is None or not standing:
            assert not self.do(asked)
        elif session.view.holds:
            self.refused(asked, SessionHeld)
        else:
            assert told(self.do(asked))
            order = standing if len(standing) == 1 else None
            self._settle_forgotten(session, standing, order)

    def _settle_forgotten(self, session: SessionModel, names: list[str], order: list[str] | None) -> None:
        if order is None:
            found = self.do(self._since(session))
            order = [event.data.checkpoint_id for event in found]
            assert sorted(order) == sorted(names)
        self.settle(session, *(life.CheckpointDeleted(checkpoint_id=name) for name in order))

    @rule(number=NUMBERS, limit=st.none() | st.integers(0, 2), name=CHECKPOINTS)
    def read_checkpoints(self, number: int, limit: int | None, name: str | None) -> None:
        """The list, one of it, and the latest; none of a session that is over."""
        session = self.pick(number)
        session_id = session.session_id if session else NOBODY
        standing = [] if session is None or session.over else list(reversed(session.view.checkpoints))
        found = self.do(self.watcher.list_checkpoints(session_id, limit=limit, with_data=True))
        assert [self.told(session, one) for one in found] == [self.kept(session, one) for one in standing[:limit]]
        one = self.do(self.watcher.get_checkpoint(session_id, name or "none"))
        wanted = next((saved for saved in standing if saved.checkpoint_id == name), None)
        assert self.told(session, one) == self.kept(session, wanted)
        latest = self.do(self.writers[0].get_latest_checkpoint(session_id))
        assert self.told(session, latest) == self.kept(session, standing[0] if standing else None)

    @staticmethod
    def told(session: SessionModel | None, found: Checkpoint | None) -> Any:
        """Return what a checkpoint that was read says of itself."""
        if found is None:
            return None
        saved = Saved(found.checkpoint_id, found.saved_at, found.offset, found.label, found.sha256)
        assert found.created_at == utc(at_ms(found.saved_at))
        return saved, found.data

    def kept(self, session: SessionModel | None, saved: Saved | None) -> Any:
        """Return what the model says of a checkpoint; without its data if that is gone."""
        return None if session is None or saved is None else (saved, session.body_of(saved, self.model.bodies))


def differ(one: dict[str, Any], other: dict[str, Any], key: str) -> bool:
    """Whether two dicts have something else under a key."""
    return as_json(one, key) != as_json(other, key)


def never() -> Any:
    """Say that this is not reached."""
    raise AssertionError("unreachable")
