"""The worker processes of a round: started, killed, started again, and listened to by what they note."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.conftest import ROOT
from tests.fault.runner.journal import Record, Tail
from tests.fault.runner.worker import Orders

__all__ = ["Stuck", "Worker", "Workers"]

_PATIENCE = 90.0
_POLL = 0.01


class Stuck(Exception):
    """What should have happened did not, within a time in which everything should."""


class Worker:
    """One worker, over all processes that it has been.

    Args:
        orders: what it does; its name and journal are those of the process.
        folder: where its processes keep their journals.

    Attributes:
        records: all that its processes have noted.
        counts: how many records there are of each kind.
    """

    def __init__(self, orders: Orders, folder: Path) -> None:
        self._orders = orders
        self._name = orders.name
        self._folder = folder
        self._lives = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._tail = Tail(folder)
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
        words = [sys.executable, "-m", "tests.fault.runner.worker", self._orders.words()]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(words, cwd=ROOT, env=environment, stdin=subprocess.PIPE)

    def kill(self) -> None:
        """End the process at once (SIGKILL)."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self.listen()

    def listen(self) -> None:
        """Take in what was noted since the last time."""
        for record in self._tail.more():
            self.records.append(record)
            self.counts[record["kind"]] += 1
        if self._process is not None and self._process.poll() not in (None, -9, 0):
            raise Stuck(f"worker {self._orders.name} ended with {self._process.returncode}")

    def stop_writing(self) -> None:
        """Let its writers stop."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(b"stop\n")
        self._process.stdin.flush()

    def end(self) -> None:
        """Let it end in good order."""
        assert self._process is not None
        try:
            self._process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Stuck(f"worker {self._orders.name} did not end") from None
        self.listen()


class Workers:
    """All workers of a round; they are gone after the block.

    Args:
        orders: of each.
        folder: where they keep their journals.
    """

    def __init__(self, orders: Sequence[Orders], folder: Path) -> None:
        self.all = [Worker(one, folder) for one in orders]

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
