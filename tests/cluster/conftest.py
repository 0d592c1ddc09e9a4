"""What these tests start from: one Cluster for all of them, whole and empty for each, and managers on it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from redis.asyncio import RedisCluster

from sessionstream import SessionManager
from tests.clusters import TestCluster

Open = Callable[..., SessionManager]

PARTITIONS = 24


@pytest.fixture(scope="session")
def _shared_cluster() -> Iterator[TestCluster]:
    with TestCluster() as cluster:
        yield cluster


@pytest.fixture
def cluster(_shared_cluster: TestCluster) -> TestCluster:
    """The Cluster that these tests share: each primary has its replica, and there is no key."""
    _shared_cluster.wait_until_whole()
    _shared_cluster.empty()
    return _shared_cluster


@pytest.fixture
async def open_manager(cluster: TestCluster) -> AsyncIterator[Open]:
    """Open a manager that is closed after the test: ``open_manager()``, or ``open_manager(reply_timeout=0.5)``."""
    async with contextlib.AsyncExitStack() as stack:

        def make(conn: object | None = None, **settings: Any) -> SessionManager:
            given = {"namespace": "cluster", "partitions": PARTITIONS, **settings}
            manager = SessionManager(conn, **given) if conn is not None else SessionManager(url=cluster.url, **given)
            stack.push_async_callback(manager.aclose)
            return manager

        yield make


@pytest.fixture
async def client(cluster: TestCluster) -> AsyncIterator[RedisCluster]:
    """A client of redis-py's for the Cluster."""
    async with RedisCluster.from_url(cluster.url) as client:
        yield client
