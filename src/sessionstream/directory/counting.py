"""How many sessions there are: cardinalities of indexes, one command for each partition, all in one write."""

from __future__ import annotations

from collections.abc import Callable

from sessionstream.directory.users import sessions_of_user
from sessionstream.events.stored import reading_stored
from sessionstream.log.store import Store
from sessionstream.projections.directory import EXPIRY, STATES
from sessionstream.projections.statistics import LIFETIMES
from sessionstream.session import SessionState

__all__ = ["active_count", "average_duration", "expired_count", "total_count"]


async def total_count(store: Store) -> int:
    """Return how many sessions are kept, ended ones too."""
    return sum(await store.every_partition("ZCOUNT", store.keys.registry, 0, "+inf"))


async def active_count(store: Store, user_id: str | None = None) -> int:
    """Return how many sessions are ACTIVE and not expired, of one user or of all."""
    if user_id is not None:
        return [session.state async for session in sessions_of_user(store, user_id)].count(SessionState.ACTIVE)
    now = await store.now_ms()
    counts: list[int] = await store.every_partition("ZCOUNT", _state(store, "active"), f"({now}", "+inf")
    return sum(counts)


async def expired_count(store: Store) -> int:
    """Return how many kept sessions have expired, swept or not."""
    now = await store.now_ms()
    swept: list[int] = await store.every_partition("ZCOUNT", _state(store, "expired"), 0, "+inf")
    lapsed: list[int] = await store.every_partition(
        "ZCOUNT", lambda partition: store.keys.partition_place("directory", EXPIRY, partition), 0, now
    )
    return sum(swept) + sum(lapsed)


async def average_duration(store: Store) -> float:
    """Return the seconds from creation to end, averaged over the ended sessions that are kept; 0.0 without any."""
    rows = await store.every_partition(
        "HMGET",
        lambda partition: store.keys.partition_place("statistics", LIFETIMES, partition),
        "sessions",
        "milliseconds",
    )
    with reading_stored("how many sessions have ended, and after how long"):
        sessions = sum(int(row[0] or 0) for row in rows)
        return sum(int(row[1] or 0) for row in rows) / sessions / 1000 if sessions else 0.0


def _state(store: Store, name: str) -> Callable[[int], str]:
    return lambda partition: store.keys.partition_place("directory", STATES[name], partition)
