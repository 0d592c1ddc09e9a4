"""The clock of servers, which can be set wrong while they run: a small library, compiled here, that they preload."""

from __future__ import annotations

import mmap
import platform
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

__all__ = ["Clock"]

# Valkey looks at the clock once a millisecond at most.
_LOOKS_EVERY = 0.003
_SOURCE = Path(__file__).with_name("clock.c")


class Clock:
    """What is added to the time of day of all servers that have its `environment`.

    Args:
        folder: where the library, and the file that steers it, are made.

    Attributes:
        seconds: by how much the clock is ahead; negative where it is behind.
        missing: why there is no such clock here, or nothing.
    """

    def __init__(self, folder: Path) -> None:
        self._library = folder / "clock.so"
        self._file = folder / "clock"
        self._file.write_bytes(bytes(8))
        self.seconds = 0.0
        self.missing = self._compile()

    def _compile(self) -> str:
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if sys.platform != "linux":
            return f"the clock of a server is set by LD_PRELOAD, which {platform.system()} does not have"
        if compiler is None:
            return "there is no C compiler, which makes the library that sets the clock of a server"
        words = [compiler, "-shared", "-fPIC", "-O2", "-o", str(self._library), str(_SOURCE), "-ldl"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        return f"{compiler}: {done.stderr.strip()[:200]}" if done.returncode else ""

    @property
    def environment(self) -> dict[str, str]:
        """What a server is started with, for its clock to be this one."""
        return {} if self.missing else {"LD_PRELOAD": str(self._library), "SST_CLOCK": str(self._file)}

    def set(self, seconds: float) -> None:
        """Set the clock so far ahead of the right time; negative is behind."""
        self.seconds = seconds
        with self._file.open("r+b") as file, mmap.mmap(file.fileno(), 8) as page:
            page[:8] = struct.pack("=q", round(seconds * 1e6))
        time.sleep(_LOOKS_EVERY)
