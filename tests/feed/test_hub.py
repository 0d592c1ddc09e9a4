"""Who waits for keys is woken by every change, by one connection, and asks nothing meanwhile (G23)."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import warnings
from collections.abc import AsyncIterator, Callable

import pytest
from redis.asyncio import Redis

from sessionstream import SessionManager
from sessionstream.errors import Unavailable
from sessionstream.feed.hub import Bell, Hub
from sessionstream.wire.opening import server_for
from tests.feed.conftest import Open
from tests.nodes import lanes_of
from tests.servers import Server
from tests.sessions.waiting import until


@pytest.fixture
def key(manager: SessionManager) -> str:
    """A key that a test may write, of a kind that belongs to a partition."""
    return manager.store.keys.group("hub", 0)


async def _hearing(client: Redis) -> list[dict[str, str]]:
    """Return the connections that hear of changes."""
    return [one for one in await client.client_list() if "t" in one["flags"]]


async def _settled(bell: Bell, client: Redis) -> None:
    """Return when the bell's keys are armed and nothing more rings."""
    await until(lambda: _hearing(client))
    with contextlib.suppress(TimeoutError):
        while True:
            async with asyncio.timeout(0.05):
                await bell.wait()


async def test_a_change_rings(hub: Hub, client: Redis, key: str) -> None:
    """Each one, and it tells which key."""
    with hub.watching([key]) as bell:
        assert await bell.wait() == {key}
        await _settled(bell, client)
        for _ in range(5):
            await client.hincrby(key, "n", 1)
            assert await bell.wait() == {key}


