"""A ledger of what was asked and what was answered, to be held against what the server has in the end."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis

from sessionstream import Appended, NoteAdded, OutcomeUnknown, SessionManager, SessionStreamError
from sessionstream.log.feed import pointers_of
from tests.keys import assert_no_ownerless_keys

__all__ = ["Ledger"]


class Ledger:
    """Appends notes to one session and keeps account of the answers.

    Args:
        session_id: the session, which has one event.

    Attributes:
        acknowledged: the result of every append that succeeded, by its text.
        errors: the error of every other one, by its text.
    """

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        self.acknowledged: dict[str, Appended] = {}
        self.errors: dict[str, SessionStreamError] = {}

    async def append(self, manager: SessionManager, text: str, **options: Any) -> Appended | SessionStreamError:
        """Append a note; an error that is none of the library's goes through."""
        try:
            appended = await manager.append(self.session_id, NoteAdded(text=text), **options)
        except SessionStreamError as error:
            self.errors[text] = error
            return error
        self.errors.pop(text, None)
        self.acknowledged[text] = appended
        return appended

    async def balance(self, manager: SessionManager) -> list[str]:
        """Compare with the stream, and return the texts in their order.

        What was acknowledged is there once, at the offset that was told; what is unknown is there once or not at all;
        what was refused is not there. Versions have no gap, and head, feed and views tell of the same events.
        """
        events = [event async for event in manager.history(self.session_id)]
        assert [event.version for event in events] == list(range(1, len(events) + 1))
        stored = {event.offset: event.data.text for event in events if isinstance(event.data, NoteAdded)}
        texts = list(stored.values())
        assert len(set(texts)) == len(texts), "an event was appended twice"
        for text, appended in self.acknowledged.items():
            assert stored.get(appended.offset) == text, f"{text} is not at the offset that was told"
        refused = {text for text, error in self.errors.items() if not isinstance(error, OutcomeUnknown)}
        assert refused.isdisjoint(texts), "a refused event was appended all the same"
        session = await manager.get_session(self.session_id)
        assert session is not None
        assert session.version == len(events)
        await self._balance_feed(manager, [event.offset for event in events])
        return texts

    async def _balance_feed(self, manager: SessionManager, offsets: list[str]) -> None:
        keys = manager.store.keys
        entries = await manager.store.server.call("XRANGE", keys.feed(keys.partition(self.session_id)), "-", "+")
        pointers = [pointer for entry in entries for pointer in pointers_of(entry)]
        assert [pointer.number for pointer in pointers] == list(range(1, len(pointers) + 1))
        pointed: list[str] = []
        for pointer in pointers:
            if pointer.session_id == self.session_id:
                ms, last = pointer.offset.split("-")
                pointed += [f"{ms}-{version}" for version in range(int(last) - pointer.events + 1, int(last) + 1)]
        assert pointed == offsets, "the feed tells of other events than the stream"

    async def balance_keys(self, url: str, namespace: str) -> None:
        """Compare the keys of a server of the test's own."""
        async with Redis.from_url(url) as client:
            await assert_no_ownerless_keys(client, namespace)
