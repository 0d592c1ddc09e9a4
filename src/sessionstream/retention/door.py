"""What hangs on `SessionManager.retention`: every method delegates to the module that does it."""

from __future__ import annotations

from sessionstream.log.store import Store
from sessionstream.retention import holds as holding
from sessionstream.retention.holds import Hold

__all__ = ["Retention"]


class Retention:
    """The door to what is kept.

    Args:
        store: the namespace.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def hold(self, session_id: str, reason: str, *, hold_id: str | None = None) -> str:
        """Keep all of a session until the hold is released, whatever asks for its removal; return the hold's id.

        Args:
            session_id: the session, ended or not.
            reason: why, in up to 1,000 characters.
            hold_id: the caller's own id for the hold, with which it may be placed again; otherwise a new one.

        Raises:
            SessionNotFound: there is no such session.
            InvalidArgument: a hold of this id stands for another reason.
        """
        return await holding.hold(self._store, session_id, reason, hold_id)

    async def release(self, session_id: str, hold_id: str) -> bool:
        """Release a hold; False if no such hold stands. The others go on standing."""
        return await holding.release(self._store, session_id, hold_id)

    async def holds(self, session_id: str | None = None) -> list[Hold]:
        """Return the holds that stand on a session, or on all; the oldest first."""
        if session_id is None:
            return await holding.holds_of_all(self._store)
        return await holding.holds_of(self._store, session_id)
