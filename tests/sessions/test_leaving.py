"""A manager that nobody closes leaves no task, no connection and no warning behind (G20)."""

from __future__ import annotations

import asyncio
import gc
import sys
from pathlib import Path

import pytest
from redis.asyncio import Redis

from sessionstream import SessionManager
from tests.servers import Server
from tests.sessions.waiting import until

_HEAD = """
import asyncio, gc, logging, sys
from redis.asyncio import Redis
from sessionstream import SessionManager

# What was slow on a busy machine is not what was left behind.
logging.getLogger("asyncio").addFilter(lambda record: "seconds" not in record.getMessage())

def make():
    return SessionManager(conn=Redis.from_url(sys.argv[1]), namespace=sys.argv[2])
"""
_SCRIPTS = {
    "made and never used": """
manager = make()
""",
    "made in a loop and never used": """
async def main():
    make()
asyncio.run(main())
""",
    "used": """
async def main():
    manager = make()
    session = await manager.create_session("user_1", "agent_1", ttl=60)
    assert await manager.get_session(session.session_id) == session
asyncio.run(main())
""",
    "used in one loop after another": """
manager = make()
async def main():
    await manager.create_session("user_1", "agent_1")
asyncio.run(main())
asyncio.run(main())
""",
    "dropped while the loop goes on": """
async def main():
    manager = make()
    await manager.create_session("user_1", "agent_1")
    del manager
    gc.collect()
    while len(asyncio.all_tasks()) > 1:
        await asyncio.sleep(0)
asyncio.run(main())
""",
    "dropped after a refused call": """
async def main():
    manager = make()
    try:
        await manager.set_session_state("sess_unknown", "idle")
    except ValueError:
        pass
asyncio.run(main())
""",
    "dropped with a call under way": """
async def main():
    manager = make()
    await manager.session_exists("sess_1")
    asyncio.create_task(manager.create_session("user_1", "agent_1"))
    await asyncio.sleep(0)
asyncio.run(main())
""",
    "dropped while it connects": """
async def main():
    asyncio.create_task(make().create_session("user_1", "agent_1"))
    await asyncio.sleep(0)
asyncio.run(main())
""",
    "dropped with a lock held": """
async def main():
    manager = make()
    await manager.create_session("user_1", "agent_1", session_id="sess_1")
    await manager.acquire_lock("sess_1")
asyncio.run(main())
""",
    "dropped while somebody waits for a lock": """
async def main():
    manager = make()
    await manager.create_session("user_1", "agent_1", session_id="sess_1")
    await manager.acquire_lock("sess_1")
    waiter = asyncio.create_task(manager.acquire_lock("sess_1"))
    lane = await manager.store.server.lane(asyncio.get_running_loop().time() + 30, manager.store.keys.head("sess_1"))
    while not await lane.call(("PUBSUB", "SHARDCHANNELS")):
        pass
asyncio.run(main())
""",
    "closed": """
async def main():
    async with make() as manager:
        await manager.create_session("user_1", "agent_1")
asyncio.run(main())
""",
}


@pytest.mark.parametrize("script", _SCRIPTS)
async def test_a_manager_that_is_left_open_leaves_nothing_behind(
    server: Server, namespace: str, tmp_path: Path, script: str
) -> None:
    """In Python's development mode, with warnings as errors, not a word is printed."""
    path = tmp_path / "script.py"
    path.write_text(_HEAD + _SCRIPTS[script], encoding="utf-8")
    command = [sys.executable, "-X", "dev", "-W", "error", str(path), server.url, namespace]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert (out.decode(), err.decode(), process.returncode) == ("", "", 0)


async def test_a_manager_that_is_dropped_closes_its_connection(server: Server, client: Redis, namespace: str) -> None:
    """The server sees it go while the loop runs on."""
    await client.ping()
    before = len(await client.client_list())
    manager = SessionManager.open(server.url, namespace=namespace)
    await manager.create_session("user_1", "agent_1")
    assert len(await client.client_list()) > before
    del manager
    gc.collect()

    async def gone() -> bool:
        return len(await client.client_list()) == before

    await until(gone)
