"""`get_session`, one by one and by 256 tasks, against redis-py's HGETALL of the same hash.

The store's call asks for the server's time as well, and makes a session of what it reads; redis-py's gives the fields.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from benchmarks.claims import Measured, ratio_of_rates, show
from benchmarks.payloads import payloads
from benchmarks.rounds import Contestant, by_tasks, compete, one_by_one
from benchmarks.stage import TASKS, Options, make_sessions, options_of, place_of, staged

__all__ = ["main", "measure"]

NAME = "get_session"


async def measure(options: Options) -> Measured:
    """Measure, on sessions of a few events."""
    alone, together = options.few(500, 50), TASKS * options.few(12, 1)
    async with staged(options) as stage:
        manager, client = stage.manager, stage.client
        ids = await make_sessions(manager, TASKS)
        for session_id in ids:
            await manager.append(session_id, [payload.event for payload in payloads(5)])
        heads = [manager.store.keys.head(session_id) for session_id in ids]

        def get(number: int) -> Awaitable[Any]:
            return manager.get_session(ids[number % TASKS])

        def hgetall(number: int) -> Awaitable[Any]:
            return client.hgetall(heads[number % TASKS])

        found = await compete(
            [
                Contestant("get_session", lambda: one_by_one(get, alone), alone),
                Contestant("redis-py hgetall", lambda: one_by_one(hgetall, alone), alone),
                Contestant("get_session, 256 tasks", lambda: by_tasks(get, together, TASKS), together),
                Contestant("redis-py hgetall, 256 tasks", lambda: by_tasks(hgetall, together, TASKS), together),
            ],
            options.rounds,
        )
        place = await place_of(client)
    ours, theirs, our_tasks, their_tasks = found
    claims = [
        ratio_of_rates(found, "get_session, one by one", ours, "redis-py hgetall of the same hash", theirs, 1.1),
        ratio_of_rates(found, our_tasks, our_tasks, "redis-py hgetall of the same hash, the same", their_tasks, 4),
    ]
    return Measured(NAME, place, found, claims)


async def main(arguments: list[str]) -> None:
    """Measure and print."""
    show(await measure(options_of(arguments, NAME, __doc__, rounds=30)))
