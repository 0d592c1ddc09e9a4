"""How many sessions there are in each state, and how much memory those hold that are over."""

from __future__ import annotations

from typing import NamedTuple

from sessionstream.cli.diagnosis.finding import ask
from sessionstream.log.store import Store
from sessionstream.projections.checkpoints import ORDER, SAVED
from sessionstream.projections.directory import ERASED, EXPIRY, STATES

__all__ = ["Held", "StateCounts", "count_states", "held_by_ended"]

_SAMPLE = 1000
_ENDED = ("expired", "deleted", "erased")
_PLACES = {**STATES, "erased": ERASED}


class StateCounts(NamedTuple):
    """How many sessions are kept.

    Attributes:
        total: all of them.
        active: of those that are not over.
        idle: of those that are not over.
        archived: of those that are not over.
        expired: over, swept or not.
        deleted: over.
        erased: over, and nothing is left of them.
        unswept: of the expired ones, those that no sweeper has ended yet.
        due: of the ended ones, those whose retention is over.
    """

    total: int
    active: int
    idle: int
    archived: int
    expired: int
    deleted: int
    erased: int
    unswept: int
    due: int


class Held(NamedTuple):
    """The memory of ended sessions.

    Attributes:
        sessions: how many have ended.
        measured: of how many the memory was measured.
        bytes: of all of them, estimated where not all were measured; None where the server does not tell.
    """

    sessions: int
    measured: int
    bytes: int | None


async def count_states(store: Store) -> StateCounts:
    """Return how many sessions there are in each state."""
    now = await store.now_ms()
    running = {name: sum(await _count(store, name, f"({now}", "+inf")) for name in ("active", "idle", "archived")}
    swept, deleted, erased = [sum(await _count(store, name, "0", "+inf")) for name in _ENDED]
    unswept = sum(
        await store.every_partition("ZCOUNT", lambda one: store.keys.partition_place("directory", EXPIRY, one), 0, now)
    )
    kept = store.settings.retention
    due = 0
    if kept is not None:
        due = sum([sum(await _count(store, name, "0", str(now - int(kept * 1000)))) for name in _ENDED])
    total = sum(await store.every_partition("ZCOUNT", store.keys.registry, 0, "+inf"))
    ended = {"expired": swept + unswept, "deleted": deleted, "erased": erased}
    return StateCounts(total, **running, **ended, unswept=unswept, due=due)


async def held_by_ended(store: Store) -> Held:
    """Return the memory of the sessions that are over; of many, a random thousand is measured."""
    counts = {name: await _count(store, name, "0", "+inf") for name in _ENDED}
    total = sum(sum(one) for one in counts.values())
    measured, size = 0, 0.0
    for name, of_partitions in counts.items():
        for partition, count in enumerate(of_partitions):
            if not count:
                continue
            # A share for each index by its length, so that the estimate leans on the long ones.
            share = count if total <= _SAMPLE else max(1, _SAMPLE * count // total)
            ids = await store.server.call("ZRANDMEMBER", _index(store, name, partition), share + 1)
            chosen = [member.decode() for member in ids if member][:share]
            sizes = await _sizes(store, chosen)
            if sizes is None:
                return Held(total, 0, None)
            measured += len(chosen)
            size += sum(sizes) / max(1, len(sizes)) * count
    return Held(total, measured, round(size))


async def _sizes(store: Store, session_ids: list[str]) -> list[int] | None:
    keys = store.keys
    if await ask(store, "MEMORY", "USAGE", keys.log(0)) is None and await ask(store, "EXISTS", keys.log(0)):
        return None
    sizes = []
    for session_id in session_ids:
        own = (
            keys.head(session_id),
            keys.events(session_id),
            keys.idempotency(session_id),
            keys.bodies(session_id),
            keys.place("checkpoints", ORDER, session_id),
            keys.place("checkpoints", SAVED, session_id),
        )
        sizes.append(sum(size or 0 for size in await store.server.calls([("MEMORY", "USAGE", key) for key in own])))
    return sizes


async def _count(store: Store, state: str, low: str, high: str) -> list[int]:
    return await store.every_partition("ZCOUNT", lambda partition: _index(store, state, partition), low, high)


def _index(store: Store, state: str, partition: int) -> str:
    return store.keys.partition_place("directory", _PLACES[state], partition)
