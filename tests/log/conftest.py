"""What these tests start from: managers, and how many commands the server has run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis

CountCommands = Callable[[], Awaitable[dict[str, int]]]


@pytest.fixture
def count_commands(client: Redis) -> CountCommands:
    """Read how often the server ran each command since the last time it was asked, those inside scripts too."""

    async def count() -> dict[str, int]:
        stats = await client.info("commandstats")
        await client.config_resetstat()
        return {name.removeprefix("cmdstat_"): stat["calls"] for name, stat in stats.items()}

    return count
