"""Earlier versions of the package, taken from the project's own history and run as processes of their own."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

__all__ = ["OTHER_LAYOUT", "PREVIOUS", "Process", "Refused", "checked_out"]

PREVIOUS = "4de4897"
"""The commit of the previous version: the store, its speed and its readers; of the same layout as this one."""

OTHER_LAYOUT = "fc870dc"
"""A commit of the layout before, format 2."""

ROOT = Path(__file__).resolve().parents[2]
_ACTOR = Path(__file__).with_name("actor.py")


def checked_out(commit: str, folder: Path) -> Path:
    """Write the package as it was at a commit, and return what is to be put on the path of a process.

    A clone without its history has no such commit: then the test is skipped.

    Args:
        commit: which one.
        folder: where to.
    """
    command = ["git", "-C", str(ROOT), "archive", commit, "src/sessionstream", "projections"]
    told = subprocess.run(command, capture_output=True, check=False)
    if told.returncode:
        problem = told.stderr.decode(errors="replace").strip()
        pytest.skip(f"the history does not reach back to commit {commit} (a clone with all of it does): {problem}")
    with tarfile.open(fileobj=io.BytesIO(told.stdout)) as archive:
        archive.extractall(folder, filter="data")
    (folder / "projections").rename(folder / "src" / "sessionstream" / "projections")
    return folder / "src"


class Refused(Exception):
    """What an error of the other process was: the name of its class, and what it says."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind


class Process:
    """A process of an earlier version with a manager, which does what it is told; see `tests/versions/actor.py`.

    Args:
        path: the folder that its package lies in.
        settings: of its manager.
    """

    def __init__(self, path: Path, **settings: Any) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(_ACTOR), json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(path)},
        )
        assert self._read() == str(path / "sessionstream" / "__init__.py"), "it runs another version"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.end()

    def end(self) -> None:
        """Let it close its manager and end."""
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait(30)

    def tell(self, word: str, *given: Any) -> None:
        """Have it begin something; `told` gives what came of it."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([word, *given]) + "\n")
        self._process.stdin.flush()

    def told(self) -> Any:
        """Return what came of what it was told first; raises `Refused` if that was an error of the library."""
        answer = self._read()
        if isinstance(answer, dict) and "refused" in answer:
            raise Refused(*answer["refused"])
        return answer

    def do(self, word: str, *given: Any) -> Any:
        """Have it do something, and return what came of it."""
        self.tell(word, *given)
        return self.told()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the process of the earlier version ended with {self._process.poll()}"
        return json.loads(line)
