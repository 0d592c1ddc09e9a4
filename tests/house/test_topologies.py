"""What tests on other topologies rely on: sentinels that do replace a primary, and a server that speaks TLS alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as DriverConnectionError

from tests.certificates import TlsServer, authority
from tests.sentinels import TestSentinels


@pytest.fixture
def guarded() -> Iterator[TlsServer]:
    """A server that wants to see a client's certificate, and a password that a URL has to quote."""
    with TlsServer(clients="yes", requirepass="a b/@:") as server:
        yield server


async def test_who_shows_a_certificate_of_the_authority_is_served(guarded: TlsServer) -> None:
    """By the address and by the name that the server's own certificate has."""
    for host in ("127.0.0.1", "localhost"):
        async with Redis.from_url(guarded.url_for(authority().client(), host=host)) as client:
            assert await client.ping()


async def test_who_shows_none_or_does_not_know_the_authority_is_not(guarded: TlsServer) -> None:
    """Nor is who speaks no TLS."""
    known = guarded.url_for(authority().client())
    plain = known.replace("rediss:", "redis:").partition("?")[0]
    for url in (guarded.url, known.replace("ssl_ca_certs", "ssl_ca_path"), plain):
        async with Redis.from_url(url) as client:
            with pytest.raises(DriverConnectionError):
                await client.ping()


async def test_sentinels_replace_a_primary() -> None:
    """Planned, and when it was killed; a client finds the new one, and all are whole again."""
    with TestSentinels(password="secret") as sentinels:
        async with sentinels.client() as client:
            await client.set("a", 1)
            assert await client.wait(2, 10_000) == 2
        second = sentinels.fail_over()
        second.server.kill()
        third = sentinels.wait_for_another(second)
        assert third is not second
        async with sentinels.client() as client:
            assert await client.get("a") == b"1"
        sentinels.wait_until_whole()
        assert len(sentinels.replicas()) == 2
