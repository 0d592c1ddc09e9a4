"""Whose a session is, remembered: what a filter over all sessions needs to know of each."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from sessionstream.events.recorded import version_of
from sessionstream.log.feed import Pointer
from sessionstream.log.store import Store

__all__ = ["NOBODY", "Owner", "Owners"]

_MOST = 10_000


class Owner(NamedTuple):
    """Whose a session is.

    Attributes:
        user_id: of which user.
        agent_id: with which agent.
    """

    user_id: str
    agent_id: str


NOBODY = Owner("", "")
"""Of a session that is gone, and was not asked for before."""


class Owners:
    """The owners of the sessions that were asked for last; a session's never change.

    Args:
        store: where the sessions are kept.
        most: how many are remembered.
    """

    def __init__(self, store: Store, most: int = _MOST) -> None:
        self._store = store
        self._most = most
        self._known: OrderedDict[str, Owner] = OrderedDict()

    def known(self, session_id: str) -> Owner:
        """Return what is remembered; `NOBODY` where that is nothing."""
        return self._known.get(session_id, NOBODY)

    async def learn(self, pointers: Sequence[Pointer]) -> None:
        """Ask for the owners of the sessions of pointers, as far as they are not remembered, in one round trip.

        Where a session begins, its id may have been that of another one, so that is asked for anew.
        """
        for pointer in pointers:
            if pointer.events and version_of(pointer.offset) == pointer.events:
                self._known.pop(pointer.session_id, None)
        asked = []
        for session_id in dict.fromkeys(pointer.session_id for pointer in pointers):
            if session_id in self._known:
                self._known.move_to_end(session_id)
            else:
                asked.append(session_id)
        if not asked:
            return
        commands = [("HMGET", self._store.keys.head(one), "user_id", "agent_id") for one in asked]
        for session_id, (user, agent) in zip(asked, await self._store.server.calls(commands), strict=True):
            if user is not None and agent is not None:
                self._known[session_id] = Owner(user.decode(), agent.decode())
        # Those of this call are in use: they stay, however many they are.
        for _ in range(len(self._known) - max(self._most, len(asked))):
            self._known.popitem(last=False)
