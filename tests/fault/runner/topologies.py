"""The topologies that a round can take place in, by name."""

from __future__ import annotations

from tests.fault.runner.cluster import Cluster
from tests.fault.runner.scene import Place
from tests.fault.runner.sentinel import Sentinels
from tests.fault.runner.single import Single

__all__ = ["TOPOLOGIES"]

TOPOLOGIES: dict[str, type[Place]] = {"single": Single, "cluster": Cluster, "sentinel": Sentinels}
