"""An append against what others do for one: openai-agents, google-adk, langgraph-checkpoint-sqlite, eventsourcing.

    python -m benchmarks against_peers google-adk

One by one, and by 64 tasks on 64 sessions. Every side takes the same messages; the store takes them several times over,
so that it can be measured at all. The store runs on a real server with its append-only file on (``everysec``), the
others with the settings that they come with. SQLite's is an fsync for each append; so the store is shown with
``appendfsync always`` too, where it promises the same.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.claims import Claim, Measured, ratio_of_rates, show
from benchmarks.payloads import Payload, payloads
from benchmarks.rounds import Contestant, by_tasks, compete, one_by_one
from benchmarks.stage import Options, Stage, make_sessions, options_of, place_of, staged

__all__ = ["PEERS", "main", "measure"]

TASKS = 64

# For each package: its module here, what is called, and how many times its rate is wanted one by one and by tasks.
PEERS: dict[str, tuple[str, str, float, float]] = {
    "openai-agents": ("openai_agents", "RedisSession.add_items", 4, 20),
    "google-adk": ("google_adk", "DatabaseSessionService (SQLite) append_event", 40, 20),
    "langgraph-checkpoint-sqlite": ("langgraph_sqlite", "AsyncSqliteSaver.aput", 5, 20),
    "eventsourcing": ("pyeventsourcing", "application.save on SQLite", 4, 20),
}

# How many messages a peer takes in a round, one by one and from each task, and how many times over the store does.
ALONE, EACH = 80, 4
TIMES = {1: 5, TASKS: 20}

Append = Callable[[int, Payload], Awaitable[object]]


async def our_append(stage: Stage, sessions: int) -> Append:
    """Return the function that appends a message to one of so many new sessions of the store."""
    manager, ids = stage.manager, await make_sessions(stage.manager, sessions)
    return lambda number, payload: manager.append(ids[number], payload.event)


def contestant(name: str, append: Append, given: list[Payload], sessions: int) -> Contestant:
    """Return who appends all payloads: one by one to one session, or by a task for each of several sessions."""
    count = len(given)

    def call(number: int) -> Awaitable[object]:
        return append(number % sessions, given[number])

    if sessions == 1:
        return Contestant(name, lambda: one_by_one(call, count), count)
    return Contestant(name, lambda: by_tasks(call, count, sessions), count)


async def measure(peer: str, options: Options) -> Measured:
    """Measure against one peer."""
    module, called, alone, together = PEERS[peer]
    opened = importlib.import_module(f"benchmarks.peers.{module}").opened
    contestants: list[Contestant] = []
    async with AsyncExitStack() as stack:
        stage = await stack.enter_async_context(staged(options))
        synced = await stack.enter_async_context(staged(options, appendfsync="always"))
        for sessions, how in ((1, "one by one"), (TASKS, f"{TASKS} tasks")):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sst-")))
            given = payloads(options.few(ALONE, 5) if sessions == 1 else sessions * options.few(EACH, 1))
            ours = given * TIMES[sessions]
            theirs = await stack.enter_async_context(opened(folder, stage.url, sessions))
            contestants += [
                contestant(f"append, {how}", await our_append(stage, sessions), ours, sessions),
                contestant(f"append, appendfsync always, {how}", await our_append(synced, sessions), ours, sessions),
                contestant(f"{peer}, {how}", theirs, given, sessions),
            ]
        found = await compete(contestants, options.rounds)
        place = await place_of(stage.client) | {peer: version(peer)}
    claims = [
        ratio_of_rates(
            found, f"append, {how}", f"append, {how}", f"{peer} {called}, the same", f"{peer}, {how}", wanted
        )
        for how, wanted in (("one by one", alone), (f"{TASKS} tasks", together))
    ]
    return Measured(f"against_peers {peer}", place, found, claims)


async def main(arguments: list[str]) -> None:
    """Measure and print, against the peer that the first word names."""
    peer, *rest = arguments or [""]
    if peer not in PEERS:
        sys.exit(f"against_peers takes one of {', '.join(PEERS)} as its first word")
    options = options_of(rest, f"against_peers {peer}", __doc__, rounds=9)
    try:
        version(peer)
    except PackageNotFoundError:
        show(_absent(peer))
    else:
        show(await measure(peer, options))


def _absent(peer: str) -> Measured:
    _, called, alone, together = PEERS[peer]
    claims = [
        Claim(f"append, {how}", f"{peer} {called}, the same", None, wanted, why=f"{peer} is not installed")
        for how, wanted in (("one by one", alone), (f"{TASKS} tasks", together))
    ]
    return Measured(f"against_peers {peer}", {}, {}, claims)
