"""Reading the seals of a session, page by page."""

from __future__ import annotations

from sessionstream.log.store import Store

__all__ = ["SealReader"]

_PAGE = 64


class SealReader:
    """Gives a session's seals in their order, as they are kept.

    Args:
        store: where the session is kept.
        session_id: the session.
        there: how many there are; what is added later is not given.
    """

    def __init__(self, store: Store, session_id: str, there: int) -> None:
        self._store = store
        self._key = store.keys.seals(session_id)
        self._there = there
        self._read = 0
        self._page: list[bytes] = []

    async def next(self) -> bytes | None:
        """Return the next one, or None behind the last."""
        if not self._page and self._read < self._there:
            last = min(self._read + _PAGE, self._there) - 1
            self._page = list(await self._store.server.call("LRANGE", self._key, self._read, last))[::-1]
            self._read = last + 1
        return self._page.pop() if self._page else None
