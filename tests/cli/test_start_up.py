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


LOOP_TELLER = """
import asyncio
print("loop:", type(asyncio.get_running_loop()).__module__)
none = []
"""
# What has None for a module is not there to be found.
WITHOUT_UVLOOP = "import sys; sys.modules['uvloop'] = None; from sessionstream.cli import main; main()"


@pytest.fixture
def telling(tmp_path: Path) -> tuple[str, ...]:
    """The words of a command that loads a module of the user's own, which tells the loop that it is loaded in."""
    (tmp_path / "teller.py").write_text(LOOP_TELLER)
    return ("stats", "--projections", "teller:none")


@pytest.mark.skipif(sys.platform == "win32", reason="there is no uvloop for Windows")
async def test_uvloop_is_used_where_it_is_installed(process: Process, session: str, telling: tuple[str, ...]) -> None:
    """Its loop runs the command."""
    command = await process(*telling)
    out, err = await command.communicate()
    assert (command.returncode, err) == (0, b"")
    assert b"loop: uvloop" in out.splitlines()


async def test_asyncios_own_loop_is_used_without_uvloop(
    process: Process, session: str, telling: tuple[str, ...]
) -> None:
    """The command is the same."""
    command = await process(*telling, code=WITHOUT_UVLOOP)
    out, err = await command.communicate()
    assert (command.returncode, err) == (0, b"")
    assert b"loop: asyncio.unix_events" in out.splitlines()
