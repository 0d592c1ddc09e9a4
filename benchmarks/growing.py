"""What growth is measured on: a session of many events, a store of many sessions, and the operations on them."""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from redis.asyncio import Redis

from benchmarks.bytes_per_event import settled_memory
from benchmarks.payloads import payloads
from benchmarks.resume import prepare
from benchmarks.rounds import Call, by_tasks, one_by_one
from benchmarks.stage import TASKS, Stage
from sessionstream import Session, SessionManager
from sessionstream.directory.listing import sessions_of_agent

__all__ = ["Operation", "Subject", "filled_with_events", "filled_with_sessions", "peak_of_listing"]

SMALL = 1_000
PAGE = 200
EVENTS_OF_ONE = 10

# What a session of 10 events can hold as well as one of very many: a checkpoint of three messages, and five behind it.
RESUMED = {"left": 5, "window": 3}


@dataclass(frozen=True)
class Operation:
    """Something that is done again and again.

    Attributes:
        call: does it once; given the number of the call.
        calls: how often in a round.
        before: awaited before each round.
        tasks: by how many tasks; one awaits its calls one by one.
    """

    call: Call
    calls: int = 20
    before: Callable[[], Awaitable[Any]] | None = None
    tasks: int = 1

    async def run(self, calls: int) -> list[int]:
        """Do it so many times, and return the nanoseconds of each."""
        if self.tasks == 1:
            return await one_by_one(self.call, calls)
        return await by_tasks(self.call, calls, min(self.tasks, calls))


@dataclass
class Subject:
    """What is measured at one size.

    Attributes:
        size: how many of what grows.
        stage: the server and the store.
        operations: what is measured, by name.
        memory: what was found while it was made.
    """

    size: int
    stage: Stage
    operations: dict[str, Operation]
    memory: dict[str, Any] = field(default_factory=dict)


async def filled_with_events(stage: Stage, events: int) -> Subject:
    """Return a subject whose sessions have so many events: one that is read, and one that is appended to."""
    manager = stage.manager
    read = await manager.create_session("user", "agent")
    await prepare(stage, read.session_id, events, **RESUMED)
    return Subject(events, stage, await _on_one_session(stage, read.session_id, events))


async def filled_with_sessions(stage: Stage, size: int, sessions: int) -> Subject:
    """Return a subject whose store has so many sessions.

    Every session is of one agent. One user has 100 of them, every other one has 10.
    The first session has a few events and a checkpoint.

    Args:
        stage: where.
        size: what the subject is told apart by.
        sessions: how many.
    """
    users = ["larger"] * 100 + [f"user{number // 10}" for number in range(sessions - 100)]
    memory = await _create(stage, users)
    manager = stage.manager
    [*_, one] = await manager.get_sessions_by_user("user0")
    await prepare(stage, one.session_id, EVENTS_OF_ONE, **RESUMED)
    operations = await _on_one_session(stage, one.session_id, EVENTS_OF_ONE)
    given = payloads(TASKS)
    spread = [session.session_id for session in await _first(sessions_of_agent(manager.store, "agent"), TASKS)]
    operations |= {
        "append, 256 tasks": Operation(
            lambda number: manager.append(spread[number % len(spread)], given[number].event), TASKS, tasks=TASKS
        ),
        "list a user's 10 sessions": Operation(lambda number: manager.get_sessions_by_user("user0"), 5),
        "list a user's 100 sessions": Operation(lambda number: manager.get_sessions_by_user("larger"), 3),
        f"list {PAGE} of an agent's sessions": Operation(
            lambda number: _first(sessions_of_agent(manager.store, "agent"), PAGE), 2
        ),
        "count active sessions": Operation(lambda number: manager.get_active_session_count(), 5),
    }
    return Subject(size, stage, operations, memory | {"sessions": sessions})


async def peak_of_listing(subject: Subject) -> dict[str, Any]:
    """Return what was found of a store's memory: per idle session, and the peak of listing an agent's sessions all."""
    store, seen = subject.stage.manager.store, 0
    began = time.perf_counter()
    async for _ in sessions_of_agent(store, "agent"):
        seen += 1
    took = time.perf_counter() - began
    if seen != subject.memory["sessions"]:
        raise AssertionError(f"{seen} of {subject.memory['sessions']} sessions were listed")
    gc.collect()
    tracemalloc.start()
    async for _ in sessions_of_agent(store, "agent"):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return subject.memory | {"peak_kib": round(peak / 1024), "listed_per_s": round(seen / took)}


async def _on_one_session(stage: Stage, session_id: str, events: int) -> dict[str, Operation]:
    manager, given = stage.manager, payloads(20)
    grown: list[str] = []

    async def grow() -> None:
        """Have a session of that size to append to; a large one hardly grows by what a round appends."""
        if not grown or events <= SMALL:
            session = await manager.create_session("other", "other")
            await prepare(stage, session.session_id, events, **RESUMED)
            if grown:
                await manager.delete_session(grown.pop(), purge=True)
            grown.append(session.session_id)

    return {
        "PING": Operation(lambda number: manager.store.server.call("PING")),
        "append": Operation(lambda number: manager.append(grown[0], given[number].event), before=grow),
        "get_session": Operation(lambda number: manager.get_session(session_id)),
        "get_latest_checkpoint": Operation(lambda number: manager.get_latest_checkpoint(session_id)),
        "resume": Operation(lambda number: manager.resume(session_id), 10),
    }


async def _create(stage: Stage, users: list[str]) -> dict[str, Any]:
    """Create a session for each user named, by 256 tasks; return the rate, and the server's bytes for each."""
    async with Redis.from_url(stage.server.unix_url, max_connections=1) as client:
        await _alone(stage)
        before = await settled_memory(client)
        began = time.perf_counter()
        async with SessionManager(
            url=stage.url, namespace=stage.manager.settings.namespace, partitions=stage.manager.settings.partitions
        ) as manager:
            await by_tasks(lambda number: manager.create_session(users[number], "agent"), len(users), TASKS)
        took = time.perf_counter() - began
        after = await settled_memory(client)
    return {"bytes_per_session": round((after - before) / len(users)), "created_per_s": round(len(users) / took)}


async def _alone(stage: Stage) -> None:
    """Close the connections of the stage, which are opened again when they are needed."""
    await stage.manager.aclose()
    await stage.client.aclose()


async def _first(sessions: AsyncIterator[Session], count: int) -> list[Session]:
    """Return so many sessions, and read no further."""
    found: list[Session] = []
    async for session in sessions:
        found.append(session)
        if len(found) == count:
            break
    return found
