"""The server behind a store: found again after every interruption, within the deadline, with the library's errors.

G3.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import OutcomeUnknown, Unavailable
from sessionstream.errors import ServerError
from sessionstream.wire.connect import Dialer
from sessionstream.wire.scripts import Script
from sessionstream.wire.server import Server
from tests import servers
from tests.proxy import Fault, Proxy

COUNT = Script("count", "return redis.call('INCR', KEYS[1])")
GET = Script("get", "return redis.call('GET', KEYS[1])")


def server_at(url: str, *, deadline: float = 15.0, reply_timeout: float = 5.0) -> Server:
    """Return the server at a URL, with times of our own."""
    return Server(Dialer.from_url(url, reply_timeout=min(reply_timeout, deadline)).dial, deadline=deadline)


@pytest.fixture
async def through(proxy: Proxy) -> AsyncIterator[Server]:
    """The shared server, through the proxy."""
    server = server_at(proxy.url)
    yield server
    await server.aclose()


@pytest.fixture
def key(make_namespace: Callable[[], str]) -> str:
    """A key of the test's own, in the shape that the log has for a partition's own."""
    return f"{make_namespace()}:{{0}}:log"


async def test_all_callers_of_a_loop_share_one_connection(through: Server, proxy: Proxy) -> None:
    """Also those that come while it is being made."""
    replies = await asyncio.gather(*(through.call("ECHO", number) for number in range(100)))
    assert replies == [str(number).encode() for number in range(100)]
    assert proxy.connections == 1


async def test_a_script_is_loaded_where_the_server_lacks_it(through: Server, client: Redis, key: str) -> None:
    """Once, and again after its scripts were flushed; it runs exactly once each time."""
    for number in range(1, 4):
        await client.script_flush()
        assert await through.script(COUNT, [key], []) == number
    await client.delete(key)


async def test_a_restarted_server_is_found_again(make_server: Callable[..., servers.Server]) -> None:
    """What it holds is there, its scripts are loaded anew, and nobody notices."""
    real = make_server()
    server = server_at(real.unix_url)
    assert await server.script(COUNT, ["n"], []) == 1
    real.restart()
    assert await server.call("GET", "n") == b"1"
    real.restart()
    assert await server.script(COUNT, ["n"], []) == 2
    await server.aclose()


async def test_calls_under_way_survive_a_restart(make_server: Callable[..., servers.Server]) -> None:
    """Reads are sent again until they are answered."""
    real = make_server()
    server = server_at(real.unix_url)
    await server.call("SET", "n", 1)
    real.pause()
    calls = [asyncio.create_task(server.call("GET", "n")) for _ in range(20)]
    await asyncio.sleep(0)
    await asyncio.to_thread(real.restart)
    assert await asyncio.gather(*calls) == [b"1"] * 20
    await server.aclose()


@pytest.mark.parametrize("fault", [Fault.LOSE_REQUEST, Fault.LOSE_REPLY, Fault.HALF_REPLY])
async def test_a_read_is_simply_sent_again(through: Server, proxy: Proxy, fault: Fault) -> None:
    """Whatever became of its first copy."""
    await through.call("PING")
    proxy.arm(fault, b"GET")
    assert await through.call("GET", "nothing:at:all") is None
    assert proxy.armed == 0
    proxy.arm(fault, b"GET")
    assert await through.calls([("GET", "nothing:at:all"), ("ECHO", "x")]) == [None, b"x"]
    assert proxy.connections == 3


async def test_a_script_is_sent_again_behind_a_fence(
    through: Server, proxy: Proxy, client: Redis, make_namespace: Callable[[], str]
) -> None:
    """The connection that carried its first copy is ended, so a late copy never arrives."""
    key = f"{make_namespace()}:{{0}}:log"
    assert await through.script(COUNT, [key], []) == 1
    proxy.arm(Fault.LATE_REQUEST)
    assert await through.script(COUNT, [key], []) == 2
    proxy.deliver()
    assert await client.get(key) == b"2"


async def test_what_must_not_be_repeated_is_not(through: Server, proxy: Proxy) -> None:
    """Its outcome is unknown."""
    await through.call("PING")
    proxy.arm(Fault.LOSE_REPLY, b"ECHO")
    with pytest.raises(OutcomeUnknown):
        await through.call("ECHO", "x", repeatable=False)
    proxy.arm(Fault.LOSE_REPLY, b"ECHO")
    assert await through.call("ECHO", "x") == b"x"


async def test_an_error_of_the_server_carries_its_code(through: Server) -> None:
    """Which has no class of its own; the connection goes on."""
    with pytest.raises(ServerError) as caught:
        await through.call("NO.SUCH.COMMAND")
    assert caught.value.code == "ERR"
    with pytest.raises(ServerError):
        await through.calls([("ECHO", "x"), ("NO.SUCH.COMMAND",), ("ECHO", "y")])
    assert await through.call("ECHO", "x") == b"x"


async def test_a_server_that_is_away_is_unavailable_after_the_deadline(tmp_path: Any) -> None:
    """Nothing was sent, and it says where the trouble lies."""
    server = server_at(f"unix://{tmp_path}/nobody", deadline=0.2)
    began = time.monotonic()
    with pytest.raises(Unavailable, match="cannot be reached"):
        await server.call("PING")
    assert 0.1 < time.monotonic() - began < 3


async def test_many_callers_wait_one_deadline_together(proxy: Proxy) -> None:
    """Not one after the other, each its own: neither where connecting fails nor where it takes for ever."""
    server = server_at(proxy.url, deadline=0.3)
    for interrupt in (proxy.refuse, lambda: (proxy.accept(), proxy.hold(requests=True))):
        interrupt()
        began = time.monotonic()
        outcomes = await asyncio.gather(*(server.call("GET", "x") for _ in range(50)), return_exceptions=True)
        assert all(isinstance(outcome, Unavailable) for outcome in outcomes)
        assert time.monotonic() - began < 3
    proxy.release()
    assert await server.call("ECHO", "x") == b"x"
    await server.aclose()


async def test_a_paused_server_is_waited_for_until_the_deadline(make_server: Callable[..., servers.Server]) -> None:
    """A read is then unavailable, a script that was sent is unknown; both go through when the server goes on."""
    real = make_server()
    server = server_at(real.unix_url, deadline=1.0, reply_timeout=0.1)
    assert await server.script(COUNT, ["n"], []) == 1
    real.pause()
    began = time.monotonic()
    read, written = await asyncio.gather(
        server.call("GET", "n"), server.script(COUNT, ["n"], []), return_exceptions=True
    )
    assert time.monotonic() - began < 3
    assert isinstance(read, Unavailable)
    assert isinstance(written, OutcomeUnknown)
    real.resume()
    assert await server.script(GET, ["n"], []) in (b"1", b"2")
    await server.aclose()


async def test_a_server_that_comes_late_is_connected_to(make_server: Callable[..., servers.Server]) -> None:
    """A call that was made while it was away is answered."""
    real = make_server()
    real.stop()
    server = server_at(real.url)
    call = asyncio.create_task(server.call("PING"))
    await asyncio.sleep(0)
    await asyncio.to_thread(real.start)
    assert await call == b"PONG"
    await server.aclose()


async def test_a_cancelled_connection_leaves_nothing_open(proxy: Proxy) -> None:
    """The next call connects anew."""
    server = server_at(proxy.url)
    proxy.hold(replies=True)
    call = asyncio.create_task(server.call("PING"))
    while not proxy.open_connections:
        await asyncio.sleep(0.001)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    while proxy.open_connections:
        await asyncio.sleep(0.001)
    proxy.release()
    assert await server.call("PING") == b"PONG"
    await server.aclose()


async def test_a_full_server_is_unavailable_and_waited_for(make_server: Callable[..., servers.Server]) -> None:
    """Somebody else's connection may end at any time."""
    real = make_server(maxclients=1)
    async with Redis.from_url(real.unix_url, single_connection_client=True) as greedy:
        await greedy.ping()
        server = server_at(real.unix_url, deadline=0.2)
        with pytest.raises(Unavailable):
            await server.call("PING")
        server.deadline = 15
        call = asyncio.create_task(server.call("PING"))
        await asyncio.sleep(0)
    assert await call == b"PONG"
    await server.aclose()


