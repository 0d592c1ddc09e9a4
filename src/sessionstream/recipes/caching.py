"""A session manager that answers repeated reads of a session from this process."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from sessionstream.errors import InvalidArgument, InvalidType
from sessionstream.events.ids import checked_id
from sessionstream.lifecycle.reading import Head, live_session, session_from
from sessionstream.manager import SessionManager
from sessionstream.recipes.invalidation import TrackedHeads, Tracking
from sessionstream.session import Session

__all__ = ["CachedSessionManager"]

Manager = TypeVar("Manager", bound="type[CachedSessionManager]")

_OF_ONE = (
    "add_messages",
    "append",
    "clear_checkpoints",
    "delete_checkpoint",
    "delete_session",
    "pop_messages",
    "refresh_session",
    "save_checkpoint",
    "set_session_state",
    "update_session",
    "update_session_metadata",
)
_OF_MANY = ("delete_agent_sessions", "delete_user_sessions", "erase_user", "rebuild")


def _forgetting_own_changes(cls: Manager) -> Manager:
    """Let every method that changes sessions forget what the cache has of them, before its caller goes on.

    The server's own message about the change comes on another connection, and so possibly later than the answer.
    """
    for name in _OF_ONE:
        setattr(cls, name, _forgetting_one(getattr(cls, name)))
    for name in _OF_MANY:
        setattr(cls, name, _forgetting_all(getattr(cls, name)))
    setattr(cls, "create_session", _forgetting_created(cls.create_session))  # noqa: B010 - as the others
    return cls


def _forgetting_one(change: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(change)
    async def changing(self: CachedSessionManager, session_id: str, *args: Any, **options: Any) -> Any:
        try:
            return await change(self, session_id, *args, **options)
        finally:
            self._forget(session_id)

    return changing


def _forgetting_all(change: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(change)
    async def changing(self: CachedSessionManager, *args: Any, **options: Any) -> Any:
        try:
            return await change(self, *args, **options)
        finally:
            self._forget(None)

    return changing


def _forgetting_created(create: Callable[..., Awaitable[Session]]) -> Callable[..., Awaitable[Session]]:
    @functools.wraps(create)
    async def creating(self: CachedSessionManager, *args: Any, **options: Any) -> Session:
        session = await create(self, *args, **options)
        self._forget(session.session_id)  # an id can be used again after a purge
        return session

    return creating


@_forgetting_own_changes
class CachedSessionManager(SessionManager):
    """A `SessionManager` whose `get_session` keeps the sessions that were read last.

    A hit waits for nobody and sends nothing, but that after ``reply_timeout`` seconds without a word from the server it
    asks whether the connection still stands. Every call returns a copy of its own. Own changes are seen at once, those
    of others when the server's message about them has come, which takes about as long as a reply; nothing is kept while
    the connection for those messages is down, on a Redis Cluster, or where the server's rules for this user forbid
    ``CLIENT TRACKING``.

    Args:
        args: those of `SessionManager`.
        cache_size: how many sessions to keep, for each event loop.
        kwargs: those of `SessionManager`.

    Raises:
        InvalidArgument: ``cache_size`` is below 1.
    """

    def __init__(self, *args: Any, cache_size: int = 100, **kwargs: Any) -> None:
        if isinstance(cache_size, bool) or not isinstance(cache_size, int):
            raise InvalidType(f"cache_size is an int, not a {type(cache_size).__name__}")
        if cache_size < 1:
            raise InvalidArgument(f"cache_size is {cache_size}, not 1 or more")
        super().__init__(*args, **kwargs)
        self._tracking = Tracking(self.store.server, cache_size, silence=self.settings.reply_timeout)

    async def get_session(self, session_id: str) -> Session | None:
        """Return a session; None if it is unknown, expired or deleted."""
        key = self.store.keys.head(checked_id(session_id, "session_id")).encode()
        tracked = await self._tracking.heads()
        if tracked is not None:
            if (known := await tracked.find(key)) is not None:
                return session_from(session_id, await self._opened(session_id, known))
            await self.store.check_readable()
            if (read := await self._read(tracked, session_id, key)) is not None:
                return live_session(session_id, await self._opened(session_id, read[0]), read[1])
        return await super().get_session(session_id)

    async def _opened(self, session_id: str, head: Head) -> Head:
        """Return a head in plain text: what is encrypted is kept as it came, since its key may be destroyed."""
        return head if self.store.encryption is None else await self.store.opened(session_id, dict(head))

    async def _read(self, tracked: TrackedHeads, session_id: str, key: bytes) -> tuple[Head, int] | None:
        events, commands = self.store.keys.events(session_id), self.store.keys.head_commands(session_id)
        return await tracked.read(session_id, key, events, commands)

    def _forget(self, session_id: str | None) -> None:
        try:
            key = None if session_id is None else self.store.keys.head(session_id).encode()
        except (AttributeError, UnicodeEncodeError):  # no id at all: the method itself says so
            key = None
        self._tracking.forget(key)

    async def aclose(self) -> None:
        """Close the connections of the running event loop, and let the embedded server go."""
        await self._tracking.aclose()
        await super().aclose()
