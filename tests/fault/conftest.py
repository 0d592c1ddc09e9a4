"""What these tests start from: managers with short times, on servers and proxies of the test's own."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from sessionstream import SessionManager
from tests.fault.ledger import Ledger
from tests.proxy import Proxy
from tests.servers import Server
from tests.topologies import through

Open = Callable[..., SessionManager]


@contextlib.contextmanager
def in_a_hurry(manager: SessionManager, seconds: float = 0.3) -> Iterator[None]:
    """Let the calls of a block end after so many seconds; what is around it takes the time that it needs."""
    deadline, manager.store.server.deadline = manager.store.server.deadline, seconds
    try:
        yield
    finally:
        manager.store.server.deadline = deadline


@pytest.fixture
async def open_manager(server: Server) -> AsyncIterator[Open]:
    """Open a manager that is closed after the test: ``open_manager(url, deadline=0.3)``."""
    async with contextlib.AsyncExitStack() as stack:

        def make(url: str | None = None, **settings: Any) -> SessionManager:
            manager = SessionManager(url=url, **{"namespace": "faults", **settings})
            stack.push_async_callback(manager.aclose)
            return manager

        yield make


@pytest.fixture
def real(make_server: Callable[..., Server]) -> Server:
    """A server of the test's own."""
    return make_server()


@pytest.fixture
async def manager(proxy: Proxy, open_manager: Open, namespace: str) -> SessionManager:
    """A manager behind the proxy, that takes a connection for broken after 150 ms."""
    return open_manager(**through(proxy), namespace=namespace, reply_timeout=0.15)


@pytest.fixture
async def beside(reach: dict[str, Any], open_manager: Open, namespace: str) -> SessionManager:
    """A manager of the same namespace that nothing happens to."""
    return open_manager(**reach, namespace=namespace)


@pytest.fixture
async def ledger(beside: SessionManager) -> Ledger:
    """A session, and the account of what is appended to it."""
    return Ledger((await beside.create_session("user_1", "assistant")).session_id)
