"""A process with a manager: it does what it reads on its standard input, a JSON list a line, and answers in JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from sessionstream import SessionManager
from sessionstream.recipes import enforce_session_limit, restore_or_create_session


async def _do(manager: SessionManager, word: str, *given: str) -> Any:
    if word == "begin":
        await manager.get_total_session_count()  # so that the connection is there
        return "begun"
    if word == "restore":
        session = await restore_or_create_session(manager, *given)
        return session.session_id
    if word == "set":
        await manager.update_session_metadata(given[0], {given[1]: given[2]})
        return "set"
    if word == "limit":
        return await enforce_session_limit(manager, given[0], int(given[1]))
    raise ValueError(word)


async def _main() -> None:
    async with SessionManager.open(sys.argv[1], namespace=sys.argv[2]) as manager:
        while line := await asyncio.to_thread(sys.stdin.readline):
            answer = await _do(manager, *json.loads(line))
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(_main())
