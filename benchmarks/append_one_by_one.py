"""An append, awaited one by one, against a bare XADD of redis-py's asyncio client, awaited one by one.

The floor under both is a PING on the store's own connection: a way there and back that does nothing.
"""

from __future__ import annotations

from functools import partial

from benchmarks.claims import Measured, ratio_of_rates, show
from benchmarks.payloads import payloads
from benchmarks.rounds import Contestant, compete, one_by_one
from benchmarks.stage import Options, make_sessions, options_of, place_of, staged

__all__ = ["main", "measure"]

NAME = "append_one_by_one"


async def measure(options: Options) -> Measured:
    """Measure; every contestant takes the same payloads."""
    given = payloads(options.few(500, 50))
    async with staged(options) as stage:
        manager, client = stage.manager, stage.client
        [session_id] = await make_sessions(manager, 1)
        calls = {
            "PING": lambda number: manager.store.server.call("PING"),
            "append": lambda number: manager.append(session_id, given[number].event),
            "redis-py xadd": lambda number: client.xadd("bare", given[number].fields),
        }
        found = await compete(
            [Contestant(name, partial(one_by_one, call, len(given)), len(given)) for name, call in calls.items()],
            options.rounds,
        )
        place = await place_of(client)
    claim = ratio_of_rates(
        found, "append, awaited one by one", "append", "redis-py asyncio xadd, the same", "redis-py xadd", 1.2
    )
    return Measured(NAME, place, found, [claim])


async def main(arguments: list[str]) -> None:
    """Measure and print."""
    show(await measure(options_of(arguments, NAME, __doc__, rounds=40)))
