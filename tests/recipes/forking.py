"""A process that reads with a cache, forks, and goes on in both; each says whose change it saw at last."""

from __future__ import annotations

import asyncio
import os
import sys

from sessionstream import CachedSessionManager

manager = CachedSessionManager(url=sys.argv[1], namespace=sys.argv[2])


async def wait_for(name: str, value: str) -> None:
    """Read until the metadata says so."""
    async with asyncio.timeout(20):
        while (session := await manager.get_session("sess_1")) is None or session.metadata.get(name) != value:
            await asyncio.sleep(0.001)


async def child() -> None:
    """See what the parent did, and do something."""
    await wait_for("by", "parent")
    print("child: parent", flush=True)
    await manager.update_session_metadata("sess_1", {"by": "child"})
    await wait_for("by", "child")
    await manager.aclose()


async def main() -> None:
    """Fork while the cache holds a session; a child has no running loop, so it begins its own."""
    await manager.create_session("user_1", "agent_1", {"by": "nobody"}, session_id="sess_1")
    await wait_for("by", "nobody")
    if (pid := os.fork()) == 0:
        asyncio.run(child())
        sys.stdout.flush()
        os._exit(0)
    await manager.update_session_metadata("sess_1", {"by": "parent"})
    await wait_for("by", "child")
    print("parent: child", flush=True)
    os.waitpid(pid, 0)
    await manager.aclose()


asyncio.run(main())
