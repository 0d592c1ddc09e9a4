"""Locks of a user who may not publish, or not hear, are slower to change hands, and safe all the same (G16)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream.events.lifecycle import SessionCreated
from sessionstream.locks import Locks
from sessionstream.log.store import Store
from sessionstream.settings import Settings
from sessionstream.wire.connect import Dialer
from sessionstream.wire.server import Server as Wire
from tests.servers import Server

LEASE = 0.6


@pytest.fixture
async def admin(make_server: Callable[..., Server]) -> AsyncIterator[Redis]:
    """A server's own user, who may do everything."""
    async with Redis.from_url(make_server().url) as admin:
        yield admin


@pytest.fixture
async def locks_of(admin: Redis) -> AsyncIterator[Callable[..., Any]]:
    """Make the locks of a user with these rules."""
    stores: list[Store] = []

    async def make(name: str, *rules: str) -> Locks:
        words: tuple[str, ...] = ("ACL", "SETUSER", name, "on", ">secret", "~*", "+@all", *rules)
        await admin.execute_command(*words)  # type: ignore[no-untyped-call]
        address = admin.connection_pool.connection_kwargs
        url = f"redis://{name}:secret@{address['host']}:{address['port']}"
        stores.append(Store(Wire(Dialer.from_url(url).dial), Settings()))
        return Locks(stores[-1])

    free = Store(Wire(Dialer(admin).dial), Settings())
    await free.append("s", [SessionCreated(user_id="user_1", agent_id="agent_1")])
    await free.aclose()
    yield make
    for store in stores:
        await store.aclose()


async def test_who_may_not_publish_releases(locks_of: Callable[..., Any]) -> None:
    """The lock is free, though nobody is told."""
    locks = await locks_of("mute", "resetchannels")
    async with locks.hold("s"):
        pass
    assert await locks.locked(["s"]) == [False]


@pytest.mark.parametrize("holder", ["mute", "free"])
@pytest.mark.parametrize("waiter", ["deaf", "free"])
async def test_who_is_not_woken_asks_when_the_lease_would_have_run_out(
    admin: Redis, locks_of: Callable[..., Any], holder: str, waiter: str
) -> None:
    """Nobody waits for ever, and nobody asks over and over or connects again and again."""
    first = await locks_of(f"{holder}_holder", *(["resetchannels"] if holder == "mute" else ["&*"]))
    second = await locks_of(f"{waiter}_waiter", *(["resetchannels"] if waiter == "deaf" else ["&*"]))
    lock = await first.acquire("s", lease=LEASE)
    before = await admin.info("stats")
    task = asyncio.create_task(second.acquire("s", timeout=20))
    await asyncio.wait({task}, timeout=LEASE * 1.5)
    assert not task.done()
    await first.release("s", lock)
    loop = asyncio.get_running_loop()
    released = loop.time()
    assert (await task).token == lock.token + 1
    assert loop.time() - released < LEASE + 0.5
    after = await admin.info("stats")
    assert after["total_connections_received"] - before["total_connections_received"] <= 3
    assert after["total_commands_processed"] - before["total_commands_processed"] < 60
