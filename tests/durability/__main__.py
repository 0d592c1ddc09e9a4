"""Measures what failovers cost, and prints it as a table.

    python -m tests.durability [--faults planned crash …] [--settings none min-replicas] [--json]

For each fault and each setting of the servers a primary, two replicas and three sentinels are started, which look as
often as they do by themselves. Writers of every kind write at the same time; what kinds, and which faults, is told in
`tests.durability.failovers`. The server is that of ``SESSIONSTREAM_TEST_SERVER``.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import os
import sys

from tests.durability.failovers import FAULTS, WRITERS, Tally, at_usual_pace, fail_over
from tests.sentinels import TestSentinels
from tests.servers import Setting

SETTINGS: dict[str, dict[str, Setting]] = {
    "none": {},
    "min-replicas": {"min_replicas_to_write": 1, "min_replicas_max_lag": 2},
}


def measured(fault: str, setting: str) -> dict[str, Tally]:
    """Return what one failover cost each kind of writers, which go on until the old primary has been told."""
    with TestSentinels(**SETTINGS[setting]) as sentinels:
        at_usual_pace(sentinels)
        return asyncio.run(fail_over(sentinels, fault, list(WRITERS), before=2.0, after=13.0))


def row(fault: str, setting: str, kind: str, tally: Tally) -> str:
    """Return a row of the table."""
    errors = ", ".join(f"{count:,} {name}" for name, count in tally.errors.most_common()) or "–"
    numbers = f"{tally.acknowledged:,} | {tally.lost:,} | {tally.doubled:,} | {tally.outage:.1f} s | {errors}"
    return f"| {fault} | {setting} | {kind} | {numbers} |"


def main() -> None:
    """Measure what the arguments name."""
    parser = argparse.ArgumentParser(prog="python -m tests.durability", description=__doc__)
    # Valkey alone can.
    redis = os.environ.get("SESSIONSTREAM_TEST_SERVER") == "redis"
    usual = [fault for fault in FAULTS if not (redis and fault == "coordinated")]
    parser.add_argument("--faults", nargs="+", choices=FAULTS, default=usual)
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if not given.json:
        print("| failover | servers | writers | acknowledged | lost | doubled | outage | errors |")
        print("|---|---|---|---|---|---|---|---|")
    lost = 0
    for fault in given.faults:
        for setting in given.settings:
            for kind, tally in measured(fault, setting).items():
                if given.json:
                    print(
                        json.dumps({"fault": fault, "servers": setting, "writers": kind, **dataclasses.asdict(tally)})
                    )
                else:
                    print(row(fault, setting, kind, tally), flush=True)
                lost += tally.doubled + (tally.lost if kind == "replicated(2)" else 0)
    sys.exit(1 if lost else 0)


if __name__ == "__main__":
    main()
