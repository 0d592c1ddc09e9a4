"""What these tests start from: a proxy in front of the shared server, and lanes through it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from sessionstream.wire.connect import Dialer
from sessionstream.wire.lane import Lane
from tests.proxy import Proxy


@pytest.fixture
async def make_lane(proxy: Proxy) -> AsyncIterator[Callable[..., Awaitable[Lane]]]:
    """Open a lane through the proxy: ``await make_lane(reply_timeout=0.1)``; it is closed after the test."""
    async with contextlib.AsyncExitStack() as stack:

        async def make(*, reply_timeout: float = 5.0, protocol: int = 2) -> Lane:
            lane = await Dialer.from_url(proxy.url, reply_timeout=reply_timeout).dial(protocol=protocol)
            stack.push_async_callback(lane.wait_closed)
            stack.callback(lane.close)
            return lane

        yield make


@pytest.fixture
async def lane(make_lane: Callable[..., Awaitable[Lane]]) -> Lane:
    """A lane through the proxy."""
    return await make_lane()
