"""G42: a Cluster under load, while slots move, a node joins, and a primary is replaced; then every stream is read."""

from __future__ import annotations

from tests.fault.runner.cluster import Cluster
from tests.fault.runner.levels import LEVELS
from tests.fault.runner.rounds import Round, run_round
from tests.fault.runner.tally import Tally


def test_a_cluster_that_changes_under_load_is_as_promised() -> None:
    """In good order nothing is lost; what a killed primary had not passed on is counted, and nothing is doubled."""
    with Cluster(LEVELS["process"].settings) as place:
        kept = round_of(place, "slots moved", "node added and removed", "failover in good order")
        assert kept.sum().lost == 0
        round_of(place, "primary killed")


def round_of(place: Cluster, *faults: str) -> Tally:
    """Let faults come, and check what there is then."""
    tally = Tally()
    checked = run_round(Round(place, LEVELS["process"], faults, seed=42), tally)
    print(tally.table())
    assert [str(violation) for violation in checked.violations] == []
    assert all(tally.rows[name].acknowledged for name in faults)
    return tally
