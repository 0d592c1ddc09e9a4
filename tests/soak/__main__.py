"""Ten minutes at full speed: ``python -m tests.soak --seconds 600``; it ends with a table, and fails if anything grows.

``SESSIONSTREAM_TEST_SERVER`` chooses the server.
"""

from __future__ import annotations

import argparse
import asyncio
import sys

from tests.servers import program
from tests.soak.gauges import Reading, growth, problems
from tests.soak.soaking import Round, Soaked, soak

_ROUND = 50.0
_MIB = 1024 * 1024
_HEAD = (
    "| round | s | sessions | events | calls/s | client MiB, most | server MiB, most "
    "| objects | keys | connections | tasks | fds |"
)


def _line(number: int, one: Round) -> str:
    reading, done = one.reading, one.done
    events = done["noted"] + done["saved"] + 2 * done["created"]
    client, server = reading.client_bytes / _MIB, reading.server_bytes / _MIB
    cells = [
        f"{number}",
        f"{one.seconds:.0f}",
        f"{done['created']:,}",
        f"{events:,}",
        f"{one.calls:,.0f}",
        f"{client:.1f}, {one.peak[0] / _MIB:.1f}",
        f"{server:.2f}, {one.peak[1] / _MIB:.1f}",
        f"{reading.objects:,}",
        f"{reading.keys:,}",
        f"{reading.connections}",
        f"{reading.tasks}",
        f"{reading.descriptors}",
    ]
    return "| " + " | ".join(cells) + " |"


def _summary(soaked: Soaked) -> list[str]:
    readings = [one.reading for one in soaked.rounds]
    warm = readings[min(3, len(readings) // 2) :]
    seconds = sum(one.seconds for one in soaked.rounds)
    grown = {name: growth([getattr(one, name) for one in warm]) for name in Reading._fields[:3]}
    done = sum((one.done for one in soaked.rounds), start=type(soaked.refused)())
    before, after = soaked.before, soaked.after
    assert after is not None
    return [
        f"{seconds:.0f} s in all; {', '.join(f'{name} {count:,}' for name, count in done.most_common())}",
        f"refused: {dict(soaked.refused) or 'nothing'}",
        f"from round {len(readings) - len(warm) + 1} on: client {grown['client_bytes'] / _MIB:+.2f} MiB, server "
        f"{grown['server_bytes'] / _MIB:+.3f} MiB, objects {grown['objects']:+,.0f}",
        f"before, and after the manager was closed: connections {before.connections}, {after.connections}; "
        f"tasks {before.tasks}, {after.tasks}; file descriptors {before.descriptors}, {after.descriptors}",
    ]


def main(arguments: list[str]) -> int:
    """Soak as the arguments say, print what came of it, and return 1 if anything has grown."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="in all, about")
    parser.add_argument("--seals", action="store_true", help="with a key, so that every session is sealed by itself")
    options = parser.parse_args(arguments)
    rounds = max(2, round(options.seconds / 60))
    settings = {"seal_key": "soak" * 8} if options.seals else {}
    numbers = iter(range(1, rounds + 1))
    print(f"{program()}{' with seals' if options.seals else ''}\n\n{_HEAD}\n|{'---|' * 12}", flush=True)
    soaked = asyncio.run(
        soak(
            rounds,
            min(_ROUND, options.seconds / rounds),
            filled=True,
            tell=lambda one: print(_line(next(numbers), one), flush=True),
            **settings,
        )
    )
    print("", *_summary(soaked), sep="\n")
    found = problems([one.reading for one in soaked.rounds])
    print(*(found or ["nothing grew"]), sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
