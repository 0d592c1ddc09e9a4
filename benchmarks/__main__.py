"""Run the benchmarks: ``python -m benchmarks``, all of them, or one, as ``python -m benchmarks append_tasks --quick``.

All of them run one after the other, each in a process of its own, so that what one loads slows down no other. At the
end comes every claim with what was found and wanted, and everything is written as JSON to build/benchmarks.json.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.against_peers import PEERS
from benchmarks.claims import Claim, claim_rows

__all__ = ["SCRIPTS", "main", "summary"]

SCRIPTS = (
    "append_one_by_one",
    "append_tasks",
    "append_batches",
    "get_session",
    "history",
    "resume",
    "fsync",
    "server_time",
    "bytes_per_event",
    "following",
    "against_peers",
    "startup",
    "growth",
)

# Settings of the user's own must not lead a benchmark to the user's own server.
KEPT = {"SESSIONSTREAM_TEST_SERVER", "SESSIONSTREAM_AIRLINE"}


def run_one(words: list[str]) -> dict[str, Any] | None:
    """Run one script in a process of its own, show what it prints, and return its JSON; None if it failed."""
    lines: list[str] = []
    with subprocess.Popen([sys.executable, "-m", "benchmarks", *words], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if not line.startswith("{"):
                print(line, end="", flush=True)
    if process.returncode or not lines or not lines[-1].startswith("{"):
        print(f"{words[0]} failed\n", flush=True)
        return None
    found: dict[str, Any] = json.loads(lines[-1])
    return found


def run_all(options: argparse.Namespace) -> int:
    """Run all scripts, print every claim, write the JSON; 1 if a script failed, whatever the others found."""
    passed_on = [word for word, given in (("--quick", options.quick), ("--tcp", options.tcp)) if given]
    began = time.monotonic()
    results = []
    for script in SCRIPTS:
        for first in PEERS if script == "against_peers" else [None]:
            results.append(run_one([script, *([first] if first else []), *passed_on]))
            print("=" * 120, flush=True)
    found = [result for result in results if result is not None]
    took = time.monotonic() - began
    print(f"\n{summary(found)}\n\n{took:,.0f} s; all of it is in {options.json}")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    everything = {"quick": options.quick, "seconds": round(took), "results": found}
    options.json.write_text(json.dumps(everything, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0 if len(found) == len(results) else 1


def summary(results: list[dict[str, Any]]) -> str:
    """Return every claim as a table, and how many are met."""
    claims = [
        Claim(**{name: value for name, value in claim.items() if name != "missed"})
        for result in results
        for claim in result["claims"]
    ]
    verdicts = [claim.missed for claim in claims]
    counts = f"{verdicts.count(False)} met, {verdicts.count(True)} missed, {verdicts.count(None)} not measured"
    return f"{claim_rows(claims)}\n\n{counts}"


def main(arguments: list[str]) -> int:
    """Run one benchmark with its options, or all of them; 2 for an unknown name."""
    for name in [name for name in os.environ if name.startswith("SESSIONSTREAM_") and name not in KEPT]:
        del os.environ[name]
    if arguments and not arguments[0].startswith("-"):
        script, *rest = arguments
        if script not in SCRIPTS:
            print(f"{script!r} is no benchmark: {', '.join(SCRIPTS)}", file=sys.stderr)
            return 2
        asyncio.run(importlib.import_module(f"benchmarks.{script}").main(rest))
        return 0
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small numbers: to see that they run, not to measure")
    parser.add_argument("--tcp", action="store_true", help="over TCP on the loopback interface, not a unix socket")
    parser.add_argument("--json", type=Path, default=Path("build/benchmarks.json"), help="where to write everything")
    return run_all(parser.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
