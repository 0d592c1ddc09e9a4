"""A process that appends to a session, seals it, and saves checkpoints: ``python -m tests.integrity.writer URL …``."""

from __future__ import annotations

import asyncio
import sys

from sessionstream import NoteAdded, SessionManager
from tests.integrity.conftest import KEY


async def main(url: str, namespace: str, session_id: str) -> None:
    """Append 50 events and 10 checkpoints, and seal."""
    async with SessionManager(url=url, namespace=namespace, seal_key=KEY) as manager:
        for number in range(50):
            await manager.append(session_id, NoteAdded(text=str(number)))
            if number % 5 == 0:
                await manager.save_checkpoint(session_id, {"number": number})
            if number % 7 == 0:
                await manager.audit.seal(session_id)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
