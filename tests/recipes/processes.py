"""Other processes: each has a manager, does what it is told, one line a time, and answers each."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import sessionstream.errors

__all__ = ["Actor", "environment"]

_FOLDER = Path(__file__).parent


def environment() -> dict[str, str]:
    """What another process needs to find the package."""
    return {**os.environ, "PYTHONPATH": str(Path(sessionstream.errors.__file__).parents[1])}


class Actor:
    """Another process; see `actor.py` for what it can be told."""

    def __init__(self, url: str, namespace: str) -> None:
        self._words = (str(_FOLDER / "actor.py"), url, namespace)
        self._process: asyncio.subprocess.Process

    async def __aenter__(self) -> Self:
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, *self._words, stdin=pipe, stdout=pipe, env=environment()
        )
        assert await self.do("begin") == "begun"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()

    async def do(self, *words: str) -> Any:
        """Tell it something, and return its answer."""
        self.say(*words)
        return await self.hear()

    def say(self, *words: str) -> None:
        """Tell it something, and do not wait."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(words).encode() + b"\n")

    async def hear(self) -> Any:
        """Return its next answer."""
        assert self._process.stdout is not None
        async with asyncio.timeout(30):
            return json.loads(await self._process.stdout.readline())
