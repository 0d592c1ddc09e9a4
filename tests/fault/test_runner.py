"""G42: what faults may cost; short rounds of the fault runner, of which `make soak` has long ones."""

from __future__ import annotations

import itertools

from tests.fault.runner.levels import LEVELS
from tests.fault.runner.plan import plan
from tests.fault.runner.rounds import Round, run_round
from tests.fault.runner.single import Single
from tests.fault.runner.tally import Tally


def round_of(place: Single, level: str, faults: list[str]) -> Tally:
    """Let faults come, once each; nothing but what the level may lose is not as it was promised."""
    tally = Tally()
    checked = run_round(Round(place, LEVELS[level], faults, seed=42), tally)
    assert [str(violation) for violation in checked.violations] == []
    for name in faults:
        if not (name.startswith("clock") and place.clock.missing):
            assert tally.rows[name].times == 1
            assert tally.rows[name].acknowledged
    print(tally.table())
    return tally


def test_fsync_loses_nothing_under_any_fault() -> None:
    """Of all that can happen to one server and to those who use it; each event is there once, and all else as told."""
    with Single(LEVELS["fsync"].settings) as place:
        assert round_of(place, "fsync", sorted(place.faults)).sum().lost == 0


def test_a_kill_costs_what_came_after_the_last_snapshot() -> None:
    """What is gone is counted; what is left is whole, and a stop in good order costs nothing."""
    with Single(LEVELS["memory"].settings) as place:
        tally = round_of(place, "memory", ["server restarted", "disk full", "server killed"])
    assert tally.rows["server restarted"].lost == tally.rows["disk full"].lost == 0
    assert tally.sum().window < 15


def test_the_same_seed_gives_the_same_plan() -> None:
    """Each fault comes once before any comes again."""
    names = list("abcdef")
    first, again, other = (list(itertools.islice(plan(names, seed), 12)) for seed in (1, 1, 2))
    assert first == again != other
    assert sorted(first[:6]) == sorted(first[6:]) == names
