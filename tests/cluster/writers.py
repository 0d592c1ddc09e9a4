"""Writers that go on appending while a Cluster changes, and the account of what they were told."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sessionstream import NoteAdded, OutcomeUnknown, SessionManager, SessionStreamError

__all__ = ["Writers"]


class Writers:
    """Tasks that append numbered notes to sessions of their own, one after the other, and to one that all share.

    Args:
        manager: through which they write.

    Attributes:
        acknowledged: every note that was acknowledged, by its text, with its session and offset.
        unknown: the notes of which nobody knows.
        refused: those that were not appended, with the error.
    """

    def __init__(self, manager: SessionManager) -> None:
        self._manager = manager
        self.sessions: list[str] = []
        self.acknowledged: dict[str, tuple[str, str]] = {}
        self.unknown: set[str] = set()
        self.refused: dict[str, SessionStreamError] = {}
        self._written: Counter[int] = Counter()

    async def prepare(self, sessions: int = 24) -> None:
        """Create the sessions."""
        created = await asyncio.gather(*(self._manager.create_session("u", "a") for _ in range(sessions)))
        self.sessions = [session.session_id for session in created]

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Write during the block; at its end each writer finishes what it is at."""
        stop = asyncio.Event()
        shared = self.sessions[0]
        tasks = [
            asyncio.create_task(self._write(stop, number, [session_id, session_id, shared]))
            for number, session_id in enumerate(self.sessions)
        ]
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*tasks)

    async def progress(self, count: int = 200) -> None:
        """Return when so many further notes have been acknowledged."""
        wanted = len(self.acknowledged) + count
        async with asyncio.timeout(60):
            while len(self.acknowledged) < wanted:
                await asyncio.sleep(0.005)

    async def _write(self, stop: asyncio.Event, writer: int, sessions: list[str]) -> None:
        while not stop.is_set():
            number = self._written[writer]
            self._written[writer] += 1
            session_id = sessions[number % len(sessions)]
            text = f"{writer}.{number}"
            try:
                appended = await self._manager.append(session_id, NoteAdded(text=text))
            except OutcomeUnknown:
                self.unknown.add(text)
            except SessionStreamError as error:
                self.refused[text] = error
            else:
                self.acknowledged[text] = (session_id, appended.offset)

    async def balance(self, manager: SessionManager) -> int:
        """Read every stream, and return how many acknowledged notes are lost.

        No note is there twice, none that was refused is there, versions have no gap, each writer's notes are in their
        order, and what is kept of what was acknowledged is at the offset that was told.
        """
        texts: Counter[str] = Counter()
        offsets: dict[str, tuple[str, str]] = {}
        for session_id in self.sessions:
            events = [event async for event in manager.history(session_id)]
            assert [event.version for event in events] == list(range(1, len(events) + 1))
            notes = [(event.data.text, event.offset) for event in events if isinstance(event.data, NoteAdded)]
            texts.update(text for text, _ in notes)
            offsets |= {text: (session_id, offset) for text, offset in notes}
            by_writer: dict[str, list[int]] = {}
            for text, _ in notes:
                writer, _, number = text.partition(".")
                by_writer.setdefault(writer, []).append(int(number))
            assert all(numbers == sorted(numbers) for numbers in by_writer.values())
            session = await manager.get_session(session_id)
            assert session is not None
            assert session.version == len(events)
        assert [text for text, count in texts.items() if count > 1] == []
        assert [text for text in self.refused if text in texts] == []
        lost = [text for text in self.acknowledged if text not in texts]
        moved = [text for text, place in self.acknowledged.items() if text in texts and offsets[text] != place]
        assert lost or not moved, f"not at the offset that was told: {moved[:3]}"
        return len(lost)
