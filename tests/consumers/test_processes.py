"""Several processes of one group, which are killed, paused and restarted while 50,000 events flow."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from redis.asyncio import Redis

from sessionstream import NoteAdded, SessionManager
from tests.consumers.worker import LEASE, OF_SESSION, SEEN
from tests.recipes.processes import environment
from tests.servers import Server

ROOT = Path(__file__).parents[2]
WORKERS, PARTITIONS, SESSIONS, EACH, BATCH = 4, 16, 400, 125, 5
GROUP = "g"


class Workers:
    """The processes, and the file in which they note what they handle."""

    def __init__(self, url: str, namespace: str, path: Path) -> None:
        self._words = (url, namespace, GROUP)
        self.path = path
        path.touch()
        self._numbers = itertools.count()
        self.running: list[subprocess.Popen[bytes]] = []
        self.disturbances = Counter[str]()

    def start(self) -> None:
        """Start one more."""
        words = [*self._words, f"w{next(self._numbers)}", str(self.path)]
        words = [sys.executable, "-m", "tests.consumers.worker", *words]
        self.running.append(subprocess.Popen(words, cwd=ROOT, env=environment() | {"PYTHONPATH": str(ROOT)}))

    def kill(self) -> None:
        """Kill one at random."""
        process = self.running.pop(random.randrange(len(self.running)))
        process.kill()
        process.wait()

    async def pause(self, seconds: float) -> None:
        """Pause one at random, for longer than its lease runs."""
        process = random.choice(self.running)
        process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        process.send_signal(signal.SIGCONT)

    def handled(self) -> int:
        """About how many events were handled so far."""
        return os.path.getsize(self.path) // len("sess_123 12\n")

    def close(self) -> None:
        """End all of them."""
        for process in self.running:
            process.kill()
            process.wait()


@pytest.fixture
def workers(server: Server, namespace: str, tmp_path: Path) -> Workers:
    """Four processes that have begun to consume, or are about to."""
    workers = Workers(server.unix_url, namespace, tmp_path / "handled")
    for _ in range(WORKERS):
        workers.start()
    return workers


async def _append(manager: SessionManager, ids: list[str]) -> None:
    for start in range(0, EACH - 1, BATCH):
        notes = [NoteAdded(text=str(number)) for number in range(start, min(start + BATCH, EACH - 1))]
        await asyncio.gather(*(manager.append(session_id, notes) for session_id in ids))
        await asyncio.sleep(0.25)


async def _disturb(workers: Workers, total: int) -> None:
    """Kill and restart, or pause, one worker after each tenth of the events."""
    for tenth, one in enumerate(("kill", "pause", "kill", "kill", "pause", "kill", "pause", "kill"), 1):
        while workers.handled() < total * tenth / 10:
            await asyncio.sleep(0.02)
        if one == "kill":
            workers.kill()
            workers.start()
        else:
            await workers.pause(LEASE * 1.3)
        workers.disturbances[one] += 1


async def test_every_event_is_handled_in_order_while_processes_die(
    server: Server, client: Redis, namespace: str, workers: Workers, capsys: pytest.CaptureFixture[str]
) -> None:
    """G26, G27: 50,000 events, each handled at least once, each session's in order, counted exactly once."""
    ids = [f"sess_{number:03}" for number in range(SESSIONS)]
    total = SESSIONS * EACH
    async with SessionManager(url=server.unix_url, namespace=namespace, partitions=PARTITIONS) as manager:
        try:
            await asyncio.gather(*(manager.create_session("u", "a", session_id=session_id) for session_id in ids))
            async with asyncio.timeout(100):
                await asyncio.gather(_append(manager, ids), _disturb(workers, total))
                while (status := await manager.consumers.status(GROUP)).lag:
                    await asyncio.sleep(0.05)
        finally:
            for process in workers.running:
                process.send_signal(signal.SIGCONT)
            workers.close()
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
