"""Fixtures for tests of your own: a real server for the run, and for each test a namespace that is removed after it.

In your ``conftest.py``::

    pytest_plugins = ["sessionstream.testing"]

Needs pytest and the extra ``embedded``, or in ``SESSIONSTREAM_TEST_URL`` the URL of a server, or of a Cluster's node.
The fixtures are not async, so they serve any plugin that runs async tests on asyncio, and tests that call
``asyncio.run`` themselves.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from redis import Redis, RedisCluster

from sessionstream.manager import SessionManager
from sessionstream.wire.embedded import EmbeddedServer
from sessionstream.wire.embedded.reach import GRACE_VARIABLE

__all__ = ["sessionstream_manager", "sessionstream_namespace", "sessionstream_open", "sessionstream_url"]

_URL_VARIABLE = "SESSIONSTREAM_TEST_URL"


@pytest.fixture(scope="session")
def sessionstream_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an embedded server of this run alone, which ends with it; or what ``SESSIONSTREAM_TEST_URL`` says."""
    if given := os.environ.get(_URL_VARIABLE):
        yield given
        return
    folder = tmp_path_factory.mktemp("sessionstream")
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(1) as thread:
        patch.setenv(GRACE_VARIABLE, "0.1")
        # In a thread of its own, so that no event loop of a plugin is in its way.
        lease = thread.submit(lambda: asyncio.run(EmbeddedServer.acquire(folder))).result()
    yield f"unix://{lease.socket_path}"
    lease.release()


@pytest.fixture
def sessionstream_namespace(sessionstream_url: str) -> Iterator[str]:
    """A namespace that nobody else uses; all of its keys are removed after the test."""
    namespace = f"test-{uuid.uuid4().hex}"
    yield namespace
    with _client(sessionstream_url) as client:
        for key in client.scan_iter(match=f"{namespace}:*", count=1000):
            client.unlink(key)


def _client(url: str) -> Redis | RedisCluster:
    """Return a client of the server, or of all nodes of the Cluster, that a URL leads to."""
    plain = url.replace("valkey", "redis", 1) if url.startswith("valkey") else url
    with Redis.from_url(plain) as client:
        clustered = client.info("cluster").get("cluster_enabled")
    return RedisCluster.from_url(plain) if clustered else Redis.from_url(plain)


@pytest.fixture
def sessionstream_open(sessionstream_url: str, sessionstream_namespace: str) -> Callable[..., SessionManager]:
    """Make one more manager of the test's namespace, as another process has it: ``sessionstream_open(retention=0)``.

    It takes what `SessionManager` takes. Its connections are closed with the event loop of the test.
    """

    def make(**settings: Any) -> SessionManager:
        return SessionManager(**{"url": sessionstream_url, "namespace": sessionstream_namespace, **settings})

    return make


@pytest.fixture
def sessionstream_manager(sessionstream_open: Callable[..., SessionManager]) -> SessionManager:
    """A manager of the test's namespace, which is empty."""
    return sessionstream_open()
