"""Whose a session is: asked before each call, and again where the answer may have become another one meanwhile.

A session's owner never changes, but its id can be used again: by the next session that is created under it after it was
removed, perhaps by somebody else. So a write carries the owner to the step that writes, and what was read is given out
only if it is still the same session afterwards. In place of a session of somebody else a call is made on an id that
nobody has: it does what it does for a session that is not there, and takes as long.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from sessionstream.errors import SessionNotFound
from sessionstream.events.ids import checked_id, new_session_id
from sessionstream.log.fencing import only_of
from sessionstream.log.store import Store

__all__ = ["Ownership"]

Result = TypeVar("Result")
_CHUNK = 100


class Ownership:
    """Knows which sessions are a user's.

    Args:
        store: where they are kept.
        user_id: the user.
    """

    def __init__(self, store: Store, user_id: str) -> None:
        self.store = store
        self.user_id = checked_id(user_id, "user_id")
        self._user = user_id.encode()

    async def life_of(self, session_id: str) -> bytes | None:
        """Return what tells a session of the user's from an earlier or later one with its id; None for any other."""
        head, _ = await self.store.head(session_id)
        return head.get(b"created_at", b"") if head.get(b"user_id") == self._user else None

    async def known(self, session_id: str) -> str:
        """Return the id if it is of a session of the user's, and else one that nobody has."""
        return session_id if await self.life_of(session_id) is not None else new_session_id()

    async def write(self, session_id: str, call: Callable[[str], Awaitable[Result]]) -> Result:
        """Return what a call gives that changes a session; it is refused in the step that writes, if need be."""
        with only_of(self.user_id, self.store.fence(checked_id(session_id, "session_id"))):
            return await _told_of(session_id, await self.known(session_id), call)

    async def read(self, session_id: str, call: Callable[[str], Awaitable[Result]]) -> Result:
        """Return what a call gives that reads a session; if it became another one meanwhile, as if it had been none."""
        life = await self.life_of(session_id)
        result = await _told_of(session_id, session_id if life is not None else new_session_id(), call)
        if life is None or await self.life_of(session_id) == life:
            return result
        return await _told_of(session_id, new_session_id(), call)

    async def read_each(self, session_id: str, call: Callable[[str], AsyncIterator[Result]]) -> AsyncIterator[Result]:
        """Yield what a call yields that reads a session.

        Raises:
            SessionNotFound: there is no such session of the user's, or not any more.
        """
        life = await self.life_of(session_id)
        chunk: list[Result] = []
        try:
            async for item in call(session_id if life is not None else new_session_id()):
                chunk.append(item)
                if len(chunk) == _CHUNK:
                    await self._require(session_id, life)
                    for one in chunk:
                        yield one
                    chunk = []
        except SessionNotFound:
            raise SessionNotFound(session_id) from None
        await self._require(session_id, life)
        for one in chunk:
            yield one

    async def _require(self, session_id: str, life: bytes | None) -> None:
        if life is not None and await self.life_of(session_id) != life:
            raise SessionNotFound(session_id)


async def _told_of(session_id: str, called: str, call: Callable[[str], Awaitable[Result]]) -> Result:
    """Return what a call gives; what it says of an id that nobody has is said of the one that was asked for."""
    try:
        return await call(called)
    except SessionNotFound:
        if called == session_id:
            raise
        raise SessionNotFound(session_id) from None
