"""A program that ends while it holds a lock, or waits for one, leaves no warning behind."""

from __future__ import annotations

import asyncio
import sys

import pytest

from sessionstream.events.lifecycle import SessionCreated
from sessionstream.locks import Locks
from sessionstream.log.store import Store
from tests.conftest import ROOT
from tests.servers import Server

PROGRAM = """
import asyncio, sys
from sessionstream.locks import Locks
from sessionstream.log.store import Store
from sessionstream.settings import Settings
from sessionstream.wire.opening import server_for

store = Store(server_for(None, sys.argv[1]), Settings(namespace=sys.argv[2]))
locks = Locks(store)

async def main():
    # A slow machine is nothing to warn of.
    asyncio.get_running_loop().slow_callback_duration = 60
    {what}

asyncio.run(main())
"""

ENDS = {
    "holding": "await locks.acquire('sess_1', lease=0.2)",
    "waiting": """waiter = asyncio.create_task(locks.acquire('sess_2', timeout=60))
    lane = await store.server.lane(asyncio.get_running_loop().time() + 30, store.keys.unlocked("sess_2"))
    while not (await lane.call(("PUBSUB", "SHARDNUMSUB", store.keys.unlocked("sess_2"))))[1]:
        await asyncio.sleep(0)""",
    "subscribing": """waiter = asyncio.create_task(locks.acquire('sess_2', timeout=60))
    for _ in range(30):
        await asyncio.sleep(0)""",
    "asking": """waiter = asyncio.create_task(locks.acquire('sess_1', lease=0.2))
    await asyncio.sleep(0)""",
    "closed": """await locks.acquire('sess_1', lease=0.2)
    await locks.aclose()
    await store.aclose()""",
}


@pytest.mark.parametrize("what", ENDS.values(), ids=ENDS.keys())
async def test_a_program_that_ends_leaves_no_warning(
    server: Server, namespace: str, store: Store, session_id: str, others: Locks, what: str
) -> None:
    """Neither a task, nor a connection, nor an exception that nobody asked for."""
    await store.append("sess_2", [SessionCreated(user_id="user_1", agent_id="agent_1")])
    async with others.hold("sess_2", lease=60):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-X", "dev", "-W", "error", "-c", PROGRAM.format(what=what), server.url, namespace),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, output.decode()) == (0, "")