async def test_a_fence_never_ends_a_connection_of_a_restarted_server(
    make_server: Callable[..., servers.Server],
) -> None:
    """The new process gives the same ids to other clients."""
    real = make_server()
    for _ in range(30):
        async with Redis.from_url(real.unix_url) as before:
            await before.ping()
    with Proxy(real.socket) as proxy:
        server = server_at(proxy.url)
        await server.script(COUNT, ["n"], [])
        lane = server.open_lane()
        assert lane is not None
        real.pause()
        call = asyncio.create_task(server.script(COUNT, ["n"], []))
        while not any(b"EVALSHA" in request for request in proxy.requests[1:]):
            await asyncio.sleep(0.001)
        proxy.refuse()
        real.kill()
        await asyncio.to_thread(real.start)
        async with Redis.from_url(real.unix_url, single_connection_client=True) as other:
            while (identifier := await other.client_id()) < lane.client_id:
                await other.connection.disconnect()  # type: ignore[union-attr]
            assert identifier == lane.client_id
            proxy.accept()
            assert await call == 2
            assert await other.client_id() == identifier
        await server.aclose()


async def test_closing_does_not_connect_again_for_what_is_under_way(
    through: Server, proxy: Proxy, make_namespace: Callable[[], str]
) -> None:
    """A read is unavailable, a script that was sent is unknown."""
    await through.script(GET, ["x"], [])
    proxy.hold(requests=True)
    calls = [asyncio.create_task(call) for call in (through.call("PING"), through.script(GET, ["x"], []))]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await through.aclose()
    read, script = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(read, Unavailable)
    assert isinstance(script, OutcomeUnknown)
    assert proxy.connections == 1
    proxy.release()


async def test_a_closed_server_can_be_used_again(through: Server, proxy: Proxy) -> None:
    """It connects anew."""
    await through.call("PING")
    await through.aclose()
    assert await through.call("PING") == b"PONG"
    assert proxy.connections == 2
