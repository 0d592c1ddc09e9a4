"""Where the documents' examples run: a process of their own, so that what they declare is declared nowhere else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Run = Callable[..., str]

# What asyncio's debug mode says on a machine that was busy for a tenth of a second; nothing else is passed over.
_SLOW = re.compile(r"Executing <.*> took [0-9.]+ seconds$")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a Python program, or with ``module`` a module of the checkout, and return what it prints."""

    def run(*words: str, text: str = "", **environment: str) -> str:
        command = [sys.executable, "-X", "dev", "-W", "error", *words]
        result = subprocess.run(
            command,
            input=text,
            env={**os.environ, **environment},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        complaints = [line for line in result.stderr.splitlines() if not _SLOW.match(line)]
        assert not complaints, result.stderr
        assert result.returncode == 0
        return result.stdout

    return run


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment in which the embedded server's data lie in the test's own folder, and it leaves soon."""
    sockets = tempfile.mkdtemp(prefix="ssd-", dir="/tmp")
    yield {
        "SESSIONSTREAM_FOLDER": str(tmp_path / "store"),
        "SESSIONSTREAM_RUNTIME_DIR": sockets,
        "SESSIONSTREAM_EMBEDDED_GRACE": "0.1",
    }
    shutil.rmtree(sockets)
