"""Starting: what help must not import, what is said where the extra is missing, and the loop that is used."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Process

HEAVY = ("redis", "hiredis", "pydantic_settings", "sessionstream.settings", "sessionstream.manager")


async def run(code: str, *words: str, env: dict[str, str] | None = None) -> tuple[int | None, str, str]:
    """Run Python code in a process of its own; return its exit code, output and errors."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-c", code, *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **(env or {})},
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


@pytest.mark.parametrize("words", [["--help"], ["history", "--help"], ["--version"], ["nonsense"]], ids=" ".join)
async def test_help_imports_nothing_heavy(words: list[str]) -> None:
    """Neither the client of the server nor the settings' library."""
    code = (
        "import sys\nfrom sessionstream.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print('heavy:', *[name for name in {HEAVY!r} if name in sys.modules])"
    )
    assert (await run(code, *words))[1].splitlines()[-1].split() == ["heavy:"]


@pytest.mark.parametrize("missing", ["typer", "rich"])
async def test_without_the_extra_one_line_says_what_to_install(tmp_path: Path, missing: str) -> None:
    """Whichever of its packages is missing."""
    code = (
        "import importlib.util as u, sys\nfind = u.find_spec\n"
        f"u.find_spec = lambda name, *rest: None if name == {missing!r} else find(name, *rest)\n"
        "from sessionstream.cli import main\nmain()"
    )
    status, out, err = await run(code, "--help")
    assert (status, out) == (1, "")
    assert err == 'sessionstream: the command line is not installed: pip install "sessionstream[cli]"\n'


UVLOOP = """
import asyncio, pathlib
class Loop(asyncio.SelectorEventLoop):
    def __init__(self):
        super().__init__()
        pathlib.Path("used").touch()
new_event_loop = Loop
"""


async def test_uvloop_is_used_where_it_is_installed(process: Process, session: str, tmp_path: Path) -> None:
    """Its loop runs the command; without it, as in all other tests, asyncio's own does."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "uvloop.py").write_text(UVLOOP)
    path = os.pathsep.join([str(tmp_path / "modules"), os.environ.get("PYTHONPATH", "")])
    command = await process("show", session, env={"PYTHONPATH": path})
    out, _ = await command.communicate()
    assert (command.returncode, (tmp_path / "used").exists()) == (0, True)
    assert b"user-1" in out
