"""What a worker was told, in a file that outlives it: a line before each call, and a line with its answer.

Each line is one JSON object, written by one write to the end of the file, so that a killed process leaves whole lines.
``at`` is the system's monotonic clock, which all processes share.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["Journal", "Record", "Tail", "records_of"]

Record = dict[str, Any]


class Journal:
    """Notes what one process does.

    Args:
        path: the file, which is made if it is not there.
        name: of the process; the ids of its calls begin with it.
    """

    def __init__(self, path: Path, name: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.name = name
        self._calls = 0

    def note(self, kind: str, **facts: object) -> None:
        """Write one line."""
        line = json.dumps({"kind": kind, "at": time.monotonic(), **facts}, separators=(",", ":"))
        os.write(self._file, line.encode() + b"\n")

    def next_call(self) -> str:
        """Return the id of a call that is about to be made."""
        self._calls += 1
        return f"{self.name}-{self._calls}"

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


class Tail:
    """Reads on in a file that another process writes.

    Args:
        path: the file, which need not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read = 0

    def more(self) -> Iterator[Record]:
        """Yield the records that have come since the last time; a line that is not whole yet is left for the next."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self._read)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._read += len(line)
                yield json.loads(line)


def records_of(paths: list[Path]) -> Iterator[Record]:
    """Yield the records of some files, one file after the other."""
    for path in paths:
        yield from Tail(path).more()
