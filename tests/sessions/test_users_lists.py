"""A user's list lies in another partition than the user's sessions: what a crash leaves of it, and how it is mended.

G13.
"""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from redis.asyncio import Redis

from sessionstream.lifecycle.enlisting import enlist
from sessionstream.manager import SessionManager
from tests.servers import Server

CREATING = """
import asyncio, itertools, sys
from sessionstream import SessionManager

async def main(url, namespace):
    async with SessionManager(url=url, namespace=namespace) as manager:
        for number in itertools.count(1):
            await asyncio.gather(*(manager.create_session("user", "agent") for _ in range(10)))
            print(number, flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_an_entry_whose_session_was_never_created_is_passed_over(manager: SessionManager) -> None:
    """As a process leaves it that crashed in between."""
    await enlist(manager.store, "user", "never_created")
    session = await manager.create_session("user", "agent")
    assert await manager.get_sessions_by_user("user") == [session]


async def test_an_entry_that_was_lost_comes_back(manager: SessionManager, client: Redis) -> None:
    """The clean-up notes again what the feed tells of, as after a failover that lost the entry alone."""
    session = await manager.create_session("user", "agent")
    await client.delete(manager.store.keys.user("user"))
    assert await manager.get_sessions_by_user("user") == []
    await manager.cleanup_expired_sessions()
    assert await manager.get_sessions_by_user("user") == [session]


@pytest.mark.parametrize("rounds", [1, 4, 9])
async def test_a_killed_creator_leaves_no_session_that_is_missing(
    server: Server, namespace: str, manager: SessionManager, rounds: int
) -> None:
    """Whatever of its creates had happened by then is in the list."""
    command = [sys.executable, "-c", CREATING, server.url, namespace]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(rounds):
            assert process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    created = {session.session_id for session in await manager.get_all_active_sessions()}
    assert len(created) >= 10 * rounds
    assert created <= {session.session_id for session in await manager.get_sessions_by_user("user")}
