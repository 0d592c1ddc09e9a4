"""A run that imports a second copy of the package's modules fails, also when it is run by several workers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import copies

ROOT = Path(__file__).resolve().parents[2]


def run(folder: Path, test: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run one test in a folder that looks like the checkout."""
    for package in ("projections", "src/sessionstream"):
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").touch()
    (folder / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    (folder / "conftest.py").write_text(Path(copies.__file__).read_text(encoding="utf-8"))
    (folder / "test_it.py").write_text(test)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["one process", "two workers"])
@pytest.mark.parametrize("name", ["projections", "src.sessionstream"])
def test_a_second_copy_fails_the_run(tmp_path: Path, name: str, options: tuple[str, ...]) -> None:
    """The test itself passes; the run says which module is there twice, and fails."""
    result = run(tmp_path, f"def test_it():\n    import {name}\n", *options)
    assert "1 passed" in result.stdout
    assert f"imported under a second name, not as sessionstream: {name}" in result.stdout
    assert result.returncode == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["one process", "two workers"])
def test_a_run_without_second_copies_passes(tmp_path: Path, options: tuple[str, ...]) -> None:
    """Nothing is said where nothing is wrong."""
    result = run(tmp_path, "def test_it():\n    import src\n", *options)
    assert "second name" not in result.stdout
    assert result.returncode == pytest.ExitCode.OK


def test_names_that_only_begin_alike_are_no_second_copies() -> None:
    """The package's own projections are not meant."""
    assert copies.second_copies(["projections_of_mine", "sessionstream.projections", "src.sessionstreams"]) == []
