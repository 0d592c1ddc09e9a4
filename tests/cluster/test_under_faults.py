"""G42: a Cluster under load, while slots move, a node joins, and a primary is replaced; then every stream is read."""

from __future__ import annotations

from tests.fault.runner.cluster import Cluster
from tests.fault.runner.levels import LEVELS
from tests.fault.runner.rounds import Round, run_round
from tests.fault.runner.tally import Tally


def test_a_cluster_that_changes_under_load_is_as_promised() -> None:
    """What a killed primary had not passed on is counted; nothing else is lost, and nothing is doubled."""
    faults = ["slots moved", "node added and removed", "primary killed"]
    tally = Tally()
    with Cluster(LEVELS["process"].settings) as place:
        checked = run_round(Round(place, LEVELS["process"], faults, seed=42), tally)
    print(tally.table())
    assert [str(violation) for violation in checked.violations] == []
    assert all(tally.rows[name].acknowledged for name in faults)
