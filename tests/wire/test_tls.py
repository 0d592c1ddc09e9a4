"""TLS: a private authority, certificates of both sides, and a whole Cluster that speaks nothing else.

G20. Only Debian's redis-server speaks TLS, so these tests run on it, whichever program the others run on.
"""

from __future__ import annotations

import asyncio
import gc
import shutil
import time
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from redis.asyncio import Redis, RedisCluster

from sessionstream import NoteAdded, SessionManager
from sessionstream.errors import CertificateRefused, SessionStreamError, Unavailable
from tests.certificates import Authority, TlsServer
from tests.clusters import Node, TestCluster
from tests.servers import Setting

pytestmark = pytest.mark.skipif(
    not shutil.which("redis-server"), reason="redis-server, which has TLS, is not installed"
)

Open = Callable[..., SessionManager]


@pytest.fixture(scope="module")
def tls() -> Iterator[TlsServer]:
    """A server that speaks TLS and asks clients for no certificate."""
    with TlsServer() as server:
        yield server


@pytest.fixture(scope="module")
def strict() -> Iterator[TlsServer]:
    """A server that asks clients for a certificate of the authority's."""
    with TlsServer(clients="yes") as server:
        yield server


@pytest.fixture
async def open_manager() -> AsyncIterator[Open]:
    """Open a manager of a URL or a client, which is closed after the test."""
    opened: list[SessionManager] = []

    def make(place: Any, **settings: Any) -> SessionManager:
        where = {"url": place} if isinstance(place, str) else {"conn": place}
        opened.append(SessionManager(**where, namespace="tls", **settings))
        return opened[-1]

    yield make
    for manager in opened:
        await manager.aclose()


async def used(manager: SessionManager) -> list[int]:
    """Use a manager for what goes on every kind of connection, and return the versions that a follower was given."""
    session_id = (await manager.create_session("user", "agent")).session_id
    versions = []
    async with manager.follow(session_id) as events:
        versions.append((await anext(events)).version)
        async with manager.lock(session_id):
            await manager.append(session_id, NoteAdded(text="x"))
        versions.append((await anext(events)).version)
    return versions


async def refused(manager: SessionManager) -> SessionStreamError:
    """Return the error of a manager that is refused, which comes long before the deadline."""
    began = time.monotonic()
    with pytest.raises(SessionStreamError) as caught:
        await manager.create_session("user", "agent")
    assert time.monotonic() - began < 5
    return caught.value


async def test_a_private_authority_is_named_in_the_url(tls: TlsServer, open_manager: Open) -> None:
    """And appends, locks and followers go on as ever; a client of redis-py's does the same."""
    assert await used(open_manager(tls.url)) == [1, 2]
    client = Redis(host="localhost", port=tls.port, ssl=True, ssl_ca_certs=str(tls.authority.certificate))
    assert await used(open_manager(client)) == [1, 2]


async def test_a_url_of_valkey_s_is_as_good(tls: TlsServer, open_manager: Open) -> None:
    """``valkeys://`` is ``rediss://``."""
    assert await used(open_manager(tls.url.replace("rediss://", "valkeys://"))) == [1, 2]


def test_what_was_followed_by_is_closed_before_the_loop_ends(tls: TlsServer) -> None:
    """Closing a manager waits for what it is about to leave, too: over TLS that takes more than a turn of the loop."""
    manager = SessionManager(url=tls.url, namespace="followed")

    async def fill() -> None:
        for number in range(20):
            await manager.create_session("user", "agent", session_id=f"s{number}")
        await manager.aclose()

    async def follow() -> None:
        async with manager.follow_all(agents=["agent"]) as events:
            for _ in range(20):
                await anext(events)
        await manager.aclose()

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        asyncio.run(fill())
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda _: asyncio.run(follow()), range(60)))
        gc.collect()
    assert [str(one.message) for one in warned if issubclass(one.category, ResourceWarning)] == []


async def test_a_certificate_of_another_authority_is_refused(
    tls: TlsServer, open_manager: Open, tmp_path: Path
) -> None:
    """At once, with what to set; also where the system's authorities are all that is known."""
    other = Authority(tmp_path)
    for query in (f"?ssl_ca_certs={quote(str(other.certificate), safe='')}", ""):
        failure = await refused(open_manager(f"rediss://127.0.0.1:{tls.port}/0{query}"))
        assert isinstance(failure, CertificateRefused)
        assert failure.reason == "CERTIFICATE_VERIFY_FAILED"
        assert "ssl_ca_certs" in str(failure)


async def test_a_certificate_of_another_name_is_refused(open_manager: Open) -> None:
    """A server must be who it was called."""
    with Elsewhere() as server:
        failure = await refused(open_manager(server.url))
    assert isinstance(failure, CertificateRefused)


async def test_a_client_shows_its_certificate(strict: TlsServer, open_manager: Open) -> None:
    """Where the server asks for one."""
    assert await used(open_manager(strict.url_for(strict.authority.client()))) == [1, 2]


async def test_a_client_without_a_certificate_is_refused(strict: TlsServer, open_manager: Open) -> None:
    """At once, and it says which is missing."""
    failure = await refused(open_manager(strict.url))
    assert isinstance(failure, CertificateRefused)
    assert failure.reason.endswith("CERTIFICATE_REQUIRED")
    assert "ssl_certfile" in str(failure)


async def test_a_client_with_another_authority_s_certificate_is_refused(
    strict: TlsServer, open_manager: Open, tmp_path: Path
) -> None:
    """The server may close before it has said why: then that is not known."""
    manager = open_manager(strict.url_for(Authority(tmp_path).client()), deadline=1)
    assert isinstance(await refused(manager), Unavailable)


async def test_a_server_that_speaks_no_tls_is_unavailable(tls: TlsServer, open_manager: Open) -> None:
    """And so is one that speaks nothing else, to a client that does not."""
    assert isinstance(await refused(open_manager(f"redis://127.0.0.1:{tls.port}/0", deadline=0.5)), Unavailable)


class Elsewhere(TlsServer):
    """A server whose certificate is another host's."""

    def _configuration(self) -> dict[str, Setting]:
        other = self.authority.server("elsewhere.example")
        files = {"tls-cert-file": str(other.certificate), "tls-key-file": str(other.key)}
        return super()._configuration() | files


class TlsCluster(TestCluster):
    """A Cluster whose nodes speak TLS alone, to each other too."""

    __test__ = False

    def __init__(self) -> None:
        super().__init__()
        settings = self.nodes[0].server.settings | {"tls_cluster": True, "tls_replication": True}
        self.nodes = [Node(TlsServer(clients="optional", **settings)) for _ in self.nodes]


async def test_a_cluster_speaks_tls(open_manager: Open) -> None:
    """All of its nodes are reached with the settings of the first, a new primary too, by a URL and by a client."""
    with TlsCluster() as cluster:
        manager = open_manager(cluster.url, partitions=24)
        ids = [(await manager.create_session("user", "agent")).session_id for _ in range(30)]
        await asyncio.to_thread(cluster.fail_over, cluster.primaries()[0])
        appended = await asyncio.gather(*(manager.append(one, NoteAdded(text="x")) for one in ids))
        assert {one.version for one in appended} == {2}
        safe = await asyncio.gather(
            *(manager.append(one, NoteAdded(text="x"), durability="replicated(1)") for one in ids)
        )
        assert {(one.version, one.durability) for one in safe} == {(3, "replicated(1)")}
        async with RedisCluster.from_url(cluster.url) as client:
            assert await used(open_manager(client, partitions=24)) == [1, 2]
