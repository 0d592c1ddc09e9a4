"""The caller's own client, made any way: its settings are used, and it stays the caller's (G20)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.credentials import UsernamePasswordCredentialProvider

from sessionstream import SessionManager
from sessionstream.errors import AuthenticationFailed
from tests.servers import Server

Make = Callable[[Server], Redis]


def _place(server: Server) -> dict[str, Any]:
    """Return the address as the arguments of a client, without a database."""
    place: dict[str, Any] = {**parse_url(server.url), "ssl": server.url.startswith("rediss:")}
    return {name: value for name, value in place.items() if name not in ("connection_class", "db")}


_WAYS: dict[str, Make] = {
    "host and port": lambda server: Redis(**_place(server)),
    "url": lambda server: Redis.from_url(server.url),
    "decode_responses": lambda server: Redis.from_url(server.url, decode_responses=True),
    "another encoding": lambda server: Redis.from_url(server.url, decode_responses=True, encoding="latin-1"),
    "db": lambda server: Redis(**_place(server), db=5),
    "unix socket": lambda server: Redis(unix_socket_path=str(server.socket), password=_place(server).get("password")),
    "unix url": lambda server: Redis.from_url(server.unix_url),
    "resp2": lambda server: Redis.from_url(server.url, protocol=2),
    "resp3": lambda server: Redis.from_url(server.url, protocol=3),
    "resp3 decoded": lambda server: Redis.from_url(server.url, protocol=3, decode_responses=True),
    "blocking pool": lambda server: Redis.from_pool(BlockingConnectionPool.from_url(server.url, max_connections=1)),
    "single connection": lambda server: Redis.from_url(server.url, single_connection_client=True),
    "retries": lambda server: Redis.from_url(server.url, retry=Retry(ExponentialBackoff(), 5)),
    "timeouts": lambda server: Redis.from_url(server.url, socket_timeout=2, health_check_interval=1),
}


async def _works(manager: SessionManager) -> None:
    session = await manager.create_session("用户", "agent", {"café": [1, None, "ü"]}, ttl=60)
    await manager.save_checkpoint(session.session_id, {"ключ": "значение"})
    await manager.update_session_metadata(session.session_id, {"n": 1})
    [found] = await manager.get_sessions_by_user("用户")
    assert found.metadata == {"café": [1, None, "ü"], "n": 1}
    checkpoint = await manager.get_latest_checkpoint(session.session_id)
    assert checkpoint is not None
    assert checkpoint.data == {"ключ": "значение"}


_ALONE = {
    "db": pytest.mark.not_on("cluster", reason="a Cluster has one database"),
    "unix socket": pytest.mark.not_on("cluster", reason="the nodes of a Cluster tell each other's ports alone"),
}


@pytest.mark.parametrize("way", [pytest.param(way, marks=_ALONE.get(way, ())) for way in _WAYS])
async def test_a_client_made_any_way_will_do(server: Server, namespace: str, way: str) -> None:
    """Whatever its replies look like to its owner, the manager reads and writes the same."""
    async with _WAYS[way](server) as client, SessionManager(conn=client, namespace=namespace) as manager:
        await _works(manager)


@pytest.mark.not_on("cluster", reason="a Cluster has one database")
async def test_the_database_is_the_clients(server: Server, namespace: str) -> None:
    """Sessions lie in the database that the client names, and in no other."""
    async with (
        Redis(**_place(server), db=5) as fifth,
        Redis.from_url(server.url) as zeroth,
        SessionManager(conn=fifth, namespace=namespace) as manager,
    ):
        await manager.create_session("user_1", "agent_1")
        assert await fifth.dbsize() > 0
        assert await zeroth.dbsize() == 0


async def test_the_name_of_the_connection_is_the_clients(server: Server, client: Redis, namespace: str) -> None:
    """Who watches the server sees whose connection it is."""
    async with (
        Redis.from_url(server.url, client_name="the-runtime") as named,
        SessionManager(conn=named, namespace=namespace) as manager,
    ):
        await manager.get_session("sess_1")
        assert "the-runtime" in {one["name"] for one in await client.client_list()}


_USER = {"username": "runtime", "password": "its own"}
_CREDENTIALS: dict[str, dict[str, Any]] = {
    "password": {"password": "secret"},
    "user": _USER,
    "user and provider": {"credential_provider": UsernamePasswordCredentialProvider("runtime", "its own")},
}


async def _guarded(make_server: Callable[..., Server]) -> Server:
    server = make_server(requirepass="secret")
    async with Redis.from_url(server.url) as admin:
        await admin.acl_setuser("runtime", enabled=True, passwords=["+its own"], categories=["+@all"], keys=["*"])
    return server


@pytest.mark.parametrize("kind", _CREDENTIALS)
async def test_the_credentials_are_the_clients(make_server: Callable[..., Server], kind: str) -> None:
    """A password for all, a user of the access rules, and a provider of credentials."""
    server = await _guarded(make_server)
    async with (
        Redis(host="127.0.0.1", port=server.port, **_CREDENTIALS[kind]) as client,
        SessionManager(conn=client) as manager,
    ):
        await _works(manager)
        users = {one["user"] for one in await client.client_list() if one["cmd"] != "client|list"}
        assert users == {"default" if kind == "password" else "runtime"}


@pytest.mark.parametrize("given", [{}, {"password": "wrong"}, {"username": "nobody", "password": "secret"}])
async def test_refused_credentials_are_a_permission_error(
    make_server: Callable[..., Server], given: dict[str, Any]
) -> None:
    """It is said at once: trying again would not help."""
    server = await _guarded(make_server)
    async with (
        Redis(host="127.0.0.1", port=server.port, **given) as client,
        SessionManager(conn=client, deadline=60) as manager,
    ):
        with pytest.raises(AuthenticationFailed) as caught:
            await manager.create_session("user_1", "agent_1")
        assert isinstance(caught.value, PermissionError)
        assert isinstance(caught.value, ConnectionError)
        assert "secret" not in str(caught.value)


async def test_the_clients_own_connections_are_left_to_it(server: Server, namespace: str) -> None:
    """A pool whose only connection is in use keeps nobody from using the manager."""
    pool = BlockingConnectionPool.from_url(server.url, max_connections=1, timeout=0.01)
    async with Redis.from_pool(pool) as client, SessionManager(conn=client, namespace=namespace) as manager:
        connection = await pool.get_connection()
        try:
            await _works(manager)
        finally:
            await pool.release(connection)


async def test_closing_the_manager_leaves_the_client_open(server: Server, namespace: str) -> None:
    """The client goes on, on the connection that it had."""
    async with Redis.from_url(server.url) as client:
        before = await client.client_id()
        async with SessionManager(conn=client, namespace=namespace) as manager:
            await manager.create_session("user_1", "agent_1")
        await manager.aclose()
        assert await client.client_id() == before
