"""The door: a session store on one server; every method delegates to the room that does it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from types import EllipsisType
from typing import TYPE_CHECKING, Any, Unpack

from sessionstream.checkpoints import reading as checkpoint_reading
from sessionstream.checkpoints import saving as checkpoint_saving
from sessionstream.checkpoints.reading import Resumed
from sessionstream.conversation import messages as conversation
from sessionstream.directory import counting, listing
from sessionstream.directory.users import sessions_of_user
from sessionstream.events.base import types_by_class
from sessionstream.events.recorded import RecordedEvent
from sessionstream.lifecycle import changing, cleaning, creating, ending, reading
from sessionstream.locks import Lock, Locks
from sessionstream.log.history import Window, read_history
from sessionstream.log.request import Appended
from sessionstream.opening import Opened
from sessionstream.projection import Projection
from sessionstream.rebuild import Rebuilt, rebuild_views
from sessionstream.session import Checkpoint, Session, SessionState

if TYPE_CHECKING:
    from sessionstream.erasure import Erased
    from sessionstream.following import FeedFollower, FollowAllOptions, FollowOptions, SessionFollower

__all__ = ["SessionManager"]


class SessionManager(Opened):
    """Sessions as streams of events, and what is read of them.

    Making one sends nothing; the connection is opened by the first call, and closed with the event loop, by `aclose`,
    or when the manager is dropped.

    Args:
        conn: a ``redis.asyncio.Redis`` or ``RedisCluster`` made any way, whose connection settings are used; None for
            ``url``.
        ttl: seconds until a session expires; None does not expire.
        url: the server's, or a Cluster node's, if there is no ``conn``; without either it is the embedded server.
        projections: the user's own inline projections.
        settings: the other fields of `Settings`, such as ``namespace``; environment variables give what is not given.

    Raises:
        InvalidArgument: a setting or the URL is malformed; ``conn`` is a synchronous or another library's client.
    """

    def __init__(
        self,
        conn: object | None = None,
        ttl: float | EllipsisType | None = ...,
        *,
        url: str | None = None,
        projections: Sequence[Projection] = (),
        **settings: Any,
    ) -> None:
        super().__init__(conn, ttl, url=url, projections=projections, **settings)
        self._locks = Locks(self.store)
        self._closing += (self._locks.aclose,)

    # Sessions

    async def create_session(
        self,
        user_id: str,
        agent_id: str,
        metadata: Mapping[str, Any] | None = None,
        *,
        session_id: str | None = None,
        ttl: float | EllipsisType | None = ...,
        idempotency_key: str | None = None,
    ) -> Session:
        """Begin a session.

        Args:
            user_id: whose it is.
            agent_id: with which agent.
            metadata: the caller's own facts about it, JSON under string keys.
            session_id: the caller's own id for it; otherwise a new one, ``sess_…``.
            ttl: seconds until it expires, instead of the manager's; None does not expire.
            idempotency_key: the same key with the same arguments gives the same session again, as it was created.

        Raises:
            SessionExists: the id is in use, or ended and still kept.
            IdempotencyConflict: the key was used with other arguments.
        """
        seconds = self.settings.ttl if ttl is ... else ttl
        session = await creating.create(
            self.store, user_id, agent_id, metadata, session_id=session_id, ttl=seconds, idempotency_key=idempotency_key
        )
        await cleaning.clean_sometimes(self.store, session.session_id)
        return session

    async def get_session(self, session_id: str) -> Session | None:
        """Return a session; None if it is unknown, expired or deleted."""
        head, now = await self.store.glance(session_id)
        return reading.live_session(session_id, head, now)

    async def session_exists(self, session_id: str) -> bool:
        """Whether there is such a session that is neither expired nor deleted."""
        head, now = await self.store.head(session_id)
        return reading.is_live(head, now)

    async def update_session_metadata(
        self, session_id: str, metadata: Mapping[str, Any] | None = None, *, unset: Iterable[str] = ()
    ) -> None:
        """Merge top-level keys into the metadata; None is a value; ``unset`` names keys to remove."""
        await changing.update_metadata(self.store, session_id, metadata, unset)

    async def update_session(self, session_id: str, session: Session) -> Session:
        """Append the difference between what was read and what is given; metadata keys that are absent are removed.

        Raises:
            ConflictError: somebody else changed the same field since it was read.
            InvalidArgument: its identity was changed, or it is no Session.
        """
        return await changing.update(self.store, session_id, session)

    async def refresh_session(self, session_id: str) -> bool:
        """Let the session's own time to live begin anew; False if it is unknown or over: nothing is revived."""
        return await changing.refresh(self.store, session_id)

    async def delete_session(self, session_id: str, *, purge: bool = False) -> bool:
        """End a session; False if there is none. ``purge`` removes all of it now, instead of after the retention."""
        return await ending.delete(self.store, session_id, purge=purge)

    async def erase_user(self, user_id: str, **options: Any) -> Erased:
        """Erase all that is kept of a user's sessions; the options are those of `sessionstream.erasure.erase_user`."""
        return await self._erase(user_id, **options)

    async def delete_user_sessions(self, user_id: str) -> int:
        """End all sessions of a user, and return how many."""
        ids = [session.session_id async for session in sessions_of_user(self.store, user_id)]
        return await ending.delete_many(self.store, ids)

    async def delete_agent_sessions(self, agent_id: str) -> int:
        """End all sessions of an agent, and return how many."""
        ids = [session.session_id async for session in listing.sessions_of_agent(self.store, agent_id)]
        return await ending.delete_many(self.store, ids)

    async def set_session_state(
        self, session_id: str, state: SessionState | str | Any, *, expected_version: int | None = None
    ) -> bool:
        """Change a session's state; EXPIRED ends it.

        Args:
            session_id: the session.
            state: a SessionState, or another Enum or a string of the same value.
            expected_version: refuse unless the session is at this version.

        Returns:
            False if it was in that state already; then nothing is appended.
        """
        return await changing.set_state(self.store, session_id, state, expected_version) is not None

    async def get_session_state(self, session_id: str) -> SessionState | None:
        """Return a session's state, EXPIRED also before it is swept; None for an unknown or deleted one."""
        return await changing.state_of(self.store, session_id)

    # Finding and counting

    async def get_sessions_by_user(
        self, user_id: str, *, limit: int | None = None, after: Session | str | None = None
    ) -> list[Session]:
        """Return a user's sessions, newest first: at most ``limit``, and only those older than ``after``."""
        return [session async for session in sessions_of_user(self.store, user_id, limit=limit, after=after)]

    async def get_all_active_sessions(self) -> list[Session]:
        """Return all sessions that are ACTIVE and not expired, newest first."""
        sessions = [session async for session in listing.active_sessions(self.store)]
        return sorted(sessions, key=lambda session: session.created_at, reverse=True)

    async def get_active_session_count(self, user_id: str | None = None) -> int:
        """Return how many sessions are ACTIVE and not expired, of one user or of all."""
        return await counting.active_count(self.store, user_id)

    async def get_total_session_count(self) -> int:
        """Return how many sessions are kept, ended ones too."""
        return await counting.total_count(self.store)

    async def get_expired_session_count(self) -> int:
        """Return how many kept sessions have expired, swept or not."""
        return await counting.expired_count(self.store)

    async def get_avg_session_duration(self) -> float:
        """Return the seconds from creation to end, averaged over ended sessions; 0.0 if there are none."""
        return await counting.average_duration(self.store)

    async def cleanup_expired_sessions(self) -> int:
        """End the sessions whose time is over, retire what is due, and return how many this call ended."""
        return await cleaning.clean_up(self.store)

    # Events

    async def append(
        self,
        session_id: str,
        events: Any,
        *,
        expected_version: int | None = None,
        idempotency_key: str | None = None,
        correlation_id: str | None = None,
        causation_id: str | None = None,
        durability: str | None = None,
    ) -> Appended:
        """Append one event, or a list of events all or none of which are appended.

        Args:
            session_id: the session.
            events: an event such as `MessageAdded`, or of a type of your own; or a list of them.
            expected_version: refuse unless the session is at this version.
            idempotency_key: the same key with the same events gives the first result again.
            correlation_id: the whole to which they belong.
            causation_id: the id of what led to them.
            durability: ``replicated(n)``, such as ``"replicated(2)"``, for this append instead of the manager's.

        Raises:
            SessionNotFound: or `SessionEnded`, `SessionArchived`, `ConflictError`, `IdempotencyConflict`, `LockLost`.
            InvalidData: or `TooLarge`: an event would not be read back as it is.
            OutcomeUnknown: no answer came: try again with the same ``idempotency_key``.
        """
        plain = correlation_id is None and causation_id is None and durability is None
        kind = types_by_class.get(type(events))
        if kind is not None and expected_version is None and idempotency_key is None and plain:
            return await self.store.append_one(session_id, events, kind)
        return await self.store.append(
            session_id,
            list(events) if isinstance(events, (list, tuple)) else [events],
            expected_version=expected_version,
            idempotency_key=idempotency_key,
            correlation_id=correlation_id,
            causation_id=causation_id,
            durability=durability,
            from_caller=True,
        )

    async def add_messages(self, session_id: str, messages: Any, **options: Any) -> Appended:
        """Append one OpenAI-style message or several; the options are those of `append`."""
        return await self.append(session_id, list[Any](conversation.as_events(messages)), **options)

    async def messages(
        self, session_id: str, limit: int | None = None, before: str | None = None
    ) -> list[dict[str, Any]]:
        """Return the newest messages that were not retracted, oldest first.

        Args:
            session_id: the session.
            limit: at most so many.
            before: an offset; the conversation as it was in front of it.
        """
        found = await conversation.newest_messages(self.store, session_id, limit=limit, before=before)
        return [event.data.message() for event in found]

    async def pop_messages(self, session_id: str, count: int = 1) -> list[dict[str, Any]]:
        """Retract the newest messages and return them, oldest first."""
        return await conversation.pop(self.store, session_id, count)

    def history(
        self,
        session_id: str,
        *,
        after: str | None = None,
        before: str | None = None,
        from_version: int | None = None,
        to_version: int | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        types: Iterable[str | type] | None = None,
        limit: int | None = None,
        backward: bool = False,
    ) -> AsyncIterator[RecordedEvent]:
        """Yield a session's events; see `sessionstream.log.history.read_history` for the arguments."""
        window = Window(after, before, from_version, to_version, since, until)
        whole = not backward and types is None and window._replace(after=None) == Window()
        noted = self.store.positions if whole else None
        return read_history(self.store, session_id, window, types, limit, backward=backward, positions=noted)

    # Following

    def follow(self, session_id: str, **options: Unpack[FollowOptions]) -> SessionFollower:
        """Give a session's events, then those that come, in a block; the options are those of `SessionFollower`."""
        return self._following.session(session_id, **options)

    def follow_all(self, **options: Unpack[FollowAllOptions]) -> FeedFollower:
        """Give the events of all sessions behind a cursor, in a block; the options are those of `FeedFollower`."""
        return self._following.all(**options)

    async def publish(self, session_id: str, delta: Any) -> str:
        """Give something to those who follow a live session just now, no event and soon gone, and return its id."""
        return await self._following.publish(session_id, delta)

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
        """Save a snapshot of the agent's data, which is encoded before anything is awaited, and return its id.

        Args:
            session_id: the session.
            data: anything that JSON keeps as it is.
            offset: the last event that the data includes; by default the last one that this manager appended or read.
            label: the caller's own name for it.
            checkpoint_id: the caller's own id for it; otherwise a new one, ``ckpt_…``.
        """
        saved = await checkpoint_saving.save(
            self.store, session_id, data, offset=offset, label=label, checkpoint_id=checkpoint_id
        )
        self._checkpoint_saved(session_id)
        return saved

    async def get_latest_checkpoint(self, session_id: str) -> Checkpoint | None:
        """Return the latest checkpoint with its data; None if there is none."""
        return await checkpoint_reading.latest(self.store, session_id)

    async def get_checkpoint(self, session_id: str, checkpoint_id: str) -> Checkpoint | None:
        """Return a checkpoint with its data; None if there is no such one."""
        return await checkpoint_reading.get(self.store, session_id, checkpoint_id)

    async def list_checkpoints(
        self, session_id: str, *, limit: int | None = None, after: str | None = None, with_data: bool = False
    ) -> list[Checkpoint]:
        """Return the checkpoints, newest first; with their data only if asked for."""
        return await checkpoint_reading.list_checkpoints(
            self.store, session_id, limit=limit, after=after, with_data=with_data
        )

    async def delete_checkpoint(self, session_id: str, checkpoint_id: str) -> bool:
        """Delete a checkpoint; False if there is no such one."""
        return await checkpoint_saving.delete(self.store, session_id, checkpoint_id)

    async def clear_checkpoints(self, session_id: str) -> int:
        """Delete all checkpoints of a session, and return how many."""
        return await checkpoint_saving.clear(self.store, session_id)

    async def resume(self, session_id: str) -> Resumed:
        """Return the latest checkpoint, the events after what it covers, and the new position."""
        return await checkpoint_reading.resume(self.store, session_id)

    # Locks

    async def acquire_lock(
        self, session_id: str, *, timeout: float = 10.0, lease: float = 10.0, max_hold: float = 300.0
    ) -> Lock:
        """Acquire a session's lock for the running task; see `lock` for the arguments, `release_lock` for its end."""
        return await self._locks.acquire(session_id, timeout=timeout, lease=lease, max_hold=max_hold)

    async def release_lock(self, session_id: str, lock: Lock) -> bool:
        """Release a lock; False if it was not held any more while another exception passes, which is never hidden.

        Raises:
            LockLost: or `LockNotHeld`: it was not held any more, and no other exception passes.
        """
        return await self._locks.release(session_id, lock)

    def lock(
        self, session_id: str, *, timeout: float = 10.0, lease: float = 10.0, max_hold: float = 300.0
    ) -> AbstractAsyncContextManager[Lock]:
        """Hold a session's lock for a block; every write of the task inside it is fenced.

        Args:
            session_id: the session.
            timeout: seconds to wait for it.
            lease: seconds for which it stays held when the holder's process dies.
            max_hold: seconds after which it is renewed no longer.

        Raises:
            LockTimeout: somebody else held it all the time.
            LockReentered: the running task holds it already.
        """
        return self._locks.hold(session_id, timeout=timeout, lease=lease, max_hold=max_hold)

    async def rebuild(
        self, session_id: str | None = None, *, archive: str | os.PathLike[str] | None = None, **options: Any
    ) -> Rebuilt:
        """Make the views of one session, or of all, anew from the events, while appends go on.

        Args:
            session_id: one session; None is all, and the views that they share.
            archive: the folder that has what was trimmed, which other projections than those of the trim need.
            options: of `sessionstream.rebuild.rebuild_all`: ``adopt``, ``progress``.
        """
        archived = None if archive is None else self._archived_in(archive)
        return await rebuild_views(self.store, session_id, archived, **options)
