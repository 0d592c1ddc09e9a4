"""Where a code block of the seed document runs: a real store, and the names that the document takes for granted."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import re
import sys
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Self

import pytest
from cryptography.fernet import Fernet
from redis.asyncio import Redis

from sessionstream import AgentConfig, Session, SessionManager, SessionState

__all__ = ["Stage", "compiled", "evaluated", "python_blocks"]

_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def python_blocks(document: Path) -> list[str]:
    """Return the Python code blocks of a document, exactly as written, in their order."""
    return _BLOCK.findall(document.read_text(encoding="utf-8"))


def compiled(block: str, number: int) -> CodeType:
    """Compile a block as it is written; it may await at its top level."""
    return compile(block, _name(number), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)


async def evaluated(code: CodeType, names: dict[str, Any]) -> None:
    """Run a compiled block in these names."""
    result = eval(code, names)
    if code.co_flags & inspect.CO_COROUTINE:
        await result


def _name(number: int) -> str:
    return f"<block {number} of the seed>"


class Stage:
    """A fresh store, and the names in which blocks of the document run.

    Attributes:
        names: what a block finds, and what it leaves.
        manager: the store's manager; a block knows it as ``session_manager``.
        cipher: what the ``encrypt`` of the document encrypts with.
        ran: the numbers of the blocks that have run.
        entered: how often each function of a block was entered, or went on after an ``await``.
    """

    def __init__(self, blocks: list[str], client: Redis, capsys: pytest.CaptureFixture[str]) -> None:
        self._blocks = blocks
        self._capsys = capsys
        self._printed = ""
        self.manager = SessionManager(conn=client, ttl=3600)
        self.cipher = Fernet(Fernet.generate_key())
        self.ran: list[int] = []
        self.entered: Counter[str] = Counter()
        self.names: dict[str, Any] = {
            "__name__": "seed",
            "redis_client": client,
            "session_manager": self.manager,
            "SessionManager": SessionManager,
            "SessionState": SessionState,
            "AgentConfig": AgentConfig,
            "asyncio": asyncio,
            "datetime": datetime,
            "timedelta": timedelta,
            "encrypt": lambda text: self.cipher.encrypt(text.encode()).decode(),
        }

    def __enter__(self) -> Self:
        sys.setprofile(self._observe)
        return self

    def __exit__(self, *error: object) -> None:
        sys.setprofile(None)

    def __getitem__(self, name: str) -> Any:
        """Return what a block left under a name."""
        return self.names[name]

    async def run(self, number: int) -> None:
        """Run a block, counted from 1."""
        self.ran.append(number)
        await evaluated(compiled(self._blocks[number - 1], number), self.names)

    def expressions(self, number: int) -> list[str]:
        """Return the expressions that are statements of their own in a block."""
        body = ast.parse(self._blocks[number - 1]).body
        return [ast.unparse(node.value) for node in body if isinstance(node, ast.Expr)]

    async def session(self, session_id: str = "sess_abc123", **others: Any) -> Session:
        """Create a session that the document speaks of."""
        given = {"user_id": "user_123", "agent_id": "chatbot", **others}
        return await self.manager.create_session(session_id=session_id, **given)

    async def checkpoint(self, data: Any, checkpoint_id: str = "ckpt_xyz789") -> str:
        """Save a checkpoint that the document speaks of."""
        return await self.manager.save_checkpoint("sess_abc123", data, checkpoint_id=checkpoint_id)

    async def history(self, session_id: str = "sess_abc123") -> list[tuple[str, dict[str, Any]]]:
        """Return the type and the data of every event of a session."""
        return [(event.type, json.loads(event.raw)) async for event in self.manager.history(session_id)]

    async def types(self, session_id: str = "sess_abc123") -> list[str]:
        """Return the type of every event of a session."""
        return [event.type async for event in self.manager.history(session_id)]

    def printed(self) -> list[str]:
        """Return the lines that were printed so far."""
        self._printed += self._capsys.readouterr().out
        return self._printed.splitlines()

    def uncalled(self) -> set[str]:
        """Return the functions that the blocks define and that nobody has called."""
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
        defined = {
            node.name
            for number in self.ran
            for node in ast.walk(ast.parse(self._blocks[number - 1]))
            if isinstance(node, kinds)
        }
        return defined - set(self.entered)

    async def aclose(self) -> None:
        """Close the manager's connection."""
        await self.manager.aclose()

    def _observe(self, frame: FrameType, event: str, argument: object) -> None:
        if event == "call" and frame.f_code.co_filename.endswith("of the seed>"):
            self.entered[frame.f_code.co_name] += 1
