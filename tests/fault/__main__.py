"""python -m tests.fault: lets the fault runner run, and prints what came of it."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tests.fault.runner.levels import LEVELS
from tests.fault.runner.plan import plan
from tests.fault.runner.rounds import Round, run_round
from tests.fault.runner.tally import Tally
from tests.fault.runner.topologies import TOPOLOGIES


def main() -> int:
    """Run rounds until the time is over; 1 if anything was not as it was promised."""
    parser = argparse.ArgumentParser(prog="python -m tests.fault", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="for how long faults come (60)")
    parser.add_argument("--topology", choices=TOPOLOGIES, default="single")
    parser.add_argument("--level", choices=LEVELS, default="fsync")
    parser.add_argument("--seed", type=int, default=1, help="of the plan, and of all dice")
    parser.add_argument("--round", type=float, default=40.0, help="seconds after which all is checked, and begun anew")
    parser.add_argument("--only", action="append", help="a fault, by its name; may be given several times")
    parser.add_argument("--keep", type=Path, help="a folder for the journals of rounds that were not as promised")
    given = parser.parse_args()
    level, tally = LEVELS[given.level], Tally()
    failed, until, number = 0, time.monotonic() + given.seconds, 0
    with TOPOLOGIES[given.topology](level.settings) as place:
        faults = plan(given.only or list(place.faults), given.seed)
        while (left := until - time.monotonic()) > 0:
            number += 1
            one = Round(place, level, faults, given.seed + number, min(left, given.round), f"round{number}")
            one.keep = given.keep
            checked = run_round(one, tally)
            failed += len(checked.violations)
            print(f"round {number}: {len(checked.calls)} calls, {len(checked.lost)} lost")
            for violation in checked.violations:
                print(f"VIOLATION {violation}")
            sys.stdout.flush()
    print(f"\n{given.topology}, {given.level}, seed {given.seed}, {tally.seconds:.0f} s, {number} rounds\n")
    print(tally.table())
    print(tally.json())
    print(f"violations: {failed}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
