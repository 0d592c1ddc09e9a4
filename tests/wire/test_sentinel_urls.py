"""A primary that sentinels watch has a URL too, for settings, for the environment and for the command line.

G20.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as DriverConnectionError

from sessionstream import NoteAdded, SessionManager
from sessionstream.errors import AuthenticationFailed, InvalidArgument
from sessionstream.wire.sentinels.addressing import client_of
from tests.certificates import TlsServer
from tests.sentinels import NAME, TestSentinels
from tests.servers import free_port, program

PASSWORD = "s3cr3t"


@pytest.fixture(scope="module")
def sentinels() -> Iterator[TestSentinels]:
    """A primary with a password, two replicas, and three sentinels that ask for none."""
    with TestSentinels(password=PASSWORD) as whole:
        yield whole


async def test_a_url_leads_to_the_primary_and_to_the_one_behind_it(sentinels: TestSentinels) -> None:
    """Nothing but the URL is known of it; when a replica has taken over, the manager goes on there."""
    async with SessionManager(url=sentinels.url, namespace="url", deadline=30) as manager:
        session_id = (await manager.create_session("user", "agent")).session_id
        await manager.append(session_id, NoteAdded(text="on both"), durability="replicated(2)")
        await asyncio.to_thread(sentinels.fail_over)
        assert (await manager.append(session_id, NoteAdded(text="behind"))).version == 3


async def test_a_sentinel_that_is_away_is_passed_over(sentinels: TestSentinels) -> None:
    """One of those that the URL names tells where the others, and the primary, are."""
    url = sentinels.url.replace("@", f"@127.0.0.1:{free_port()},").replace("redis+", "valkey+")
    async with SessionManager(url=url, namespace="away") as manager:
        assert (await manager.create_session("user", "agent")).version == 1


async def test_the_command_line_takes_it(sentinels: TestSentinels) -> None:
    """From the environment, and says where the server is without its password."""
    command = await asyncio.create_subprocess_exec(
        *(Path(sys.executable).with_name("sessionstream"), "doctor", "--json"),
        env=os.environ | {"SESSIONSTREAM_URL": sentinels.url},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await command.communicate()
    assert b"redis+sentinel://" in out
    assert NAME.encode() in out
    assert PASSWORD.encode() not in out


async def test_a_wrong_password_is_told_as_such(sentinels: TestSentinels) -> None:
    """And is not repeated."""
    async with SessionManager(url=sentinels.url.replace(PASSWORD, "wr0ng"), namespace="n", deadline=5) as manager:
        with pytest.raises(AuthenticationFailed) as caught:
            await manager.create_session("user", "agent")
    assert "wr0ng" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://host:26379",
        "redis+sentinel://host:26379/",
        "redis+sentinel:///name",
        "redis+sentinel://host:26379,/name",
        "redis+sentinel://host:port/name",
        "redis+sentinel://host:26379/name/second",
        "redis+sentinel://user:s3cr3t@host:99999999/name",
    ],
)
def test_a_malformed_one_is_refused(url: str) -> None:
    """When the manager is made, with what is wrong and without the password."""
    with pytest.raises(InvalidArgument, match="malformed") as caught:
        SessionManager(url=url)
    assert "s3cr3t" not in str(caught.value)


def test_sentinels_have_credentials_of_their_own() -> None:
    """The user and the password in front of the hosts are the primary's alone; a database may stand behind the name."""
    client = client_of("redis+sentinel://u:p@[::1]:5,h/my%20name/3?sentinel_username=a&sentinel_password=b%26c")
    pool = client.connection_pool
    first, second = pool.sentinel_manager.sentinels
    assert pool.service_name == "my name"
    known = pool.connection_kwargs
    assert (known["username"], known["password"], known["db"]) == ("u", "p", 3)
    assert [first.get_connection_kwargs()[key] for key in ("host", "port", "username", "password")] == [
        *("::1", 5, "a", "b&c")
    ]
    assert [second.get_connection_kwargs()[key] for key in ("host", "port")] == ["h", 26379]


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[str]:
    """A server and the one sentinel that watches it, which speak nothing but TLS; the URL of the primary."""
    port = free_port()
    with TlsServer() as server:
        own, authority = server.authority.server(), server.authority.certificate
        lines = (
            *("bind 127.0.0.1", "port 0", f"tls-port {port}", "tls-replication yes", "tls-auth-clients no"),
            *(f"tls-ca-cert-file {authority}", f"tls-cert-file {own.certificate}", f"tls-key-file {own.key}"),
            f"sentinel monitor {NAME} 127.0.0.1 {server.port} 1",
        )
        config = tmp_path / "sentinel.conf"
        config.write_text("\n".join(lines) + "\n")
        process = subprocess.Popen(
            [program("redis"), str(config), "--sentinel"], stdout=subprocess.DEVNULL, cwd=tmp_path
        )
        try:
            yield f"rediss+sentinel://127.0.0.1:{port}/{NAME}?ssl_ca_certs={quote(str(authority), safe='')}"
        finally:
            process.kill()
            process.wait()


@pytest.mark.skipif(not shutil.which("redis-server"), reason="redis-server, which has TLS, is not installed")
async def test_over_tls_the_authority_is_trusted_for_both(watched: str) -> None:
    """``rediss+sentinel://``: for the sentinels, and for the primary that they name."""
    client = client_of(watched)
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(DriverConnectionError):
                await client.ping()
                break
            await asyncio.sleep(0.02)
    await close(client)
    async with SessionManager(url=watched, namespace="n") as manager:
        assert (await manager.create_session("user", "agent")).version == 1


async def close(client: Redis) -> None:
    """Close a client of a Sentinel's, and those of its sentinels."""
    await client.aclose()
    for sentinel in client.connection_pool.sentinel_manager.sentinels:
        await sentinel.aclose()
