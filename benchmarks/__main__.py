"""Run the benchmarks: ``python -m benchmarks``, all of them, or ``python -m benchmarks growth --long 10000``."""

from __future__ import annotations

import sys

from benchmarks import appends, growth

SCRIPTS = {"growth": growth.main, "appends": appends.main}


def main(arguments: list[str]) -> int:
    """Run one benchmark with its options, or all of them; 2 for an unknown name."""
    if not arguments:
        for script in SCRIPTS.values():
            script([])
        return 0
    name, *options = arguments
    if name not in SCRIPTS:
        print(f"{name!r} is no benchmark: {', '.join(SCRIPTS)}", file=sys.stderr)
        return 2
    SCRIPTS[name](options)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
