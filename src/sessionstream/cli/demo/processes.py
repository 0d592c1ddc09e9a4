"""Starting the demonstration's processes, hearing what they do, and killing one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

from sessionstream.errors import SessionStreamError

__all__ = ["AgentProcess", "agent_process"]


class AgentProcess:
    """A process of the demonstration.

    Args:
        process: as it was started.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def told(self) -> AsyncIterator[dict[str, Any]]:
        """Yield what it says that it did, as it does it, until it ends."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            yield json.loads(line)

    async def kill(self) -> None:
        """End it at once (SIGKILL): it can save nothing."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    async def ended(self) -> None:
        """Wait for its end.

        Raises:
            SessionStreamError: it failed; its last words are in the message.
        """
        assert self._process.stderr is not None
        words = (await self._process.stderr.read()).decode(errors="replace").strip()
        if await self._process.wait():
            raise SessionStreamError(
                f"a process of the demonstration failed: {words.splitlines()[-1] if words else '?'}"
            )


@contextlib.asynccontextmanager
async def agent_process(role: str, settings: dict[str, Any]) -> AsyncIterator[AgentProcess]:
    """Start the process of a role; it is killed if it is still there at the end.

    Args:
        role: ``first`` or ``second``.
        settings: of its `SessionManager`; told over a pipe, since a URL may hold a password.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "sessionstream.cli.demo.agents", role),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    agent = AgentProcess(process)
    try:
        assert process.stdin is not None
        process.stdin.write(json.dumps(settings).encode() + b"\n")
        yield agent
    finally:
        await agent.kill()
