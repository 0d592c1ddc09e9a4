"""A client of redis-py's Sentinel is one like any other: its connections ask the sentinels where the primary is.

G20.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.asyncio.sentinel import Sentinel
from redis.exceptions import ConnectionError as DriverConnectionError

from sessionstream import NoteAdded, SessionManager
from tests.servers import Server, free_port, program


@pytest.fixture
def watched(make_server: Callable[..., Server]) -> Server:
    """A server of the test's own."""
    return make_server()


@pytest.fixture
def sentinel_port(watched: Server, tmp_path: Path) -> Iterator[int]:
    """The port of a sentinel that watches it."""
    port = free_port()
    config = tmp_path / "sentinel.conf"
    config.write_text(f"port {port}\nbind 127.0.0.1\nsentinel monitor primary 127.0.0.1 {watched.port} 1\n")
    process = subprocess.Popen([program(), str(config), "--sentinel"], stdout=subprocess.DEVNULL, cwd=tmp_path)
    yield port
    process.kill()
    process.wait()


async def test_a_sentinel_leads_to_the_primary(watched: Server, sentinel_port: int) -> None:
    """Its client may be dropped by the caller: the manager keeps what it needs of it."""
    sentinel = Sentinel([("127.0.0.1", sentinel_port)])
    async with asyncio.timeout(10):
        while True:
            with contextlib.suppress(DriverConnectionError):
                if (await sentinel.discover_master("primary"))[1] == watched.port:
                    break
            await asyncio.sleep(0.02)
    async with SessionManager(sentinel.master_for("primary", Redis), namespace="n") as manager:
        session_id = (await manager.create_session("user", "agent")).session_id
        await manager.append(session_id, NoteAdded(text="x"))
        assert [event.version async for event in manager.history(session_id)] == [1, 2]
    for client in sentinel.sentinels:
        await client.aclose()
