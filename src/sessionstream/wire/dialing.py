"""One connection as it is opened: redis-py resolves, authenticates and encrypts; the lane takes over its transport."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig

from sessionstream.errors import Unavailable
from sessionstream.wire.lane import Lane
from sessionstream.wire.refusal import from_driver

__all__ = ["open_lane", "ours"]


def ours(protocol: int) -> dict[str, Any]:
    """Return the settings of a connection that are the library's and not the caller's.

    Args:
        protocol: 2, or 3 for one that receives pushes.
    """
    return {
        "protocol": protocol,
        "decode_responses": False,
        "retry": Retry(NoBackoff(), 0),
        "retry_on_error": [],
        # The lane has its own; redis-py's swallows cancellation on Python 3.11.
        "socket_timeout": None,
        "socket_connect_timeout": None,
        "health_check_interval": 0,
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
        # It says no more than which driver this is, and Redis 7.0 has no rule that allows it.
        "driver_info": None,
    }


async def open_lane(
    kind: type[AbstractConnection], settings: Mapping[str, Any], seconds: float, *, reply_timeout: float
) -> Lane:
    """Open and authenticate a connection.

    Args:
        kind: redis-py's class of it.
        settings: what it is made with.
        seconds: after which it counts as failed.
        reply_timeout: see `Lane`.

    Raises:
        Unavailable: and its subclasses: the server is away, or refuses the password.
    """
    connection = kind(**settings)
    try:
        async with asyncio.timeout(seconds):
            await connection.connect()  # type: ignore[no-untyped-call]
    except BaseException as error:
        # redis-py leaves the socket of a cancelled attempt open. Nobody waits until TLS has taken its leave.
        if connection._writer is not None:
            connection._writer.transport.abort()
            connection._writer = connection._reader = None
        if isinstance(error, TimeoutError):
            raise Unavailable(f"the server did not answer within {seconds:g} s") from None
        if isinstance(error, Exception):
            raise from_driver(error) from None
        raise
    writer = connection._writer
    assert writer is not None
    # From here on the connection object is an empty shell: the lane alone reads, writes and closes.
    connection._writer = connection._reader = None
    return Lane(writer, reply_timeout=reply_timeout)
