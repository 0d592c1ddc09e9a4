"""Durability levels: how the servers are set up for each, and which faults may cost acknowledged events then."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["LEVELS", "Level"]


class Level(NamedTuple):
    """What a server does before it acknowledges.

    Attributes:
        name: as the settings of a store call it.
        settings: of the servers.
        may_lose: the faults that may cost what was acknowledged.
    """

    name: str
    settings: dict[str, Any]
    may_lose: frozenset[str]


_FAILOVERS = frozenset({"primary killed", "primary paused", "failover"})
_KILLS = frozenset({"server killed"})

LEVELS = {
    level.name: level
    for level in (
        # Without any file a kill costs everything; with snapshots, what came after the last one.
        Level("memory", {"appendonly": False, "save": ("1", "1")}, _FAILOVERS | _KILLS),
        Level("process", {"appendonly": True, "appendfsync": "everysec"}, _FAILOVERS | _KILLS),
        Level("fsync", {"appendonly": True, "appendfsync": "always"}, _FAILOVERS),
        Level("replicated(1)", {"appendonly": True, "appendfsync": "everysec"}, _KILLS),
    )
}
