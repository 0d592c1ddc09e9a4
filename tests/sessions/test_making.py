"""Making a manager: nothing is sent, what is no client is refused, and a URL does as well (G20)."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
import redis
import valkey
import valkey.asyncio
from redis.asyncio import ConnectionPool, Redis

import sessionstream
from sessionstream import SessionManager
from sessionstream.errors import InvalidArgument, InvalidType, Unavailable
from tests.servers import Server
from tests.sessions.waiting import until

pytestmark = pytest.mark.guarantee

_OF_OTHERS = {"info", "ping", "publish", "replconf", "psync", "client", "config"}


async def _traffic(client: Redis) -> tuple[int, int]:
    commands = await client.info("commandstats")
    # What replicas and sentinels say goes on.
    calls = sum(stat["calls"] for name, stat in commands.items() if not _OF_OTHERS & set(re.split(r"[_|]", name)))
    return calls, (await client.info("stats"))["total_connections_received"]


@pytest.mark.not_on("sentinel", reason="sentinels connect when they like, and are counted with clients")
async def test_making_a_manager_sends_nothing(server: Server, client: Redis, namespace: str) -> None:
    """No connection is opened and no command is sent, by a client or a URL."""
    await client.ping()
    commands, connections = await _traffic(client)
    async with Redis.from_url(server.url) as other:
        managers = [
            SessionManager(conn=other, ttl=3600, namespace=namespace),
            SessionManager.open(server.url, namespace=namespace),
        ]
        await asyncio.sleep(0)
        assert await _traffic(client) == (commands, connections)
        await managers[1].get_session("sess_1")
        assert (await _traffic(client))[1] > connections
        await managers[1].aclose()


async def test_making_a_manager_starts_no_task(client: Redis, namespace: str) -> None:
    """Nor does using it leave one that runs on."""
    before = asyncio.all_tasks()
    async with SessionManager(conn=client, namespace=namespace) as manager:
        assert asyncio.all_tasks() <= before
        session = await manager.create_session("user_1", "agent_1")
        await manager.get_session(session.session_id)
        await until(lambda: asyncio.all_tasks() <= before)


async def test_a_server_that_is_away_is_noticed_by_the_first_call() -> None:
    """Making the manager succeeds; the call says that the server cannot be reached, a `ConnectionError`."""
    async with SessionManager(conn=Redis(host="127.0.0.1", port=1), deadline=0.05) as manager:
        with pytest.raises(Unavailable, match="cannot be reached") as caught:
            await manager.create_session("user_1", "agent_1")
        assert isinstance(caught.value, ConnectionError)


@pytest.mark.parametrize(
    ("conn", "said"),
    [
        (redis.Redis(), "synchronous"),
        (valkey.Valkey(), "valkey"),
        (valkey.asyncio.Valkey(), "valkey"),
        (ConnectionPool(), "ConnectionPool"),
        ("redis://127.0.0.1", "str"),
        (Redis, "give a"),
        (0, "int"),
    ],
    ids=["sync", "sync valkey", "valkey", "pool", "url", "class", "number"],
)
def test_what_is_no_client_of_redis_asyncio_is_refused(conn: Any, said: str) -> None:
    """A synchronous client, another library's, a URL: the error says what is wanted instead."""
    with pytest.raises(InvalidType, match=said) as caught:
        SessionManager(conn=conn)
    assert "redis.asyncio.Redis" in str(caught.value)
    assert isinstance(caught.value, TypeError)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"ttl": 0}, "ttl"),
        ({"ttl": -1}, "ttl"),
        ({"ttl": "soon"}, "ttl"),
        ({"namespace": ""}, "namespace"),
        ({"namespace": "a:b"}, "namespace"),
        ({"namespace": "a{b}"}, "namespace"),
        ({"namespace": "a" * 65}, "namespace"),
        ({"partitions": 0}, "partitions"),
        ({"retention": -1}, "retention"),
        ({"extend_on": "read"}, "extend_on"),
        ({"timeout": 3}, "timeout"),
    ],
)
def test_a_malformed_setting_is_named(settings: dict[str, Any], named: str) -> None:
    """Before anything is sent."""
    with pytest.raises(InvalidArgument, match=named):
        SessionManager(conn=Redis(), **settings)


@pytest.mark.parametrize("scheme", ["redis", "valkey"])
async def test_a_manager_opens_a_url(server: Server, namespace: str, scheme: str) -> None:
    """`open` gives a manager; ``async with`` closes its connection."""
    url = server.url.replace("redis", scheme, 1)
    async with SessionManager.open(url, namespace=namespace, ttl=60) as manager:
        session = await manager.create_session("user_1", "agent_1")
        assert session.expires_at is not None


async def test_a_manager_opens_a_unix_socket(server: Server, client: Redis, namespace: str) -> None:
    """It is the same store as over TCP."""
    async with SessionManager.open(server.unix_url, namespace=namespace) as one:
        session = await one.create_session("user_1", "agent_1")
    async with SessionManager(conn=client, namespace=namespace) as other:
        assert await other.get_session(session.session_id) == session


@pytest.mark.parametrize("url", ["", "127.0.0.1:6379", "http://127.0.0.1", "redis://host:port", "redis://h/0?db=x"])
def test_a_malformed_url_is_refused(url: str) -> None:
    """Where it would lead is not guessed."""
    with pytest.raises(InvalidArgument):
        SessionManager.open(url)


def test_a_refused_url_does_not_repeat_its_password() -> None:
    """Errors go into logs."""
    with pytest.raises(InvalidArgument) as caught:
        SessionManager.open("redis://:hunter2@127.0.0.1:port/0")
    assert "hunter2" not in str(caught.value)


async def test_a_closed_manager_connects_again_when_it_is_used(client: Redis, server: Server, namespace: str) -> None:
    """Closing ends its connection; closing once more does nothing."""

    async def connected() -> int:
        return len(await client.client_list())

    async def as_before() -> bool:
        return await connected() == before

    before = await connected()
    manager = SessionManager.open(server.url, namespace=namespace)
    session = await manager.create_session("user_1", "agent_1")
    assert await connected() > before
    await manager.aclose()
    await manager.aclose()
    # The server hears of it a moment later.
    await until(as_before)
    assert await manager.get_session(session.session_id) == session
    await manager.aclose()


class _Own(SessionManager):
    """A subclass, as users make them."""


async def test_a_subclass_is_what_open_and_async_with_give(server: Server, namespace: str) -> None:
    """Not the class that it derives from."""
    manager = _Own.open(server.url, namespace=namespace)
    assert type(manager) is _Own
    async with manager as entered:
        assert entered is manager


def test_the_manager_is_the_packages_own_name() -> None:
    """It is loaded by its name, and so is what it returns."""
    assert sessionstream.SessionManager is SessionManager
    assert {"SessionManager", "Session", "SessionState", "Checkpoint"} <= set(sessionstream.__all__)
