"""A store goes from one server to another by replication: every key as it was."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.sentinel import Sentinel
from redis.exceptions import RedisError

from sessionstream import NoteAdded, SessionManager
from sessionstream.errors import SessionStreamError
from tests.moving.worlds import GROUP, KEY, content, fill
from tests.servers import Server, free_port, program

Make = Callable[..., Server]
NAMESPACE = "moving"
# Replicas are not waited for, and told what there is once a second.
QUICK = {"repl_diskless_sync_delay": 0, "repl_ping_replica_period": 1}
SETTINGS: dict[str, Any] = {"namespace": NAMESPACE, "seal_key": KEY}


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(RedisError):
            if await condition():
                return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come to that in 30 s")


async def _digest(client: Redis) -> bytes:
    """Return what all keys and values of a server come to, in whichever order it holds them."""
    found: bytes = await client.execute_command("DEBUG", "DIGEST")
    return found


async def _follow(replica: Redis, primary: Server) -> None:
    """Make a server a replica, and return when it has all that its primary has."""
    await replica.execute_command("REPLICAOF", "127.0.0.1", primary.port)

    async def has_it() -> bool:
        mine = await replica.info("replication")
        async with Redis.from_url(primary.unix_url) as client:
            theirs = await client.info("replication")
        return (
            mine.get("master_link_status") == "up"
            and not mine["master_sync_in_progress"]
            and mine["slave_repl_offset"] == theirs["master_repl_offset"]
        )

    await _until(has_it)


async def _is_primary(client: Redis) -> bool:
    return bool((await client.info("replication"))["role"] == "master")


async def test_a_replica_takes_over_in_good_order(make_server: Make) -> None:
    """`FAILOVER` under load: what was acknowledged is on the new one, at its offset; all else is as it was."""
    old, new = make_server(**QUICK), make_server(**QUICK)
    async with Redis.from_url(old.unix_url) as there, Redis.from_url(new.unix_url) as here:
        async with SessionManager(url=old.unix_url, **SETTINGS) as manager:
            await fill(manager)
            await manager.audit.seal("u2")
            async with manager.follow_all(after="now") as events:
                cursor = str(events.cursor)
            before = await content(manager)
            position = (await manager.consumers.status(GROUP)).cursor
            await _follow(here, old)
            assert await _digest(here) == await _digest(there)
            told = asyncio.create_task(_append_on(manager))
            await _until(lambda: _has_appended(there, manager))
            await there.execute_command("FAILOVER", "TO", "127.0.0.1", new.port, "TIMEOUT", 10_000)
            await _until(lambda: _is_primary(here))
            acknowledged = await told
        async with SessionManager(url=new.unix_url, **SETTINGS) as manager:
            assert [event.offset async for event in manager.history("u0", types=[NoteAdded])][1:] == acknowledged
            after = await content(manager)
            assert {**after, "u0": None, "counts": None} == {**before, "u0": None, "counts": None}
            assert (await manager.consumers.status(GROUP)).cursor == position
            assert (await manager.audit.verify("u2")).sealed_to > 0
            assert (await manager.append("u1", NoteAdded(text="once"), idempotency_key="k")).duplicate
            async with manager.follow_all(after=cursor) as events:
                assert (await anext(aiter(events))).offset == acknowledged[0]


async def _append_on(manager: SessionManager) -> list[str]:
    """Append until the server takes no more, as it is a replica now; return the offsets that were acknowledged."""
    told = []
    with contextlib.suppress(SessionStreamError):
        while True:
            told.append((await manager.append("u0", NoteAdded(text="on"))).offset)
    return told


async def _has_appended(client: Redis, manager: SessionManager) -> bool:
    return bool(await client.xlen(manager.store.keys.events("u0")) > 20)


@contextlib.contextmanager
def _watched(primary: Server, folder: Path) -> Iterator[int]:
    """Start a sentinel that watches a primary, and give its port."""
    port, config = free_port(), folder / "sentinel.conf"
    lines = (f"port {port}", "bind 127.0.0.1", f"sentinel monitor primary 127.0.0.1 {primary.port} 1")
    config.write_text("\n".join([*lines, "sentinel down-after-milliseconds primary 1000", ""]))
    process = subprocess.Popen([program(), str(config), "--sentinel"], stdout=subprocess.DEVNULL, cwd=folder)
    try:
        yield port
    finally:
        process.kill()
        process.wait()


async def test_a_server_moves_into_a_set_that_sentinels_watch(make_server: Make, tmp_path: Path) -> None:
    """Its data come by a chain of replicas; once the writers have ended, the first of these is promoted and watched."""
    old, first, second = (make_server(**QUICK) for _ in range(3))
    async with SessionManager(url=old.unix_url, **SETTINGS) as manager:
        await fill(manager)
        before = await content(manager)
    async with Redis.from_url(first.unix_url) as one, Redis.from_url(second.unix_url) as two:
        await _follow(one, old)
        await _follow(two, first)
        await one.execute_command("REPLICAOF", "NO", "ONE")
        old.close()
        with _watched(first, tmp_path) as port:
            sentinel = Sentinel([("127.0.0.1", port)])
            await _until(lambda: _leads_to(sentinel, first))
            async with SessionManager(sentinel.master_for("primary", Redis), **SETTINGS) as manager:
                assert await content(manager) == before
                assert not (await manager.append("u0", NoteAdded(text="on"))).duplicate
                assert (await manager.consumers.status(GROUP)).lag == 1
            for client in sentinel.sentinels:
                await client.aclose()
        await _until(lambda: _same(one, two))


async def _leads_to(sentinel: Sentinel, primary: Server) -> bool:
    address: tuple[str, int] = await sentinel.discover_master("primary")
    return address[1] == primary.port


async def _same(one: Redis, two: Redis) -> bool:
    return await _digest(one) == await _digest(two)
