"""Stores on the shared server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
from redis.asyncio import Redis

from sessionstream.log.store import Store
from sessionstream.projection import Projection
from sessionstream.settings import Settings
from sessionstream.wire.opening import server_for
from sessionstream.wire.server import Server

MakeStore = Callable[..., Store]


@pytest.fixture
async def lanes(client: Redis) -> AsyncIterator[list[Server]]:
    """Three connections, for three writers; closed after the test."""
    servers = [server_for(client, None) for _ in range(3)]
    yield servers
    for server in servers:
        await server.aclose()


@pytest.fixture
def make_store(lanes: list[Server]) -> MakeStore:
    """Make a store: ``make_store(projection, name=namespace, partitions=1, writer=0)``."""

    def make(*projections: Projection, name: str, partitions: int, writer: int) -> Store:
        return Store(lanes[writer], Settings(namespace=name, partitions=partitions), projections)

    return make