async def test_another_key_does_not_ring(hub: Hub, client: Redis, manager: SessionManager) -> None:
    """Only what is waited for."""
    keys = manager.store.keys
    with hub.watching([keys.group("hub", 0)]) as bell:
        await _settled(bell, client)
        await client.hset(keys.group("hub", 1), "n", 1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await bell.wait()


async def test_no_change_is_missed(hub: Hub, client: Redis, key: str) -> None:
    """Whoever reads after each ring comes to the last value, however fast it changes."""
    last = 2_000

    async def write() -> None:
        for _ in range(last):
            await client.hincrby(key, "n", 1)

    with hub.watching([key]) as bell:
        writing = asyncio.create_task(write())
        read = 0
        async with asyncio.timeout(30):
            while read < last:
                await bell.wait()
                read = int(await client.hget(key, "n") or 0)
        await writing


async def test_each_of_many_who_wait_for_one_key_misses_nothing(hub: Hub, client: Redis, key: str) -> None:
    """Not even those who find that another one is just asking the server for them."""
    last = 500

    async def read() -> None:
        with hub.watching([key]) as bell:
            async with asyncio.timeout(30):
                while True:
                    await bell.wait()
                    if int(await client.hget(key, "n") or 0) == last:
                        return

    reading = [asyncio.create_task(read()) for _ in range(20)]
    for _ in range(last):
        await client.hincrby(key, "n", 1)
    await asyncio.gather(*reading)


async def test_reading_through_the_bell_is_asking(hub: Hub, client: Redis, key: str) -> None:
    """Whoever reads so after each ring misses nothing, also beside others who read at the same time."""
    last = 300

    async def read() -> None:
        with hub.watching([key]) as bell:
            found = 0
            async with asyncio.timeout(30):
                while found < last:
                    await bell.rung()
                    [value] = await bell.read((("HGET", key, "n"),))
                    found = int(value or 0)

    reading = [asyncio.create_task(read()) for _ in range(20)]
    for _ in range(last):
        await client.hincrby(key, "n", 1)
    await asyncio.gather(*reading)


async def test_what_many_ask_for_at_the_same_time_is_read_once(hub: Hub, client: Redis, key: str) -> None:
    """When they were woken by the same change; one who is cancelled leaves the reply to the others."""
    await client.hset(key, "n", 1)
    async with contextlib.AsyncExitStack() as stack:
        bells = [stack.enter_context(hub.watching([key])) for _ in range(100)]
        await _settled(bells[0], client)
        await client.config_resetstat()
        asking = [asyncio.create_task(bell.read((("HGET", key, "n"),))) for bell in bells]
        await asyncio.sleep(0)
        asking[0].cancel()
        found = await asyncio.gather(*asking[1:])
        assert found == [[b"1"]] * 99
        assert (await client.info("commandstats"))["cmdstat_hget"]["calls"] <= 2


async def test_all_who_wait_share_one_connection(hub: Hub, client: Redis, manager: SessionManager) -> None:
    """Of 1,000 keys, to each node that has any; it is gone with the last of them."""
    keys = [manager.store.keys.group(f"hub{number}", number % 16) for number in range(1_000)]
    with contextlib.ExitStack() as stack:
        bells = [stack.enter_context(hub.watching([one])) for one in keys]
        await asyncio.gather(*(bell.wait() for bell in bells))
        nodes = len(await lanes_of(manager.store))
        await until(lambda: _as_many_hear(client, nodes))
        await asyncio.gather(*(bell.wait() for bell in bells))
        await client.hset(keys[7], "n", 1)
        assert await bells[7].wait() == {keys[7]}
    await until(lambda: _nobody_hears(client))


async def _as_many_hear(client: Redis, count: int) -> bool:
    return len(await _hearing(client)) == count


async def _nobody_hears(client: Redis) -> bool:
    return not await _hearing(client)


async def test_nothing_is_asked_while_nothing_changes(hub: Hub, client: Redis, manager: SessionManager) -> None:
    """The connection has sent nothing since the keys were armed."""
    with hub.watching([manager.store.keys.group("hub", number) for number in range(16)]) as bell:
        quiet = False
        async with asyncio.timeout(20):
            while not quiet:  # on a busy machine a ring of before may come late
                await _settled(bell, client)
                await client.config_resetstat()
                try:
                    async with asyncio.timeout(0.3):
                        await bell.wait()
                except TimeoutError:
                    quiet = True
        stats = await client.info("commandstats")
        assert set(stats) <= {"cmdstat_config|resetstat", "cmdstat_info"}


async def test_a_lost_connection_is_made_anew_and_rings(hub: Hub, client: Redis, key: str) -> None:
    """For what changed meanwhile was not heard."""
    with hub.watching([key]) as bell:
        await _settled(bell, client)
        for one in await _hearing(client):
            await client.client_kill_filter(_id=one["id"])
        await client.hset(key, "n", 1)
        assert await bell.wait() == {key}
        await _settled(bell, client)
        await client.hset(key, "n", 2)
        assert await bell.wait() == {key}


async def test_it_outlives_the_server(make_server: Callable[..., Server]) -> None:
    """One that is stopped, and started again some time later."""
    server = make_server()
    of_server = server_for(None, server.unix_url)
    hub = Hub(of_server)
    with hub.watching(["{a}k"]) as bell:
        async with Redis.from_url(server.unix_url) as client:
            await _settled(bell, client)
        server.stop()
        server.start()
        async with Redis.from_url(server.unix_url) as client:
            assert await bell.wait() == {"{a}k"}
            await _settled(bell, client)
            await client.set("{a}k", "1")
            assert await bell.wait() == {"{a}k"}
    await hub.aclose()
    await of_server.aclose()


async def test_removing_everything_rings(make_server: Callable[..., Server]) -> None:
    """Which the server tells without a key."""
    server = make_server()
    of_server = server_for(None, server.unix_url)
    hub = Hub(of_server)
    async with Redis.from_url(server.unix_url) as client:
        with hub.watching(["{a}k"]) as bell:
            await _settled(bell, client)
            await client.flushall()
            assert await bell.wait() == {"{a}k"}
    await hub.aclose()
    await of_server.aclose()


@pytest.fixture
async def restricted(client: Redis, server: Server) -> AsyncIterator[str]:
    """The URL of a user who may not ask to be told of changes."""
    await client.acl_setuser(
        "deaf", enabled=True, passwords=["+pw"], categories=["+@all"], commands=["-client|tracking"], keys=["*"]
    )
    yield server.url_as("deaf", "pw")
    await client.acl_deluser("deaf")


@pytest.mark.parametrize("also_without_connections", [False, True])
async def test_without_the_permission_bells_ring_by_themselves(
    open_manager: Open, client: Redis, restricted: str, key: str, also_without_connections: bool
) -> None:
    """Twice a second: what changes is seen, only later; also where the server gives this user no more connections."""
    manager = open_manager(restricted)
    await lanes_of(manager.store)
    if also_without_connections:
        await client.acl_setuser("deaf", enabled=True, reset_passwords=True, passwords=["+another"])
    hub = Hub(manager.store.server)
    with hub.watching([key]) as bell:
        await bell.wait()
        await client.hset(key, "n", 1)
        async with asyncio.timeout(10):
            assert await bell.wait() == {key}
            assert await bell.wait() == {key}
    await hub.aclose()


async def test_who_waits_when_it_is_closed_is_told(hub: Hub, client: Redis, key: str) -> None:
    """By an error; the connection is gone."""
    with hub.watching([key]) as bell:
        await _settled(bell, client)
        waiting = asyncio.create_task(bell.wait())
        await asyncio.sleep(0)
        await hub.aclose()
        with pytest.raises(Unavailable):
            await waiting
    await until(lambda: _nobody_hears(client))


async def test_a_cancelled_wait_loses_nothing(hub: Hub, client: Redis, key: str) -> None:
    """What rang before is returned by the next one."""
    with hub.watching([key]) as bell:
        await _settled(bell, client)
        await client.hset(key, "n", 1)
        await until(lambda: bell._rung)
        waiting = asyncio.create_task(bell.wait())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert await bell.wait() == {key}


def test_a_loop_that_ends_leaves_nothing_behind(server: Server) -> None:
    """No warning and no connection, though nothing was closed."""

    async def watch() -> None:
        hub = Hub(server_for(None, server.unix_url))
        entered = hub.watching(["{a}k"])
        bell = entered.__enter__()
        async with server.client() as client:
            await _settled(bell, client)
        kept.append((hub, entered))

    kept: list[object] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asyncio.run(watch())
        kept.clear()
        gc.collect()
