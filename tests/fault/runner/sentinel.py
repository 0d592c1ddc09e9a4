"""A primary with two replicas, watched by three sentinels."""

from __future__ import annotations

from typing import Any

from tests.fault.runner.faults import EVERYWHERE, REPLACING, killed_and_restarted, restarted
from tests.fault.runner.scene import Fault, Place, Scene, Target, call
from tests.sentinels import NAME, TestSentinels
from tests.servers import Server

__all__ = ["Sentinels"]

_DOWN_AFTER = 2_000
_BY_PROXY = ("connections delayed", "connections half open", "connections held")


class Sentinels(Place):
    """Three data nodes; who is primary is what the sentinels say, so there is no proxy in between."""

    longest_pause = 0.9
    failovers = REPLACING
    nodes: TestSentinels

    def _start(self) -> None:
        self.nodes = self._stack.enter_context(TestSentinels(down_after=_DOWN_AFTER, **self._settings))

    @property
    def faults(self) -> dict[str, Fault]:
        """Those of every topology that need no proxy, and what becomes of the primary."""
        own = (
            Fault("server killed", killed_and_restarted),
            Fault("server restarted", restarted),
            Fault("connections cut", _cut),
            Fault("primary killed", _primary_killed),
            Fault("primary paused", _primary_paused),
            Fault("failover", _failed_over),
        )
        return {name: fault for name, fault in EVERYWHERE.items() if name not in _BY_PROXY} | {
            fault.name: fault for fault in own
        }

    @property
    def workers_place(self) -> dict[str, Any]:
        """By the sentinels."""
        return {"sentinels": [node.port for node in self.nodes.sentinels], "name": NAME}

    @property
    def own_place(self) -> dict[str, Any]:
        """By the sentinels too."""
        return self.workers_place

    @property
    def targets(self) -> list[Target]:
        """The primary."""
        return [Target(self.nodes.primary().server, None)]

    @property
    def servers(self) -> list[Server]:
        """The primary and its replicas."""
        return [node.server for node in self.nodes.nodes]

    def settle(self) -> None:
        """End what is wrong, and wait until all follow one primary."""
        super().settle()
        self.nodes.wait_until_whole()

    def empty(self) -> None:
        """Remove all keys."""
        self.nodes.empty()


def _nodes(scene: Scene) -> TestSentinels:
    assert isinstance(scene.place, Sentinels)
    return scene.place.nodes


def _cut(scene: Scene) -> None:
    """All connections of clients are closed, several times."""
    for _ in range(scene.dice.randrange(2, 6)):
        call(_nodes(scene).primary().server, "CLIENT", "KILL", "TYPE", "normal")
        scene.progress(5)


def _primary_killed(scene: Scene) -> None:
    """The primary is killed (SIGKILL), and a replica is promoted; it comes back as a replica."""
    primary = _nodes(scene).primary()
    primary.server.kill()
    _nodes(scene).wait_for_another(primary)
    scene.progress()
    scene.place.settle()


def _primary_paused(scene: Scene) -> None:
    """The primary hangs (SIGSTOP) until a replica is promoted, goes on, and is made a replica."""
    primary = _nodes(scene).primary()
    primary.server.pause()
    _nodes(scene).wait_for_another(primary)
    scene.progress()
    scene.place.settle()


def _failed_over(scene: Scene) -> None:
    """A replica takes over, planned (SENTINEL FAILOVER), while the primary goes on taking writes."""
    _nodes(scene).fail_over()
