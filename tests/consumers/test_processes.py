"""Several processes of one group, which are killed, paused and restarted while 50,000 events flow."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import NoteAdded, SessionManager
from tests.consumers.forks import Forks
from tests.consumers.worker import LEASE, OF_SESSION, SEEN
from tests.servers import Server

WORKER = "tests.consumers.worker"
WORKERS, PARTITIONS, SESSIONS, EACH = 4, 16, 400, 125
BATCHES = (1, 3, 8, 20)
"""So many events the appends of a session have in turn."""
MOST_BEHIND = 8_000
GROUP = "g"


class Workers:
    """The processes, and the file in which they note what they handle."""

    def __init__(self, forks: Forks, url: str, namespace: str, path: Path) -> None:
        self._forks = forks
        self._words = (url, namespace, GROUP)
        self.path = path
        path.touch()
        self._numbers = itertools.count()
        self.running: list[int] = []
        self.disturbances = Counter[str]()

    def start(self) -> None:
        """Start one more."""
        self.running.append(self._forks.start(WORKER, *self._words, f"w{next(self._numbers)}", str(self.path)))

    async def kill(self) -> None:
        """Kill one at random."""
        number = self.running.pop(random.randrange(len(self.running)))
        os.kill(number, signal.SIGKILL)
        assert await self._forks.wait(number) == -signal.SIGKILL

    async def pause(self, seconds: float) -> None:
        """Pause one at random, for longer than its lease runs."""
        number = random.choice(self.running)
        os.kill(number, signal.SIGSTOP)
        await asyncio.sleep(seconds)
        os.kill(number, signal.SIGCONT)

    def handled(self) -> int:
        """About how many events were handled so far."""
        return os.path.getsize(self.path) // len("sess_123 12\n")


@pytest.fixture
def workers(server: Server, namespace: str, tmp_path: Path) -> Iterator[Workers]:
    """Four processes that have begun to consume, or are about to."""
    with Forks(WORKER) as forks:
        workers = Workers(forks, server.unix_url, namespace, tmp_path / "handled")
        for _ in range(WORKERS):
            workers.start()
        yield workers


async def _append(manager: SessionManager, ids: list[str], workers: Workers) -> None:
    """Append to all sessions in turn, as fast as what is appended is handled."""
    version, batches = 1, itertools.cycle(BATCHES)
    while version < EACH:
        notes = [NoteAdded(text=str(number)) for number in range(min(next(batches), EACH - version))]
        await asyncio.gather(*(manager.append(session_id, notes) for session_id in ids))
        version += len(notes)
        while version * len(ids) - workers.handled() > MOST_BEHIND:
            await asyncio.sleep(0.02)


async def _disturb(workers: Workers, total: int) -> None:
    """Kill and restart, or pause, one worker after each tenth of the events."""
    for tenth, one in enumerate(("kill", "pause", "kill", "kill", "pause", "kill", "pause", "kill"), 1):
        while workers.handled() < total * tenth / 10:
            await asyncio.sleep(0.02)
        if one == "kill":
            await workers.kill()
            workers.start()
        else:
            await workers.pause(LEASE * 1.3)
        workers.disturbances[one] += 1


async def test_every_event_is_handled_in_order_while_processes_die(
    reach: dict[str, Any], client: Redis, namespace: str, workers: Workers, capsys: pytest.CaptureFixture[str]
) -> None:
    """G26, G27: 50,000 events, each handled at least once, each session's in order, counted exactly once."""
    ids = [f"sess_{number:03}" for number in range(SESSIONS)]
    total = SESSIONS * EACH
    async with SessionManager(**reach, namespace=namespace, partitions=PARTITIONS) as manager:
        await asyncio.gather(*(manager.create_session("u", "a", session_id=session_id) for session_id in ids))
        async with asyncio.timeout(100):
            await asyncio.gather(_append(manager, ids, workers), _disturb(workers, total))
            while (status := await manager.consumers.status(GROUP)).lag:
                await asyncio.sleep(0.05)
        assert status.count("handled") == total
        key = manager.store.keys.place
        counted = [await client.hget(key(f"@{GROUP}", OF_SESSION, session_id), "events") for session_id in ids]
        assert [int(count or 0) for count in counted] == [EACH] * SESSIONS
        shared = [
            await client.hget(manager.store.keys.partition_place(f"@{GROUP}", SEEN, partition), "events")
            for partition in range(PARTITIONS)
        ]
        assert sum(int(count or 0) for count in shared) == total
    repeats = _repeats(workers.path)
    with capsys.disabled():
        print(f"\n{total:,} events, {dict(workers.disturbances)}: {repeats:,} handled more than once", end=" ")


def _repeats(path: Path) -> int:
    """Return how many handlings were repeats; fail where a first one came before that of the event in front of it."""
    latest: dict[str, int] = {}
    repeats = 0
    for line in path.read_text().splitlines():
        session_id, version = line.split(" ")
        known = latest.get(session_id, 0)
        assert int(version) <= known + 1, f"version {version} of {session_id} was handled before {known + 1}"
        latest[session_id] = max(known, int(version))
        repeats += int(version) <= known
    assert len(latest) == SESSIONS
    assert set(latest.values()) == {EACH}
    return repeats
