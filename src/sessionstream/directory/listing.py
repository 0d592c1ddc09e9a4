"""Sessions by agent and by state: indexes in every partition, read page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator

from sessionstream.events.ids import checked_id
from sessionstream.lifecycle.reading import live_session
from sessionstream.log.members import pages_of
from sessionstream.log.store import Store
from sessionstream.projection import Place
from sessionstream.projections.directory import STATES, agent
from sessionstream.session import Session, SessionState

__all__ = ["active_sessions", "every_session_id", "session_ids_of", "sessions_of_agent"]


async def active_sessions(store: Store) -> AsyncIterator[Session]:
    """Yield the sessions that are ACTIVE and not expired, partition by partition."""
    # A refresh moves a session behind those that were read, where it would be met again.
    seen: set[str] = set()
    async for session in _sessions_in(store, STATES["active"]):
        if session.state is SessionState.ACTIVE and session.session_id not in seen:
            seen.add(session.session_id)
            yield session


async def sessions_of_agent(store: Store, agent_id: str) -> AsyncIterator[Session]:
    """Yield an agent's sessions that are not over, partition by partition."""
    async for session in _sessions_in(store, agent(checked_id(agent_id, "agent_id"))):
        yield session


async def every_session_id(store: Store) -> AsyncIterator[str]:
    """Yield the id of every session that is kept, ended ones too, partition by partition, oldest first."""
    await store.check_readable()
    for partition in range(store.keys.partitions):
        async for session_id in session_ids_of(store, partition):
            yield session_id


async def session_ids_of(store: Store, partition: int, until_ms: int | None = None) -> AsyncIterator[str]:
    """Yield the id of every session of a partition that is kept, and was created by then, oldest first."""
    highest = "+inf" if until_ms is None else str(until_ms)
    async for page in pages_of(store, store.keys.registry(partition), "0", highest):
        for session_id in page:
            yield session_id


async def _sessions_in(store: Store, place: Place) -> AsyncIterator[Session]:
    await store.check_readable()
    for partition in range(store.keys.partitions):
        async for page in pages_of(store, store.keys.partition_place("directory", place, partition), "0"):
            heads, now = await store.heads(page)
            for session_id, head in zip(page, heads, strict=True):
                session = live_session(session_id, head, now)
                if session is not None:
                    yield session
            # Not to be kept while the next page is read.
            del page, heads
