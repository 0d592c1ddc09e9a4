"""Which events of all sessions a follower wants."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sessionstream.events.arguments import checked_list
from sessionstream.events.base import name_of
from sessionstream.events.ids import checked_id
from sessionstream.events.recorded import RecordedEvent
from sessionstream.feed.owners import Owners
from sessionstream.log.feed import Pointer

__all__ = ["Choice"]

ERASURE = "session.erased"


class Choice:
    """What is wanted; None of a kind is all of it.

    Args:
        types: of events, by name or by class.
        agents: their ids.
        users: their ids.
        sessions: their ids.

    Raises:
        InvalidType: or `InvalidArgument`: one of them is no list, or holds what is none of these.
    """

    def __init__(
        self,
        types: Iterable[str | type] | None,
        agents: Iterable[str] | None,
        users: Iterable[str] | None,
        sessions: Iterable[str] | None,
    ) -> None:
        named = None if types is None else checked_list(types, "types")
        self._types = None if named is None else {one if isinstance(one, str) else name_of(one) for one in named}
        self._agents = _ids(agents, "agents")
        self._users = _ids(users, "users")
        self._sessions = _ids(sessions, "sessions")

    def has_type(self, name: str) -> bool:
        """Whether events of a type are wanted."""
        return self._types is None or name in self._types

    def has_event(self, event: RecordedEvent, owners: Owners) -> bool:
        """Whether an event is wanted; of a session that nobody owns since it was erased, only that it was."""
        if self._users is not None and not owners.known(event.session_id).user_id and event.type != ERASURE:
            return False
        return self.has_type(event.type)

    async def of(self, pointers: Sequence[Pointer], owners: Owners) -> set[int]:
        """Return the numbers of the pointers that may tell of wanted events.

        Args:
            pointers: of one partition.
            owners: whose sessions are; only what is filtered by is asked for.
        """
        wanted = [one for one in pointers if self._sessions is None or one.session_id in self._sessions]
        if self._agents is not None or self._users is not None:
            await owners.learn(wanted)
            wanted = [one for one in wanted if self._wants_owner(one.session_id, owners)]
        return {one.number for one in wanted}

    def _wants_owner(self, session_id: str, owners: Owners) -> bool:
        user, agent = owners.known(session_id)
        is_users = self._users is None or user in self._users or (not user and agent != "")
        return (self._agents is None or agent in self._agents) and is_users


def _ids(given: Iterable[str] | None, name: str) -> frozenset[str] | None:
    if given is None:
        return None
    return frozenset(checked_id(one, f"an id in {name}") for one in checked_list(given, name))
