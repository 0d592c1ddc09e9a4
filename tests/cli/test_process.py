"""Commands as processes of their own: pipes that close, signals, and the exit code that a shell sees."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

from sessionstream import NoteAdded, SessionManager
from tests.cli.conftest import MAIN, Process
from tests.transfer.recorded import line

PIPE = asyncio.subprocess.PIPE


async def test_a_shell_sees_output_errors_and_exit_code(process: Process, session: str) -> None:
    """Of a command that works, and of one that does not."""
    good, bad = await process("show", session, "--json"), await process("show", "nobody")
    out, err = await good.communicate()
    assert (good.returncode, err) == (0, b"")
    assert json.loads(out)["user_id"] == "user-1"
    out, err = await bad.communicate()
    assert (bad.returncode, out, err) == (1, b"", b"sessionstream: session 'nobody' not found\n")


async def test_a_reader_that_goes_away_ends_the_command_quietly(process: Process, manager: SessionManager) -> None:
    """As ``| head`` does."""
    await manager.create_session("u", "a", session_id="s")
    await manager.append("s", [NoteAdded(text="x" * 1000) for _ in range(2000)])
    command = await process("history", "s", "--json")
    assert command.stdout is not None
    assert command.stderr is not None
    await command.stdout.readline()
    command.stdout._transport.close()  # type: ignore[attr-defined]
    assert await command.stderr.read() == b""
    assert await command.wait() == 141


async def test_a_disk_that_is_full_is_told_in_one_line(process: Process, session: str) -> None:
    """Where the output goes to it."""
    with Path("/dev/full").open("wb") as full:
        command = await process("export", session, stdout=full)
        _, err = await command.communicate()
    assert (command.returncode, err) == (2, b"sessionstream: standard output: No space left on device\n")


async def test_output_may_be_closed(process: Process, session: str) -> None:
    """As schedulers start commands; no connection takes its place."""
    shell = ["sh", "-c", '"$0" -c "$1" show s <&- 2>&-', sys.executable, MAIN]
    command = await process(code=f"import os; os.execv('/bin/sh', {shell!r})")
    await command.communicate()
    assert command.returncode == 0


async def test_sigterm_ends_what_a_shell_runs_in_its_background(
    process: Process, manager: SessionManager, session: str
) -> None:
    """In good order, though Ctrl-C is ignored there, and stays so."""
    shell = ["sh", "-c", 'trap "" INT; exec "$0" -P -c "$1" follow s --json', sys.executable, MAIN]
    command = await process(code=f"import os; os.execv('/bin/sh', {shell!r})")
    assert command.stdout is not None
    async with asyncio.timeout(30):
        told = [json.loads(await command.stdout.readline()) for _ in range(5)]
        command.send_signal(signal.SIGINT)
        appended = await manager.append(session, NoteAdded(text="x"))
        told.append(json.loads(await command.stdout.readline()))
        command.send_signal(signal.SIGTERM)
        out, err = await command.communicate()
    assert [record["version"] for record in told] == [1, 2, 3, 4, 5, 6]
    assert (command.returncode, out) == (130, b"")
    said = ["go on with --after " + appended.offset, "sessionstream: interrupted"]
    assert err.decode().splitlines() == said


async def test_an_import_that_is_interrupted_says_so_and_is_completed_by_another(
    process: Process, manager: SessionManager, tmp_path: Path
) -> None:
    """Ctrl-C while it waits for more lines: no traceback, and the same lines again double nothing."""
    lines = [line(str(number), session_id=f"s{number}") for number in range(5)]
    command = await process("import", "-", stdin=PIPE)
    assert command.stdin is not None
    command.stdin.write(b"".join(lines[:3]))
    await command.stdin.drain()
    async with asyncio.timeout(30):
        while await manager.get_total_session_count() < 3:
            await asyncio.sleep(0.01)
    command.send_signal(signal.SIGINT)
    _, err = await command.communicate()
    assert command.returncode == 130
    assert b"run it again" in err
    assert err.endswith(b"sessionstream: interrupted\n")
    assert b"Traceback" not in err
    (tmp_path / "lines").write_bytes(b"".join(lines))
    again = await process("import", "lines", "--json")
    record = json.loads((await again.communicate())[0])
    assert (record["created"], record["unchanged"], record["messages"]) == (2, 3, 2)
