"""A process of its own that runs the document's `safe_session_update`, and stays inside it until it is told to go on.

    python -m tests.seed.holder URL DOCUMENT

It prints ``inside`` when it holds the lock, waits for a line, then lets the function write, and prints the name of the
error that came of it, or ``written``.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from sessionstream import Session, SessionManager
from tests.seed.stage import compiled, evaluated, python_blocks

_LEASE = 0.5


class _Brief(SessionManager):
    """Its locks run out soon after their holder's process has stopped."""

    async def acquire_lock(self, session_id: str, **others: Any) -> Any:
        return await super().acquire_lock(session_id, lease=_LEASE, **others)


async def _stay(session: Session) -> Session:
    print("inside", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    session.metadata["by"] = "holder"
    return session


async def _main(url: str, document: str) -> None:
    block = python_blocks(Path(document))[17]
    async with _Brief.open(url) as manager:
        names: dict[str, Any] = {"session_manager": manager}
        await evaluated(compiled(block, 18), names)
        try:
            await names["safe_session_update"]("sess_abc123", _stay)
        except Exception as error:
            print(type(error).__name__, flush=True)
        else:
            print("written", flush=True)


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
