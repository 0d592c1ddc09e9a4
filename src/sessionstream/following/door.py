"""What the manager follows with: one hub for all followers of a store, and what they share."""

from __future__ import annotations

from typing import Unpack

from sessionstream.feed.hub import Hub
from sessionstream.following.everything import FeedFollower, FollowAllOptions
from sessionstream.following.owners import Owners
from sessionstream.following.session import FollowOptions, SessionFollower
from sessionstream.log.store import Store

__all__ = ["Following"]


class Following:
    """The followers of a store.

    Args:
        store: the namespace.
        hub: what wakes them.
    """

    def __init__(self, store: Store, hub: Hub) -> None:
        self._store = store
        self._hub = hub
        self._owners = Owners(store)

    def session(self, session_id: str, **options: Unpack[FollowOptions]) -> SessionFollower:
        """Return a follower of one session; the options are those of `SessionFollower`."""
        return SessionFollower(self._store, self._hub, session_id, **options)

    def all(self, **options: Unpack[FollowAllOptions]) -> FeedFollower:
        """Return a follower of all sessions; the options are those of `FeedFollower`."""
        return FeedFollower(self._store, self._hub, self._owners, **options)
