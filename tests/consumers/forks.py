"""Other processes, each forked from one that has imported everything: to begin one takes milliseconds, not a second.

python -m tests.consumers.forks MODULE...  imports modules, then does what it is told, one line each: ``start MODULE
WORD...`` runs a module's ``main`` with the words in a new process and answers its number, ``wait NUMBER`` answers what
that ended with. When the pipe is closed, all of them end.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.recipes.processes import environment

__all__ = ["Forks"]

ROOT = Path(__file__).parents[2]


class Forks:
    """The process that forks, and those that it has made.

    Args:
        modules: each has a coroutine function ``main``.
    """

    def __init__(self, *modules: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=environment() | {"PYTHONPATH": str(ROOT)},
            start_new_session=True,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()

    def start(self, module: str, *words: str) -> int:
        """Run a module's ``main`` in a new process, and return its number."""
        return self._do("start", module, *words)

    async def wait(self, number: int) -> int:
        """Return what a process ended with: a signal is negative."""
        return await asyncio.to_thread(self._do, "wait", str(number))

    def ended(self, number: int) -> int:
        """Do as `wait`, and let nothing else happen meanwhile."""
        return self._do("wait", str(number))

    def _do(self, *words: str) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


def _serve(modules: list[str]) -> None:
    mains = {name: importlib.import_module(name).main for name in modules}
    for line in sys.stdin:
        what, first, *words = json.loads(line)
        if what == "wait":
            print(os.waitstatus_to_exitcode(os.waitpid(int(first), 0)[1]), flush=True)
            continue
        number = os.fork()
        if number == 0:
            os.close(0)
            asyncio.run(mains[first](*words))
            os._exit(0)
        print(number, flush=True)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    _serve(sys.argv[1:])
