"""A data folder per test, short grace periods, and no process left behind."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.embedded.stage import Stage


@pytest.fixture(autouse=True)
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of the sockets; pytest's own have paths too long for one."""
    path = tempfile.mkdtemp(prefix="ss-", dir="/tmp")
    monkeypatch.setenv("SESSIONSTREAM_RUNTIME_DIR", path)
    monkeypatch.setenv("SESSIONSTREAM_EMBEDDED_GRACE", "0.1")
    yield Path(path)
    shutil.rmtree(path)


@pytest.fixture
def make_stage(runtime: Path) -> Iterator[Callable[[Path], Stage]]:
    """Make a stage for a folder; after the test nothing may run for it."""
    stages: list[Stage] = []

    def make(folder: Path) -> Stage:
        stages.append(Stage(folder))
        return stages[-1]

    yield make
    left = [pid for stage in stages for pid in stage.clear()]
    assert not left, f"processes were left behind: {left}"


@pytest.fixture
def stage(make_stage: Callable[[Path], Stage], tmp_path: Path) -> Stage:
    """The stage of most tests."""
    return make_stage(tmp_path / "store")
