"""Users of a server of the test's own that have the rules of a role, and managers that log in as them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import SessionManager
from sessionstream.permissions import acl_rules
from tests.servers import Server

NAMESPACE = "shop"
Of = Callable[..., Awaitable[SessionManager]]


@pytest.fixture
def own(make_server: Callable[..., Server]) -> Server:
    """A server whose users are the test's."""
    return make_server()


@pytest.fixture
async def admin(own: Server) -> AsyncIterator[Redis]:
    """Somebody who may do everything."""
    async with Redis.from_url(own.unix_url) as admin:
        yield admin


@pytest.fixture
async def of(own: Server, admin: Redis) -> AsyncIterator[Of]:
    """Open a manager as a user with the rules of a role: ``await of("auditor")``, or as an admin: ``of(None)``."""
    async with AsyncExitStack() as stack:

        async def make(role: str | None, **settings: Any) -> SessionManager:
            url = own.unix_url
            if role is not None:
                await admin.execute_command(*("ACL SETUSER", role, *acl_rules(role, NAMESPACE), "on", f">{role}"))
                url = f"unix://{role}:{role}@{own.socket}"
            manager = SessionManager(url=url, **{"namespace": NAMESPACE, **settings})
            stack.push_async_callback(manager.aclose)
            return manager

        yield make


@pytest.fixture
async def refusals(admin: Redis) -> Callable[[], Awaitable[list[str]]]:
    """Say what the server refused to any user."""

    async def read() -> list[str]:
        return [f"{entry['username']}: {entry['object']}" for entry in await admin.acl_log()]

    return read


@pytest.fixture
def everything(admin: Redis) -> Callable[[], Awaitable[dict[bytes, bytes]]]:
    """Read all that the server holds."""

    async def read() -> dict[bytes, bytes]:
        return {key: await admin.dump(key) async for key in admin.scan_iter(count=1000)}

    return read
