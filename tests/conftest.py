"""What every test can ask for: real servers, a client, namespaces that are left clean, the recorded sessions."""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import os
import signal
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import redis.utils
from redis.asyncio import Redis

from sessionstream import SessionManager
from tests.proxy import Proxy
from tests.servers import Server
from tests.topologies import OneNode, shared, topology

pytest_plugins = ["tests.copies", "tests.leaks"]

ROOT = Path(__file__).resolve().parent.parent

_OF_TESTS = tuple(f"SESSIONSTREAM_{name}" for name in ("TEST_SERVER", "TEST_TOPOLOGY", "TEST_LONG", "AIRLINE", "SEED"))

# Settings of the user's own must not lead a test to the user's own server.
for _name in [name for name in os.environ if name.startswith("SESSIONSTREAM_")]:
    if _name not in _OF_TESTS:
        del os.environ[_name]

# A shell lets what it runs in its background ignore SIGINT, and every process inherits that: one that is interrupted
# would go on for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# redis-py looks its own version up on the disk for each connection.
redis.utils.get_lib_version = functools.cache(redis.utils.get_lib_version)

hypothesis.settings.register_profile(
    "sessionstream",
    deadline=None,  # examples talk to a real server
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture, hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("sessionstream")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, and say why, what cannot be on the chosen topology."""
    for item in items:
        for mark in item.iter_markers("not_on"):
            if topology() in mark.args:
                item.add_marker(pytest.mark.skip(reason=f"not on {topology()}: {mark.kwargs['reason']}"))


@pytest.fixture(scope="session")
def _shared_server() -> Iterator[Server]:
    with shared() as server:
        yield server


@pytest.fixture(scope="session")
def _one_node() -> Iterator[Server]:
    with OneNode() as server:
        yield server


@pytest.fixture
async def server(_stage: Server, _namespaces: set[str]) -> AsyncIterator[Server]:
    """The server that tests share; a test that stops, pauses or configures one asks for `make_server`.

    After the test its databases are emptied, and a key that lies in none of the test's namespaces fails it.
    """
    _stage.start()
    yield _stage
    if not _stage.running:
        pytest.fail("the test stopped the shared server: such a test uses make_server")
    _stage.resume()
    await _assert_clean(_stage, _namespaces)


@pytest.fixture
def _stage(request: pytest.FixtureRequest) -> Server:
    """What the test is about: a proxy stands in front of one server, so of a Cluster it needs one with one node."""
    of_one = topology() == "cluster" and "proxy" in request.fixturenames
    chosen: Server = request.getfixturevalue("_one_node" if of_one else "_shared_server")
    return chosen


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    """A proxy in front of the shared server: ``SessionManager(**through(proxy))``."""
    with Proxy(server.socket, server.credentials) as proxy:
        yield proxy


@pytest.fixture
def make_server() -> Iterator[Callable[..., Server]]:
    """Start a server of the test's own: ``make_server(appendfsync="always")``; it is gone after the test."""
    servers: list[Server] = []

    def start(**settings: Any) -> Server:
        servers.append(Server(**settings))
        return servers[-1].start()

    yield start
    for server in servers:
        server.close()


@pytest.fixture
async def client(server: Server) -> AsyncIterator[Redis]:
    """A client of the shared server, closed after the test."""
    async with server.client() as client:
        yield client


@pytest.fixture
def reach(server: Server, client: Redis) -> dict[str, Any]:
    """What leads a manager to the shared server: ``SessionManager(**reach, namespace=namespace)``."""
    return server.reach(client)


@pytest.fixture
def _namespaces() -> set[str]:
    return set()


@pytest.fixture
def make_namespace(server: Server, _namespaces: set[str]) -> Callable[..., str]:
    """Name one more namespace of the shared server: a fresh one, or the one that is given."""

    def make(name: str | None = None) -> str:
        name = name or f"t{uuid.uuid4().hex[:10]}"
        _namespaces.add(name)
        return name

    return make


@pytest.fixture
def namespace(make_namespace: Callable[..., str]) -> str:
    """A fresh namespace; its keys are deleted after the test."""
    return make_namespace()


@pytest.fixture
async def open_manager(reach: dict[str, Any], namespace: str) -> AsyncIterator[Callable[..., SessionManager]]:
    """Open a manager that is closed after the test: ``open_manager(partitions=1)``; `through` a proxy, if so wanted."""
    async with contextlib.AsyncExitStack() as stack:

        def make(url: str | None = None, *, conn: object | None = None, **settings: Any) -> SessionManager:
            where = reach if url is None and conn is None else {"url": url, "conn": conn}
            manager = SessionManager(**where, **{"namespace": namespace, **settings})
            stack.push_async_callback(manager.aclose)
            return manager

        yield make


@pytest.fixture
def manager(open_manager: Callable[..., SessionManager]) -> SessionManager:
    """A manager on a fresh namespace."""
    return open_manager()


@pytest.fixture(scope="session")
def airline() -> Path:
    """The recorded airline sessions, gzipped JSONL; a test that needs them is skipped where they are absent."""
    default = ROOT.parent / "shared" / "data" / "airline-sessions.jsonl.gz"
    path = Path(os.environ.get("SESSIONSTREAM_AIRLINE") or default)
    if not path.is_file():
        pytest.skip(f"the recorded sessions are not there ({path}): name the file in SESSIONSTREAM_AIRLINE")
    return path


async def _assert_clean(server: Server, namespaces: set[str]) -> None:
    """Fail where a connection is left or a key has no owner, and leave the server empty for the next test."""
    from tests.leaks import assert_no_connections  # a plugin, which is not to be imported before pytest does

    strays: list[str] = []
    prefixes = tuple(f"{namespace}:" for namespace in namespaces)
    async with server.primaries() as clients:
        try:
            for client in clients:
                strays += [key for key in await _keys(client) if not key.startswith(prefixes)]
                for namespace in sorted(namespaces):
                    await _assert_owned(client, namespace)
        finally:
            for client in clients:
                await client.flushall()
        # Elsewhere nodes have connections to each other, and clients of a Cluster to each node.
        if topology() == "single":
            await assert_no_connections(*clients)
    if strays:
        pytest.fail(f"{len(strays)} keys lie in no namespace of this test, such as {sorted(strays)[:5]}")


async def _keys(client: Redis) -> list[str]:
    return [key.decode(errors="backslashreplace") async for key in client.scan_iter(count=1000)]


async def _assert_owned(client: Redis, namespace: str) -> None:
    """Where `tests.keys` says how to tell, every key of the namespace belongs to something that is kept."""
    if importlib.util.find_spec("tests.keys") is not None:
        check: Callable[[Redis, str], Awaitable[None]] = importlib.import_module("tests.keys").assert_no_ownerless_keys
        await check(client, namespace)
