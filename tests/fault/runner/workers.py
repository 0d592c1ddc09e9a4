"""The worker processes of a round: started, killed, started again, and listened to by what they note."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.consumers.forks import Forks
from tests.fault.runner.journal import Record, Tail
from tests.fault.runner.worker import Orders

__all__ = ["WORKER", "Stuck", "Worker", "Workers"]

WORKER = "tests.fault.runner.worker"

_PATIENCE = 90.0
_POLL = 0.01


class Stuck(Exception):
    """What should have happened did not, within a time in which everything should."""


class Worker:
    """One worker, over all processes that it has been.

    Args:
        orders: what it does; its name and journal are those of the process.
        folder: where its processes keep their journals.
        forks: what starts them.

    Attributes:
        records: all that its processes have noted.
        counts: how many records there are of each kind.
    """

    def __init__(self, orders: Orders, folder: Path, forks: Forks) -> None:
        self._orders = orders
        self._name = orders.name
        self._folder = folder
        self._forks = forks
        self._lives = 0
        self._process: int | None = None
        self._tail = Tail(folder / "none yet")
        self.records: list[Record] = []
        self.counts: Counter[str] = Counter()

    def start(self) -> None:
        """Begin a process, which goes on where the one before was."""
        self._lives += 1
        self._orders.name = f"{self._name}v{self._lives}"
        path = self._folder / f"{self._orders.name}.journal"
        self._orders.journal = str(path)
        self._orders.seed += 1
        given = (record["cursor"] for record in reversed(self.records) if record["kind"] == "given")
        self._orders.cursor = next(given, None)
        self._tail = Tail(path)
        self._process = self._forks.start(WORKER, self._orders.words())

    def kill(self) -> None:
        """End the process at once (SIGKILL)."""
        self._end(signal.SIGKILL)

    def stop_writing(self) -> None:
        """Let its writers stop; it has begun to write."""
        assert self._process is not None
        os.kill(self._process, signal.SIGUSR1)

    def end(self) -> None:
        """Let it end in good order."""
        self._end(signal.SIGTERM)

    def listen(self) -> None:
        """Take in what was noted since the last time."""
        for record in self._tail.more():
            self.records.append(record)
            self.counts[record["kind"]] += 1

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            os.kill(self._process, number)
            status = self._forks.ended(self._process)
            self._process = None
            self.listen()
            if status not in (0, -signal.SIGKILL):
                raise Stuck(f"worker {self._orders.name} ended with {status}")


class Workers:
    """All workers of a round; they are gone after the block.

    Args:
        orders: of each.
        folder: where they keep their journals.
        forks: what starts them.
    """

    def __init__(self, orders: Sequence[Orders], folder: Path, forks: Forks) -> None:
        self.all = [Worker(one, folder, forks) for one in orders]

    def __enter__(self) -> Self:
        for worker in self.all:
            worker.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for worker in self.all:
            worker.kill()

    def progress(self, count: int) -> None:
        """Return when each worker was acknowledged so many further calls."""
        before = [worker.counts["acknowledged"] for worker in self.all]
        self.until(
            lambda: all(
                worker.counts["acknowledged"] >= known + count for worker, known in zip(self.all, before, strict=True)
            ),
            f"{count} further calls of each worker to be acknowledged",
        )

    def stop_writing(self) -> None:
        """Return when nobody writes any more."""
        before = [worker.counts["stopped"] for worker in self.all]
        for worker in self.all:
            worker.stop_writing()
        self.until(
            lambda: all(worker.counts["stopped"] > known for worker, known in zip(self.all, before, strict=True)),
            "the writers to stop",
        )

    def end(self) -> None:
        """Return when all have ended in good order."""
        for worker in self.all:
            worker.end()

    def until(self, condition: Callable[[], bool], what: str, patience: float = _PATIENCE) -> None:
        """Listen until the condition holds.

        Raises:
            Stuck: it does not, for so many seconds.
        """
        deadline = time.monotonic() + patience
        while True:
            for worker in self.all:
                worker.listen()
            if condition():
                return
            if time.monotonic() > deadline:
                raise Stuck(f"waited {patience:.0f} s in vain for {what}")
            time.sleep(_POLL)

    def records(self) -> list[list[Record]]:
        """Return what each worker has noted."""
        return [worker.records for worker in self.all]

    def counts(self) -> dict[str, Any]:
        """Return how many records there are of each kind."""
        return dict(sum((worker.counts for worker in self.all), Counter[str]()))
