"""A user's sessions: the methods of the manager that make sense for one user, on that user's sessions alone."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from types import EllipsisType
from typing import TYPE_CHECKING, Any, Unpack, cast

from sessionstream.audit import AsOf, Diff
from sessionstream.audit.moments import Moment
from sessionstream.checkpoints.reading import Resumed
from sessionstream.errors import SessionNotFound
from sessionstream.events.ids import checked_id
from sessionstream.events.recorded import RecordedEvent
from sessionstream.following import FollowOptions
from sessionstream.lifecycle import ending
from sessionstream.locks import Lock
from sessionstream.log.fencing import only_of
from sessionstream.log.request import Appended
from sessionstream.owned.following import OwnedFollower
from sessionstream.owned.ownership import Ownership
from sessionstream.session import Checkpoint, Session, SessionState

if TYPE_CHECKING:
    from sessionstream.manager import SessionManager

__all__ = ["UserSessions"]


class UserSessions:
    """The sessions of one user: what is called on a session of somebody else does as if there were no such session.

    The methods are those of the manager, with the same arguments but for the user. Each call asks first whose the
    session is, which is one more round trip, and calls that read ask once more afterwards.

    Args:
        manager: the manager, which stays open when the handle is dropped.
        user_id: whose sessions.

    Attributes:
        user_id: whose sessions they are.
    """

    def __init__(self, manager: object, user_id: str) -> None:
        self._manager = cast("SessionManager", manager)
        self._owned = Ownership(self._manager.store, user_id)
        self.user_id = user_id

    # Sessions

    async def create_session(
        self,
        agent_id: str,
        metadata: Mapping[str, Any] | None = None,
        *,
        ttl: float | EllipsisType | None = ...,
        idempotency_key: str | None = None,
    ) -> Session:
        """Begin a session of the user's, under an id that the store makes.

        Args:
            agent_id: with which agent.
            metadata: the caller's own facts about it.
            ttl: seconds until it expires, instead of the manager's; None does not expire.
            idempotency_key: the same key gives the same session again; other users' keys are others.
        """
        if idempotency_key is not None:
            checked_id(idempotency_key, "idempotency_key")
            # No two users share one, whatever is in their names and keys.
            of_user = f"{len(self.user_id)}:{self.user_id}:{idempotency_key}"
            idempotency_key = hashlib.sha256(of_user.encode()).hexdigest()
        return await self._manager.create_session(
            self.user_id, agent_id, metadata, ttl=ttl, idempotency_key=idempotency_key
        )

    async def get_session(self, session_id: str) -> Session | None:
        """Return a session; None if it is unknown, expired, deleted or somebody else's."""
        session = await self._manager.get_session(session_id)
        return session if session is not None and session.user_id == self.user_id else None

    async def session_exists(self, session_id: str) -> bool:
        """Whether `get_session` would give one."""
        return await self.get_session(session_id) is not None

    async def update_session_metadata(
        self, session_id: str, metadata: Mapping[str, Any] | None = None, *, unset: Iterable[str] = ()
    ) -> None:
        """Merge top-level keys into the metadata, and remove those in ``unset``."""
        await self._owned.write(
            session_id, lambda known: self._manager.update_session_metadata(known, metadata, unset=unset)
        )

    async def update_session(self, session_id: str, session: Session) -> Session:
        """Append the difference between what was read and what is given."""
        return await self._owned.write(session_id, lambda known: self._manager.update_session(known, session))

    async def refresh_session(self, session_id: str) -> bool:
        """Let the session's own time to live begin anew."""
        return await self._owned.write(session_id, self._manager.refresh_session)

    async def set_session_state(
        self, session_id: str, state: SessionState | str | Any, *, expected_version: int | None = None
    ) -> bool:
        """Change a session's state; False if it was in that state already."""
        return await self._owned.write(
            session_id,
            lambda known: self._manager.set_session_state(known, state, expected_version=expected_version),
        )

    async def get_session_state(self, session_id: str) -> SessionState | None:
        """Return a session's state; None for one that is unknown, deleted or somebody else's."""
        return await self._owned.read(session_id, self._manager.get_session_state)

    async def delete_session(self, session_id: str, *, purge: bool = False) -> bool:
        """End a session; False if there is none."""
        return await self._owned.write(session_id, lambda known: self._manager.delete_session(known, purge=purge))

    async def delete_sessions(self) -> int:
        """End all sessions of the user, and return how many."""
        ids = [session.session_id for session in await self.get_sessions()]
        with only_of(self.user_id):
            return await ending.delete_many(self._manager.store, ids)

    async def get_sessions(self, *, limit: int | None = None, after: Session | str | None = None) -> list[Session]:
        """Return the user's sessions, newest first: at most ``limit``, and only those older than ``after``."""
        asked_for = after.session_id if isinstance(after, Session) else after
        if asked_for is not None and await self._owned.life_of(asked_for) is None:
            after = await self._owned.known(asked_for) if isinstance(after, str) else after
        try:
            return await self._manager.get_sessions_by_user(self.user_id, limit=limit, after=after)
        except SessionNotFound:
            raise SessionNotFound(str(asked_for)) from None

    async def get_active_session_count(self) -> int:
        """Return how many of the user's sessions are ACTIVE and not expired."""
        return await self._manager.get_active_session_count(self.user_id)

    # Events

    async def append(self, session_id: str, events: Any, **options: Any) -> Appended:
        """Append one event or a list; the options are those of the manager's `append`."""
        return await self._owned.write(session_id, lambda known: self._manager.append(known, events, **options))

    async def add_messages(self, session_id: str, messages: Any, **options: Any) -> Appended:
        """Append one OpenAI-style message or several; the options are those of `append`."""
        return await self._owned.write(session_id, lambda known: self._manager.add_messages(known, messages, **options))

    async def messages(
        self, session_id: str, limit: int | None = None, before: str | None = None
    ) -> list[dict[str, Any]]:
        """Return the newest messages that were not retracted, oldest first."""
        return await self._owned.read(session_id, lambda known: self._manager.messages(known, limit, before))

    async def pop_messages(self, session_id: str, count: int = 1) -> list[dict[str, Any]]:
        """Retract the newest messages and return them, oldest first."""
        return await self._owned.write(session_id, lambda known: self._manager.pop_messages(known, count))

    def history(self, session_id: str, **options: Any) -> AsyncIterator[RecordedEvent]:
        """Yield a session's events; the options are those of the manager's `history`."""
        return self._owned.read_each(session_id, lambda known: self._manager.history(known, **options))

    def follow(self, session_id: str, **options: Unpack[FollowOptions]) -> OwnedFollower:
        """Give a session's events, then those that come, in a block; the options are those of `SessionFollower`."""
        return OwnedFollower(self._owned, session_id, lambda known: self._manager.follow(known, **options))

    async def publish(self, session_id: str, delta: Any) -> str:
        """Give something to those who follow a live session just now, and return its id."""
        return await self._owned.write(session_id, lambda known: self._manager.publish(known, delta))

    # Checkpoints

    async def save_checkpoint(
        self,
        session_id: str,
        data: Any,
        *,
        offset: str | None = None,
        label: str | None = None,
        checkpoint_id: str | None = None,
    ) -> str:
        """Save a snapshot of the agent's data, and return its id."""
        return await self._owned.write(
            session_id,
            lambda known: self._manager.save_checkpoint(
                known, data, offset=offset, label=label, checkpoint_id=checkpoint_id
            ),
        )

    async def get_latest_checkpoint(self, session_id: str) -> Checkpoint | None:
        """Return the latest checkpoint with its data; None if there is none."""
        return await self._owned.read(session_id, self._manager.get_latest_checkpoint)

    async def get_checkpoint(self, session_id: str, checkpoint_id: str) -> Checkpoint | None:
        """Return a checkpoint with its data; None if there is no such one."""
        return await self._owned.read(session_id, lambda known: self._manager.get_checkpoint(known, checkpoint_id))

    async def list_checkpoints(
        self, session_id: str, *, limit: int | None = None, after: str | None = None, with_data: bool = False
    ) -> list[Checkpoint]:
        """Return the checkpoints, newest first; with their data only if asked for."""
        return await self._owned.read(
            session_id,
            lambda known: self._manager.list_checkpoints(known, limit=limit, after=after, with_data=with_data),
        )

    async def delete_checkpoint(self, session_id: str, checkpoint_id: str) -> bool:
        """Delete a checkpoint; False if there is no such one."""
        return await self._owned.write(session_id, lambda known: self._manager.delete_checkpoint(known, checkpoint_id))

    async def clear_checkpoints(self, session_id: str) -> int:
        """Delete all checkpoints of a session, and return how many."""
        return await self._owned.write(session_id, self._manager.clear_checkpoints)

    async def resume(self, session_id: str) -> Resumed:
        """Return the latest checkpoint, the events after what it covers, and the new position."""
        return await self._owned.read(session_id, self._manager.resume)

    # Locks

    @asynccontextmanager
    async def lock(
        self, session_id: str, *, timeout: float = 10.0, lease: float = 10.0, max_hold: float = 300.0
    ) -> AsyncIterator[Lock]:
        """Hold a session's lock for a block; see the manager's `lock` for the arguments and errors."""
        known = await self._owned.known(session_id)
        try:
            async with self._manager.lock(known, timeout=timeout, lease=lease, max_hold=max_hold) as lock:
                if await self._owned.life_of(session_id) is None:
                    raise SessionNotFound(session_id)
                yield lock
        except SessionNotFound:
            if known == session_id:
                raise
            raise SessionNotFound(session_id) from None

    # Looking back

    async def as_of(
        self,
        session_id: str,
        at: Moment | None = None,
        *,
        offset: str | None = None,
        version: int | None = None,
        time: datetime | None = None,
    ) -> AsOf:
        """Return a session as it was known at a moment, which is given in exactly one way."""
        return await self._owned.read(
            session_id, lambda known: self._manager.audit.as_of(known, at, offset=offset, version=version, time=time)
        )

    async def diff(self, session_id: str, a: Moment, b: Moment) -> Diff:
        """Return what changed in a session between two moments, field by field, with the events that did it."""
        return await self._owned.read(session_id, lambda known: self._manager.audit.diff(known, a, b))
