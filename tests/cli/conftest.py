"""Running commands: in this process for most tests, as a process of their own for some."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

from sessionstream import SessionManager
from sessionstream.cli.app import application
from tests.servers import Server

__all__ = ["Cli", "Process", "Result"]


class Result(NamedTuple):
    """What a command did.

    Attributes:
        code: its exit code.
        out: its standard output.
        err: its standard error.
    """

    code: int
    out: str
    err: str

    @property
    def records(self) -> list[Any]:
        """The objects of its JSON lines; every line of the output has to be one."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def record(self) -> Any:
        """The only object of its output."""
        (record,) = self.records
        return record


MAIN = "from sessionstream.cli import main; main()"

Cli = Callable[..., Awaitable[Result]]
Process = Callable[..., Awaitable[asyncio.subprocess.Process]]


@pytest.fixture
def cli(server: Server, namespace: str) -> Cli:
    """Run a command on the test's namespace: ``await cli("show", "s")``; for all that it knows its output is a pipe."""

    async def run(*words: str, given: bytes | None = None, **env: str | None) -> Result:
        store = {"SESSIONSTREAM_URL": server.url, "SESSIONSTREAM_NAMESPACE": namespace, "TERM": "dumb"}
        invoke = CliRunner(env={**store, **env}).invoke
        # A command runs an event loop of its own.
        result = await asyncio.to_thread(invoke, application, list(words), given, prog_name="sessionstream")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Result(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
async def process(server: Server, namespace: str, tmp_path: Path) -> AsyncIterator[Process]:
    """Start a command as a process of its own, with pipes: ``await process("demo", stdin=…)``."""
    started: list[asyncio.subprocess.Process] = []

    async def start(
        *words: str, code: str = MAIN, env: dict[str, str | None] | None = None, **options: Any
    ) -> asyncio.subprocess.Process:
        store = {"SESSIONSTREAM_URL": server.url, "SESSIONSTREAM_NAMESPACE": namespace}
        variables = {**os.environ, **store, **(env or {})}
        started.append(
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-c", code, *words),
                **dict.fromkeys(("stdout", "stderr"), asyncio.subprocess.PIPE) | options,
                env={name: value for name, value in variables.items() if value is not None},
                cwd=tmp_path,
            )
        )
        return started[-1]

    yield start
    for one in started:
        if one.returncode is None:
            one.kill()
            await one.wait()


@pytest.fixture
async def manager(server: Server, namespace: str) -> AsyncIterator[SessionManager]:
    """A manager of the namespace on which the commands run."""
    async with SessionManager.open(server.url, namespace=namespace) as manager:
        yield manager


@pytest.fixture
async def session(manager: SessionManager) -> str:
    """A session with five events: created, two messages, a checkpoint that covers them, one more message."""
    await manager.create_session("user-1", "agent-1", {"stage": "one"}, session_id="s")
    await manager.add_messages("s", [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}])
    await manager.save_checkpoint("s", {"turn": 1}, label="first", checkpoint_id="c1")
    await manager.add_messages("s", {"role": "user", "content": "Bye"})
    return "s"
