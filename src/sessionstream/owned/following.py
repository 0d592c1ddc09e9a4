"""Following a session of one user."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

from sessionstream.errors import SessionNotFound
from sessionstream.events.recorded import RecordedEvent
from sessionstream.following import Delta, SessionFollower
from sessionstream.following.follower import CaughtUp
from sessionstream.owned.ownership import Ownership

__all__ = ["OwnedFollower"]


class OwnedFollower:
    """Gives what `SessionFollower` gives, of a session of one user; anybody else's is not found when it is entered.

    Args:
        ownership: which sessions are the user's.
        session_id: the session.
        follow: makes the follower of an id.
    """

    def __init__(self, ownership: Ownership, session_id: str, follow: Callable[[str], SessionFollower]) -> None:
        self.session_id = session_id
        self._ownership = ownership
        self._follow = follow
        # Made at once, so that what is malformed is told at once.
        self._follower = follow(session_id)
        self._life: bytes | None = None
        self._begun = False

    @property
    def offset(self) -> str:
        """Of the last event that was given; before that, of the one behind which it began."""
        return self._follower.offset

    @property
    def caught_up(self) -> CaughtUp:
        """Whether all that there was has been given."""
        return self._follower.caught_up

    async def __aenter__(self) -> Self:
        self._life = await self._ownership.life_of(self.session_id)
        if self._life is None:
            self._follower = self._follow(await self._ownership.known(self.session_id))
        try:
            await self._follower.__aenter__()
        except SessionNotFound:
            raise SessionNotFound(self.session_id) from None
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._follower.__aexit__(kind, error, trace)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> RecordedEvent | Delta:
        item = await anext(self._follower)
        # The follower sees by the versions that events go on where they were. Where it begins it cannot see that, nor
        # of a delta that is not of the last event that it gave.
        if not self._begun or (isinstance(item, Delta) and item.offset != self.offset):
            if await self._ownership.life_of(self.session_id) != self._life:
                raise SessionNotFound(self.session_id)
            self._begun = True
        return item
