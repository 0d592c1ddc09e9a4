"""Every benchmark runs, made small, and says what it found in one form; how long anything took is never asserted."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

# For each script: how many claims it makes, and the contestants that it shows.
SCRIPTS = {
    "append_one_by_one": (1, {"PING", "append", "redis-py xadd"}),
    "append_tasks": (2, {"append, 256 tasks", "redis-py xadd, 256 tasks", "redis-py pipelines of 128 xadd"}),
    "append_batches": (1, {"append, batches of 100", "redis-py pipelines of 100 xadd"}),
    "get_session": (
        2,
        {"get_session", "redis-py hgetall", "get_session, 256 tasks", "redis-py hgetall, 256 tasks"},
    ),
    "history": (
        2,
        {
            "history, every event typed",
            "history, offset and version",
            "redis-py xrange, whole",
            "redis-py xrange, pages of 1,000",
        },
    ),
    "resume": (1, {"resume", "fold from the beginning"}),
    "fsync": (1, {"append, appendfsync always", "append, appendfsync everysec"}),
}


def run(*words: str) -> tuple[str, dict[str, Any]]:
    """Run a script, made small, and return what it prints for people, and the JSON of its last line."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *words, "--quick"],
        cwd=ROOT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    *lines, last = done.stdout.splitlines()
    return "\n".join(lines), json.loads(last)


def check_claims(shown: str, found: dict[str, Any], count: int) -> None:
    """Every claim stands in the table, with the verdict that its numbers give."""
    assert len(found["claims"]) == count
    for claim in found["claims"]:
        value, wanted = claim["found"], claim["wanted"]
        assert claim["missed"] is (value > wanted if claim["at_most"] else value < wanted)
        cells = [re.split(r"\s{2,}", line) for line in shown.splitlines()]
        [row] = [row for row in cells if row[:2] == [claim["what"], claim["against"]]]
        assert row[-1] == ("missed" if claim["missed"] else "met")


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_shows_what_it_measured(script: str) -> None:
    """Percentiles of calls, and a rate, for each contestant; and the ratio within rounds for each claim."""
    claims, contestants = SCRIPTS[script]
    shown, found = run(script)
    check_claims(shown, found, claims)
    assert found["benchmark"] == script
    assert set(found["contestants"]) == contestants
    for one in found["contestants"].values():
        assert 0 < one["p50_us"] <= one["p99_us"] <= one["p999_us"]
        assert one["rate_per_s"] > 0
        assert one["calls"] > 0
    for claim in found["claims"]:
        assert 0 < claim["low"] <= claim["found"] <= claim["high"]


def test_the_server_s_time_is_of_calls_that_hold_sixteen() -> None:
    """The script fails where a call holds another number of appends; so that it ran means that they did."""
    shown, found = run("server_time")
    check_claims(shown, found, 2)
    assert {one["server_us_per_event"] > 0 for one in found["contestants"].values()} == {True}


def test_the_bytes_of_an_event_are_shown_by_kind_of_key() -> None:
    """On each server that is installed; what no key accounts for is the server's own."""
    shown, found = run("bytes_per_event")
    measured = [claim for claim in found["claims"] if claim["found"] is not None]
    assert len(measured) == len(found["contestants"]) >= 1
    assert len(found["claims"]) == 2
    for one in found["contestants"].values():
        assert {"events", "feed", "head", "registry", "user", "log"} <= set(one["by_kind"])
        assert one["by_kind"]["events"] > one["payload_bytes"]
        assert sum(one["by_kind"].values()) < one["bytes_per_event"] * 1.2
    assert "bytes per event" in shown


def test_followers_are_measured_while_they_are_given_events_and_while_they_wait() -> None:
    """How old an event is when it is given; memory, connections, and the commands of a time without appends."""
    shown, found = run("following")
    check_claims(shown, found, 2)
    assert [claim["missed"] for claim in found["claims"]] == [False, False]
    assert len(found["contestants"]) == 2
    for one in found["contestants"].values():
        assert 0 < one["p50_us"] <= one["p99_us"]
        assert one["calls"] == 2 * found["events_per_s"]
    assert found["idle"]["bytes_each_here"] > 0


def test_starts_are_measured() -> None:
    """The import, and the embedded server, in milliseconds."""
    shown, found = run("startup")
    check_claims(shown, found, 2)
    assert len(found["contestants"]) == 5


def test_growth_is_measured_at_every_size_of_everything_that_grows() -> None:
    """Events, sessions, partitions; and the memory of sessions that do nothing, and of listing them."""
    shown, found = run("growth")
    check_claims(shown, found, 15)
    for axis, sizes in (("events", 2), ("sessions", 2), ("partitions", 2)):
        rows = found["axes"][axis]
        operations = {row["operation"] for row in rows}
        assert {"PING", "append", "get_session", "get_latest_checkpoint", "resume"} <= operations
        assert len(rows) == sizes * len(operations)
    assert {"list a user's 10 sessions", "list 200 of an agent's sessions"} <= operations
    assert [row["sessions"] for row in found["memory"]] == [200, 400]
    assert all(row["bytes_per_session"] > 0 and row["peak_kib"] > 0 for row in found["memory"])


def test_a_peer_that_is_not_installed_is_not_measured() -> None:
    """It is said, and counts as neither met nor missed."""
    installed = {distribution.name for distribution in importlib.metadata.distributions()}
    if "google-adk" in installed:
        pytest.skip("google-adk is installed")
    shown, found = run("against_peers", "google-adk")
    assert [claim["missed"] for claim in found["claims"]] == [None, None]
    assert shown.count("not measured: google-adk is not installed") == 2


def test_an_unknown_name_is_no_benchmark() -> None:
    """The names that there are are told."""
    done = subprocess.run([sys.executable, "-m", "benchmarks", "speed"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "append_one_by_one" in done.stderr
