"""Durability levels: how the servers are set up for each, and which faults may cost acknowledged events then."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["LEVELS", "Level"]


class Level(NamedTuple):
    """What a server does before it acknowledges.

    Attributes:
        name: as the settings of a store call it.
        settings: of the servers.
        kills: the faults that may cost what was acknowledged where the server goes on with its own data.
        waits: whether replicas have what is acknowledged, so that a failover costs nothing.
    """

    name: str
    settings: dict[str, Any]
    kills: frozenset[str]
    waits: bool = False

    def may_lose(self, failovers: frozenset[str]) -> frozenset[str]:
        """Return the faults that may cost what was acknowledged.

        Args:
            failovers: those by which a replica may take the place of a primary.
        """
        return self.kills if self.waits else self.kills | failovers


_KILLS = frozenset({"server killed"})

LEVELS = {
    level.name: level
    for level in (
        # Without any file a kill costs everything; with snapshots, what came after the last one.
        Level("memory", {"appendonly": False, "save": ("1", "1")}, _KILLS),
        Level("process", {"appendonly": True, "appendfsync": "everysec"}, _KILLS),
        Level("fsync", {"appendonly": True, "appendfsync": "always"}, frozenset()),
        Level("replicated(1)", {"appendonly": True, "appendfsync": "everysec"}, _KILLS, waits=True),
    )
}
