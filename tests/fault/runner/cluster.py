"""A Cluster: three primaries with a replica each, slots that move, and nodes that come and go."""

from __future__ import annotations

from typing import Any

from sessionstream.log.keys import Keys
from sessionstream.wire.cluster.slots import slot_of
from tests.clusters import Node, TestCluster, until
from tests.fault.runner.faults import EVERYWHERE, REPLACING, killed_and_restarted, restarted
from tests.fault.runner.scene import Fault, Place, Scene, Target
from tests.proxy import Proxy
from tests.servers import Server

__all__ = ["Cluster"]


class Cluster(Place):
    """Six nodes, each behind a proxy."""

    partitions = 64
    # They take a node for dead after two seconds.
    longest_pause = 0.9
    failovers = REPLACING

    nodes: TestCluster
    _proxied: dict[int, Proxy]

    def _start(self) -> None:
        self.nodes = self._stack.enter_context(TestCluster(**self._settings))
        self._proxied = {node.port: self._proxy(node.server) for node in self.nodes.nodes}

    @property
    def faults(self) -> dict[str, Fault]:
        """Those of every topology, and what becomes of nodes and slots."""
        own = (
            Fault("server killed", killed_and_restarted),
            Fault("server restarted", restarted),
            Fault("primary killed", _primary_killed),
            Fault("primary paused", _primary_paused),
            Fault("failover in good order", _failed_over),
            Fault("slots moved", _slots_moved),
            Fault("node added and removed", _node_added),
        )
        return {fault.name: fault for fault in own} | EVERYWHERE

    @property
    def workers_place(self) -> dict[str, Any]:
        """By the proxies."""
        return {**self.own_place, "remap": {port: proxy.port for port, proxy in self._proxied.items()}}

    @property
    def own_place(self) -> dict[str, Any]:
        """By the nodes themselves."""
        return {"ports": list(self._proxied), "remap": {}}

    @property
    def targets(self) -> list[Target]:
        """The primaries."""
        return [Target(node.server, self._proxied.get(node.port)) for node in self.nodes.primaries()]

    @property
    def servers(self) -> list[Server]:
        """Primaries and replicas."""
        return [node.server for node in self.nodes.nodes]

    def settle(self) -> None:
        """End what is wrong, and wait until each primary has its replica."""
        super().settle()
        self.nodes.remove_added()
        self.nodes.wait_until_whole()

    def empty(self) -> None:
        """Remove all keys."""
        self.nodes.empty()

    def slots(self, namespace: str) -> list[int]:
        """Return the slots in which sessions of a namespace lie."""
        keys = Keys(namespace, self.partitions)
        return [slot_of(keys.log(partition)) for partition in range(self.partitions)]


def _cluster(scene: Scene) -> tuple[Cluster, TestCluster]:
    assert isinstance(scene.place, Cluster)
    return scene.place, scene.place.nodes


def _replaced(scene: Scene) -> tuple[Node, Node]:
    """Choose a primary, and return it and its replica."""
    _, nodes = _cluster(scene)
    primary = scene.dice.choice(nodes.primaries())
    return primary, nodes.replica_of(primary)


def _primary_killed(scene: Scene) -> None:
    """A primary is killed (SIGKILL), and its replica is promoted."""
    primary, replica = _replaced(scene)
    primary.server.kill()
    until(lambda: replica.is_primary, "a replica to be promoted")
    scene.progress()
    scene.place.settle()


def _primary_paused(scene: Scene) -> None:
    """A primary hangs (SIGSTOP) until its replica is promoted and has worked, then goes on."""
    primary, replica = _replaced(scene)
    primary.server.pause()
    until(lambda: replica.is_primary, "a replica to be promoted")
    scene.progress()
    scene.place.settle()


def _failed_over(scene: Scene) -> None:
    """A replica takes over in good order (CLUSTER FAILOVER)."""
    _, nodes = _cluster(scene)
    nodes.fail_over(scene.dice.choice(nodes.primaries()))
    scene.place.settle()


def _slots_moved(scene: Scene) -> None:
    """Some slots of the sessions move, key by key."""
    place, nodes = _cluster(scene)
    for slot in scene.dice.sample(place.slots(scene.namespace), 4):
        nodes.move_slot(slot, scene.dice.choice([one for one in nodes.primaries() if one is not nodes.owner(slot)]))


def _node_added(scene: Scene) -> None:
    """A node joins, is given some slots of the sessions, works, gives them back, and is gone."""
    place, nodes = _cluster(scene)
    added = nodes.add_node()
    for slot in scene.dice.sample(place.slots(scene.namespace), 3):
        nodes.move_slot(slot, added)
    scene.progress()
    scene.place.settle()
