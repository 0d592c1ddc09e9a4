"""langgraph-checkpoint-sqlite: ``AsyncSqliteSaver.aput`` on a SQLite file, with the settings that it comes with.

A checkpoint of LangGraph holds the whole conversation; here it holds the one new message, which is the least it can.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from benchmarks.payloads import Payload

__all__ = ["opened"]


@asynccontextmanager
async def opened(folder: Path, url: str, sessions: int) -> AsyncIterator[Callable[[int, Payload], Awaitable[object]]]:
    """Open threads of one saver, and give the function that saves a checkpoint of one message to one of them."""
    async with AsyncSqliteSaver.from_conn_string(str(folder / "langgraph.db")) as saver:
        await saver.setup()
        configs: list[Any] = [
            {"configurable": {"thread_id": f"thread-{number}", "checkpoint_ns": ""}} for number in range(sessions)
        ]

        async def append(number: int, payload: Payload) -> object:
            checkpoint = empty_checkpoint()
            checkpoint["channel_values"] = {"messages": [payload.message]}
            configs[number] = await saver.aput(configs[number], checkpoint, {"source": "loop", "step": 1}, {})
            return configs[number]

        yield append
