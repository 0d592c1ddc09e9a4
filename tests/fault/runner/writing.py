"""Writers: tasks that do one thing after the other to sessions that all share, and note what they are told."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from sessionstream import (
    Appended,
    NoteAdded,
    OutcomeUnknown,
    SessionManager,
    SessionStreamError,
)
from tests.fault.runner.journal import Journal

__all__ = ["AGENT", "USERS", "Writer"]

AGENT = "agent"
USERS = ("user_0", "user_1", "user_2")

_TRIES = 4
_LEASE = 1.0


class Writer:
    """Does one thing after the other, chosen by dice, until it is told to stop.

    Every call has an id, by which its events can be told: the text of a note, the id of a checkpoint or of a session,
    the value of a metadata key.

    Args:
        manager: through which it works.
        journal: where it notes what it asks for, and what it is told.
        sessions: on which it works; those that it creates are added.
        dice: what it does next.
    """

    def __init__(self, manager: SessionManager, journal: Journal, sessions: list[str], dice: random.Random) -> None:
        self._manager = manager
        self._journal = journal
        self._sessions = sessions
        self._dice = dice
        self._known: dict[str, int] = {}
        self._deeds: Sequence[tuple[int, Callable[[str], Awaitable[None]]]] = (
            (30, self._plain),
            (12, self._batch),
            (16, self._expected),
            (14, self._with_key),
            (8, self._locked),
            (5, self._checkpoint),
            (4, self._metadata),
            (1, self._create),
            (10, self._read),
        )

    async def work(self, stop: asyncio.Event) -> None:
        """Go on until the event is set; what is under way then is completed."""
        weights = [weight for weight, _ in self._deeds]
        while not stop.is_set():
            deed = self._dice.choices(self._deeds, weights)[0][1]
            await deed(self._dice.choice(self._sessions))

    async def _told(
        self, call: Callable[[], Awaitable[Any]], session_id: str, texts: Sequence[str], tries: int = 1, **asked: object
    ) -> Any:
        """Make a call, note it and its answer, and return what it gave; None if it gave an error."""
        identifier = texts[0].partition(".")[0] if texts else self._journal.next_call()
        self._journal.note("asked", id=identifier, session=session_id, texts=texts, **asked)
        open_outcome = False
        for left in reversed(range(tries)):
            try:
                gave = await call()
            except SessionStreamError as error:
                open_outcome = open_outcome or isinstance(error, OutcomeUnknown)
                if open_outcome and left:
                    continue
                # What refuses a later try says nothing of an earlier one that nobody knows of.
                kind = "unknown" if open_outcome else "refused"
                self._journal.note(kind, id=identifier, error=type(error).__name__, says=str(error)[:200])
            except Exception as error:
                self._journal.note("foreign", id=identifier, error=repr(error)[:300])
            else:
                offsets, version = [], 0
                if isinstance(gave, Appended):
                    offsets, version = gave.offsets, gave.version
                    self._known[session_id] = max(version, self._known.get(session_id, 0))
                self._journal.note("acknowledged", id=identifier, offsets=offsets, version=version)
                return gave
            return None

    def _texts(self, count: int = 1) -> list[str]:
        identifier = self._journal.next_call()
        return [f"{identifier}.{number}" for number in range(count)]

    async def _append(self, session_id: str, count: int, *, tries: int = 1, token: int = 0, **options: Any) -> Any:
        texts = self._texts(count)
        notes = [NoteAdded(text=text) for text in texts]
        events = notes[0] if count == 1 and self._dice.random() < 0.5 else notes
        asked = {"expected": options.get("expected_version"), "token": token}
        asked["key"] = options.get("idempotency_key", "")
        return await self._told(
            lambda: self._manager.append(session_id, events, **options), session_id, texts, tries, **asked
        )

    async def _plain(self, session_id: str) -> None:
        await self._append(session_id, 1)

    async def _batch(self, session_id: str) -> None:
        await self._append(session_id, self._dice.randrange(2, 6))

    async def _expected(self, session_id: str) -> None:
        version = await self._read(session_id)
        if version:
            await self._append(session_id, self._dice.randrange(1, 3), expected_version=version)

    async def _with_key(self, session_id: str) -> None:
        """Ask again as long as nobody knows; and sometimes once more, for an answer that is known."""
        texts, key = self._texts(self._dice.randrange(1, 3)), f"key {self._dice.random()}"
        notes = [NoteAdded(text=text) for text in texts]

        async def append() -> Appended:
            return await self._manager.append(session_id, notes, idempotency_key=key)

        first = await self._told(append, session_id, texts, _TRIES, key=key)
        if first is not None and self._dice.random() < 0.3:
            try:
                again = await append()
            except SessionStreamError as error:
                self._journal.note("not again", session=session_id, error=type(error).__name__)
            else:
                self._journal.note("again", id=texts[0].partition(".")[0], offsets=again.offsets)

    async def _locked(self, session_id: str) -> None:
        try:
            async with self._manager.lock(session_id, timeout=2.0, lease=_LEASE) as lock:
                self._journal.note("locked", session=session_id, token=lock.token)
                for _ in range(self._dice.randrange(1, 3)):
                    await self._append(session_id, 1, token=lock.token)
        except SessionStreamError as error:
            self._journal.note("not locked", session=session_id, error=type(error).__name__, says=str(error)[:200])

    async def _checkpoint(self, session_id: str) -> None:
        [text] = self._texts()
        await self._told(
            lambda: self._manager.save_checkpoint(session_id, {"text": text}, checkpoint_id=text), session_id, [text]
        )

    async def _metadata(self, session_id: str) -> None:
        [text] = self._texts()
        name = f"m{self._dice.randrange(4)}"
        await self._told(
            lambda: self._manager.update_session_metadata(session_id, {name: text}), session_id, [text], name=name
        )

    async def _create(self, _: str) -> None:
        [text] = self._texts()
        user = self._dice.choice(USERS)
        created = await self._told(
            lambda: self._manager.create_session(user, AGENT, session_id=text, idempotency_key=text),
            text,
            [text],
            _TRIES,
        )
        if created is not None:
            self._sessions.append(text)

    async def _read(self, session_id: str) -> int:
        """Read a session, note its version and that which this writer knew of before, and return it."""
        known = self._known.get(session_id, 0)
        try:
            session = await self._manager.get_session(session_id)
        except SessionStreamError as error:
            self._journal.note("not read", session=session_id, error=type(error).__name__)
            return 0
        except Exception as error:
            self._journal.note("foreign", id="", error=repr(error)[:300])
            return 0
        version = session.version if session else 0
        self._journal.note("read", session=session_id, known=known, version=version)
        self._known[session_id] = max(known, version)
        return version
