"""Steps that disturb: several writers at once, locks that are lost, a server that ends, views made anew."""

from __future__ import annotations

import asyncio
from typing import Any

import hypothesis.strategies as st
from hypothesis.stateful import precondition, rule

from sessionstream import NoteAdded, SessionManager
from sessionstream.errors import (
    CheckpointExists,
    ConflictError,
    LockLost,
    LockReentered,
    LockTimeout,
    SessionExists,
    SessionStreamError,
)
from sessionstream.events import lifecycle as life
from tests.model.beside import Beside
from tests.model.machine import IDS, NOBODY, NUMBERS, TEXTS
from tests.model.plain import SessionModel
from tests.sessions.waiting import until

__all__ = ["Disturbed"]


class Disturbed(Beside):
    """What several do at once, and what happens to the server."""

    def __init__(self) -> None:
        super().__init__()
        self.restarts = 0

    # The server

    @precondition(lambda self: self.restarts == 0)
    @rule(killed=st.booleans())
    def restart(self, killed: bool) -> None:
        """Everything is there again when the server is."""
        self.restarts += 1
        if killed:
            self.server.kill()
            self.server.start()
        else:
            self.server.restart()

    @rule()
    def forget_scripts(self) -> None:
        """A server that lost its scripts is given them again."""
        self.do(self.client.script_flush())

    @rule(number=NUMBERS)
    def rebuild(self, number: int) -> None:
        """G8: views are made anew, of one session or of all; the same ones."""
        session = self.pick(number)
        archive = self.folder if any(one.trimmed for one in self.model.sessions.values()) else None
        self.do(self.writers[0].rebuild(session.session_id if session else None, archive=archive))

    # Several at once

    async def together(self, *asked: Any) -> list[Any]:
        """Return what calls that are made at once give, or the errors that refuse them."""
        found = await asyncio.gather(*asked, return_exceptions=True)
        for one in found:
            assert not isinstance(one, BaseException) or isinstance(one, SessionStreamError), one
        return found

    def writable(self, number: int) -> SessionModel | None:
        """Return a session that takes runtime events, or none."""
        session = self.pick(number)
        return None if self.refusal(session, runtime=True) is not None else session

    @rule(number=NUMBERS, count=st.integers(2, 4))
    def race_for_a_version(self, number: int, count: int) -> None:
        """G6: of several that expect the same version one succeeds."""
        session = self.writable(number)
        if session is None:
            return
        notes = [NoteAdded(text=str(at)) for at in range(count)]
        found = self.do(
            self.together(
                *(
                    self.writers[at % 2].append(session.session_id, note, expected_version=session.version)
                    for at, note in enumerate(notes)
                )
            )
        )
        won = [at for at, one in enumerate(found) if not isinstance(one, SessionStreamError)]
        assert len(won) == 1
        assert all(type(one) is ConflictError for at, one in enumerate(found) if at not in won)
        self.settle(session, notes[won[0]])

    @rule(number=NUMBERS, texts=st.lists(TEXTS, min_size=2, max_size=4))
    def race_to_append(self, number: int, texts: list[str]) -> None:
        """G1: of several writers at once, each one's events are in the order of its calls."""
        session = self.writable(number)
        if session is None:
            return
        first = [NoteAdded(text=text) for text in texts]
        second = [NoteAdded(text="other " + text) for text in texts]
        change = life.MetadataUpdated(set={"a": texts})
        asked = [self.writers[0].append(session.session_id, note) for note in first]
        asked += [self.writers[1].append(session.session_id, note) for note in second]
        merged = self.watcher.update_session_metadata(session.session_id, {"a": texts})
        found = self.do(self.together(*asked, merged))
        assert not any(isinstance(one, SessionStreamError) for one in found)
        self.settle_in_any_order(session, first, second, [change])

    @rule(number=NUMBERS, text=TEXTS)
    def race_with_one_key(self, number: int, text: str) -> None:
        """G4: of several with the same key one is appended, and all are told the same."""
        session = self.writable(number)
        key = "race " + text
        if session is None or key in session.keys:
            return
        note, calls = NoteAdded(text=text), [manager.append for manager in (*self.writers, self.watcher)]
        found = self.do(self.together(*(call(session.session_id, note, idempotency_key=key) for call in calls)))
        assert sorted(one.duplicate for one in found) == [False, True, True]
        self.settle(session, note)
        assert {one.offset for one in found} == {session.offset}
        session.keys[key] = ([note], session.offset, self.known)

    @rule(session_id=IDS)
    def race_to_create(self, session_id: str) -> None:
        """G12: of several that create the same session one does."""
        if session_id in self.model.sessions:
            return
        calls = [manager.create_session("u", "agent", session_id=session_id) for manager in (self.writers[0],) * 2]
        found = self.do(self.together(*calls))
        assert sorted(isinstance(one, SessionExists) for one in found) == [False, True]
        self.begun(session_id, life.SessionCreated(user_id="u", agent_id="agent"))

    @rule(number=NUMBERS)
    def race_to_save(self, number: int) -> None:
        """G15: of several checkpoints of one id one is saved."""
        session = self.pick(number)
        name = f"race {session.version if session else 0}"
        if session is None or session.over:
            return
        calls = [one.save_checkpoint(session.session_id, {"a": 1}, checkpoint_id=name) for one in self.writers]
        found = self.do(self.together(*calls))
        assert sorted(isinstance(one, CheckpointExists) for one in found) == [False, True]
        self._saved(session, name, {"a": 1}, None, None)

    @rule(number=NUMBERS)
    def race_to_delete(self, number: int) -> None:
        """G12: of several that delete a session one does."""
        session = self.pick(number)
        if session is None or session.over or session.view.holds:
            return
        found = self.do(self.together(*(one.delete_session(session.session_id) for one in self.writers)))
        assert sorted(found) == [False, True]
        self.settle(session, self.deleted(session))

    # Locks

    @rule(number=NUMBERS, text=TEXTS)
    def lock(self, number: int, text: str) -> None:
        """G16: one task has the lock at a time, and writes under a token that is greater than all before it."""
        session = self.pick(number)
        if (refusal := self.refusal(session)) is not None or session is None:
            session_id = session.session_id if session else NOBODY
            self.refused(self.writers[0].acquire_lock(session_id, timeout=0), *([refusal] if refusal else []))
            return
        session.token = self.do(self._lock(session, text))
        self.settle(session, life.MetadataUpdated(set={"b": text}))

    async def _lock(self, session: SessionModel, text: str) -> int:
        manager, session_id = self.writers[0], session.session_id
        async with manager.lock(session_id, timeout=0) as lock:
            assert lock.token == session.token + 1
            assert await _error_of(manager.acquire_lock(session_id, timeout=0)) is LockReentered
            other = asyncio.create_task(_error_of(self.writers[1].acquire_lock(session_id, timeout=0)))
            assert await other is LockTimeout
            await manager.update_session_metadata(session_id, {"b": text})
        return lock.token

    @rule(number=NUMBERS)
    def lose_the_lock(self, number: int) -> None:
        """G16: who lost the lock writes nothing more under it."""
        session = self.pick(number)
        if session is not None and not session.over:
            session.token = self.do(self._lose(session.session_id, session.token))
            self.settle(session, life.MetadataUpdated(set={"b": "successor"}))

    async def _lose(self, session_id: str, before: int) -> int:
        first = await self.writers[0].acquire_lock(session_id, timeout=0, lease=0.01, max_hold=0)
        assert first.token == before + 1
        token: int = await asyncio.create_task(_take_over(self.writers[1], session_id))
        assert token == first.token + 1
        await until(lambda: first.lost)
        assert await _error_of(self.writers[0].update_session_metadata(session_id, {"b": "late"})) is LockLost
        assert await _error_of(self.writers[0].release_lock(session_id, first)) is LockLost
        return token


async def _take_over(manager: SessionManager, session_id: str) -> int:
    async with manager.lock(session_id, timeout=5.0) as lock:
        await manager.update_session_metadata(session_id, {"b": "successor"})
    return lock.token


async def _error_of(asked: Any) -> type[BaseException] | None:
    try:
        await asked
    except SessionStreamError as error:
        return type(error)
    return None
