"""Reading a sorted set page by page while it changes."""

from __future__ import annotations

from collections.abc import AsyncIterator

from sessionstream.log.store import Store

__all__ = ["pages_of"]

_PAGE = 200


async def pages_of(store: Store, key: str, lowest: str, highest: str = "+inf") -> AsyncIterator[list[str]]:
    """Yield a sorted set's members in pages, lowest score first; what stays where it is comes once."""
    run: dict[bytes, None] = {}
    while True:
        # A page begins with the score where the one before ended. Of that score one page of what was seen is read once
        # more, since what was removed meanwhile has moved the rest up.
        passed = max(0, len(run) - _PAGE)
        size = _PAGE + len(run) - passed
        page = await store.server.call("ZRANGE", key, lowest, highest, "BYSCORE", "LIMIT", passed, size, "WITHSCORES")
        entries = list(zip(page[::2], page[1::2], strict=True))
        fresh = [member for member, _ in entries if member not in run]
        if not fresh:
            return
        # Whoever put something else there is not to end the reading of all others.
        yield [member.decode(errors="replace") for member in fresh]
        if len(entries) < size:
            return
        last = entries[-1][1]
        if entries[0][1] != last:
            run = {}
        run.update(dict.fromkeys(member for member, score in entries if score == last))
        lowest = last.decode()
