"""The document's `safe_session_update`, as written, is fenced: who lost the lock while it was paused writes nothing.

G16.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.seed.stage import Stage
from tests.servers import Server

_HOLDER = "tests.seed.holder"


@pytest.fixture
async def holder(server: Server, stage: Stage, seed: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Another process that is inside `safe_session_update` of the session."""
    await stage.session(metadata={"by": "nobody"})
    pipe = asyncio.subprocess.PIPE
    command = [sys.executable, "-m", _HOLDER, server.url, str(seed)]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=pipe, stdout=pipe)
    try:
        assert await _line(process) == "inside"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def _line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await asyncio.wait_for(process.stdout.readline(), 30)).decode().strip()


def _go_on(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    process.stdin.write(b"go on\n")


@pytest.mark.parametrize("key", ["by", "another"])
async def test_a_holder_that_was_paused_past_its_lease_writes_nothing(
    stage: Stage, holder: asyncio.subprocess.Process, key: str
) -> None:
    """Its lock went to somebody else, whose update stands; its own is refused with `LockLost`, whichever key it set."""
    holder.send_signal(signal.SIGSTOP)
    async with stage.manager.lock("sess_abc123", timeout=30):
        await stage.manager.update_session_metadata("sess_abc123", {key: "successor"})
    _go_on(holder)
    holder.send_signal(signal.SIGCONT)
    assert await _line(holder) == "LockLost"
    assert (await stage.history())[1:] == [("session.metadata_updated", {"set": {key: "successor"}})]


async def test_a_holder_that_was_not_paused_writes(stage: Stage, holder: asyncio.subprocess.Process) -> None:
    """The same process, left alone, does what it was asked to."""
    _go_on(holder)
    assert await _line(holder) == "written"
    assert (await stage.history())[1:] == [("session.metadata_updated", {"set": {"by": "holder"}})]
