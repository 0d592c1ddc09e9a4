"""Steps of what happens in a session: appended on conditions, once, together; messages added and taken back."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import msgspec
from hypothesis.stateful import precondition, rule

from sessionstream import Appended, MessageAdded, MessageRetracted, NoteAdded, ToolCalled
from sessionstream.errors import ConflictError, HistoryTrimmed, IdempotencyConflict, SessionNotFound
from tests.model.lives import Lives
from tests.model.machine import NOBODY, NUMBERS, TEXTS, VALUES, WRITERS
from tests.model.plain import SessionModel, conversation
from tests.model.told import Told, declare

__all__ = ["EVENTS", "Talking"]

EVENTS = st.one_of(
    st.builds(MessageAdded, role=st.sampled_from(["user", "assistant"]), content=TEXTS),
    st.builds(NoteAdded, text=TEXTS, detail=VALUES),
    st.builds(ToolCalled, name=TEXTS, arguments=VALUES),
    st.builds(Told, TEXTS),
)
BATCHES = st.lists(EVENTS, min_size=1, max_size=3)


class Talking(Lives):
    """Events that are appended to sessions."""

    @rule(writer=WRITERS, number=NUMBERS, events=BATCHES, behind=st.none() | st.integers(0, 1))
    def append(self, writer: int, number: int, events: list[Any], behind: int | None) -> None:
        """G2, G6: all of them, on the version that is expected, or none."""
        session = self.pick(number)
        expected = None if session is None or behind is None else session.version - behind
        session_id = session.session_id if session else NOBODY
        asked = self.writers[writer].append(session_id, self.events(*events), expected_version=expected)
        runtime = session is not None and session.view.state == "archived"
        refusal = self.refusal(session, runtime=runtime)
        if refusal is None and session is not None and expected not in (None, session.version):
            refusal = ConflictError
        if refusal is not None:
            self.refused(asked, refusal)
        elif session is not None:
            appended = self.do(asked)
            self.settle(session, *events)
            assert not appended.duplicate
            assert appended.offsets == [one.offset for one in session.events[-len(events) :]]

    @rule(writer=WRITERS, number=NUMBERS, key=st.sampled_from(["k", "ключ"]), events=BATCHES)
    def append_once(self, writer: int, number: int, key: str, events: list[Any]) -> None:
        """G4: the same events under the same key are appended once, and other events are refused."""
        session = self.pick(number)
        if session is not None:
            self._append_once(session, key, events, writer)

    @rule(writer=WRITERS, number=NUMBERS, key=st.sampled_from(["k", "ключ"]))
    def append_again(self, writer: int, number: int, key: str) -> None:
        """G4: however long after, and whatever became of the session."""
        session = self.pick(number)
        if session is not None and key in session.keys:
            self._append_once(session, key, session.keys[key][0], writer)

    def _append_once(self, session: SessionModel, key: str, events: list[Any], writer: int) -> None:
        made = self.events(*events)
        asked = self.writers[writer].append(session.session_id, made, idempotency_key=key)
        if key in session.keys:
            before, offset, version = session.keys[key]
            if self._is_repeat(before, events, version):
                appended: Appended = self.do(asked)
                assert (appended.duplicate, appended.offset, appended.count) == (True, offset, len(before))
            else:
                self.refused(asked, IdempotencyConflict)
        elif (refusal := self.refusal(session, runtime=True)) is not None:
            self.refused(asked, refusal)
        else:
            assert not self.do(asked).duplicate
            self.settle(session, *events)
            session.keys[key] = (events, session.offset, self.known)

    def _is_repeat(self, before: list[Any], events: list[Any], version: int) -> bool:
        told = any(isinstance(event, Told) for event in events)
        # 1, 1.0 and True are equal, and are not the same events.
        same = msgspec.json.encode(before, order="sorted") == msgspec.json.encode(events, order="sorted")
        return same and [*map(type, before)] == [*map(type, events)] and (version == self.known or not told)

    @precondition(lambda self: self.known == 1)
    @rule()
    def upcast(self) -> None:
        """G9: a type has a later version from now on; what is stored is read through its upcaster."""
        self.known = 2
        declare(2)

    @rule(writer=WRITERS, number=NUMBERS, texts=st.lists(TEXTS, min_size=1, max_size=3))
    def say(self, writer: int, number: int, texts: list[str]) -> None:
        """Chat messages are events of their own."""
        session = self.pick(number)
        said = [{"role": "user", "content": text} for text in texts]
        asked = self.writers[writer].add_messages(session.session_id if session else NOBODY, said)
        if (refusal := self.refusal(session, runtime=True)) is not None:
            self.refused(asked, refusal)
        elif session is not None:
            self.do(asked)
            self.settle(session, *(MessageAdded(role="user", content=text) for text in texts))

    @rule(writer=WRITERS, number=NUMBERS, count=st.integers(0, 3))
    def take_back(self, writer: int, number: int, count: int) -> None:
        """The newest messages leave the conversation, and are returned."""
        session = self.pick(number)
        asked = self.writers[writer].pop_messages(session.session_id if session else NOBODY, count)
        if session is None:
            self.refused(asked, SessionNotFound)
            return
        newest = conversation(session.past)[-count:] if count else []
        refusal = self.refusal(session, runtime=True) if newest else None
        found = self.attempt(asked)
        if isinstance(found, HistoryTrimmed):
            assert self.lacks_past(session)
        elif refusal is not None:
            assert type(found) is refusal
        else:
            assert found == [one.event.message() for one in newest]
            self.settle(session, *(MessageRetracted(offset=one.offset) for one in newest))

    def lacks_past(self, session: SessionModel) -> bool:
        """Whether some of what had happened up to now is in the streams no more."""
        lives = self.model.sessions
        kept = all(lives.get(one.session_id) is one and not one.trimmed for one in session.origins)
        return session.trimmed > 0 or not kept

    @rule(number=NUMBERS, limit=st.none() | st.integers(0, 3), back=st.none() | st.integers(0, 4))
    def read_messages(self, number: int, limit: int | None, back: int | None) -> None:
        """G14: the conversation as it stands, or as it was in front of an event; over or not."""
        session = self.pick(number)
        if session is None:
            self.refused(self.watcher.messages(NOBODY, 1), SessionNotFound)
            return
        version = session.version if back is None else max(1, session.version - back)
        before = None if back is None else session.offset_at(version)
        past = session.past if back is None else session.past_at(version - 1)
        wanted = conversation(past)
        wanted = wanted if limit is None else wanted[len(wanted) - limit :] if limit < len(wanted) else wanted
        found = self.attempt(self.watcher.messages(session.session_id, limit, before))
        if isinstance(found, HistoryTrimmed):
            assert self.lacks_past(session)
        else:
            assert found == [one.event.message() for one in wanted]

    @rule(number=NUMBERS, first=st.integers(0, 5), count=st.integers(1, 5), backward=st.booleans())
    def read_history(self, number: int, first: int, count: int, backward: bool) -> None:
        """G1: a stretch of the history, by offset and limit, in both directions."""
        session = self.pick(number)
        if session is None:
            return
        low = max(first, session.trimmed)
        kept = session.events[low:]
        wanted = (kept[::-1] if backward else kept)[:count]
        after = session.offset_at(low) if low <= session.version else f"{2**60}-0"
        found = self.do(self._history(session.session_id, after=after, limit=count, backward=backward))
        assert [event.offset for event in found] == [one.offset for one in wanted]

    async def _history(self, session_id: str, **window: Any) -> list[Any]:
        return [event async for event in self.watcher.history(session_id, **window)]
