"""Whether anything grows slow: with the events of a session, with the sessions of a store, with its partitions.

Every size has a server of its own, and all sizes are measured side by side, in rounds whose order turns; calls are
awaited one by one. A PING, which knows of no session, is the control: how far its ratio is from 1 is chance. A session
that is appended to is made anew for each round where it is small, so that it keeps its size. What should stay flat is
claimed to take at most 1.25 times as long at the largest size as at the smallest; the rest is shown. To list all of an
agent's sessions, which are read in pages, is claimed to take at most 1 MiB, however many there are.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import plot
from benchmarks.claims import Claim, Measured, claim_of, show, table
from benchmarks.growing import Subject, filled_with_events, filled_with_sessions, peak_of_listing
from benchmarks.rounds import Contestant, Found, compete
from benchmarks.stage import Options, options_of, place_of, staged

__all__ = ["main", "measure"]

NAME = "growth"
FLAT = 1.25
MOST_MIB = 1.0
SIZES: dict[str, tuple[int, ...]] = {
    "events": (10, 1_000, 100_000),
    "sessions": (1_000, 10_000, 100_000),
    "partitions": (1, 16, 64, 256),
}
QUICK: dict[str, tuple[int, ...]] = {"events": (10, 50), "sessions": (200, 400), "partitions": (1, 16)}

# What should take as long at the largest size as at the smallest.
CLAIMED = {
    "events": ("append", "get_session", "get_latest_checkpoint", "resume"),
    "sessions": (
        "append",
        "get_session",
        "resume",
        "list a user's 10 sessions",
        "list a user's 100 sessions",
        "list 200 of an agent's sessions",
    ),
    "partitions": ("append", "get_session", "resume", "list a user's 10 sessions"),
}


async def measure(options: Options) -> Measured:
    """Measure all three, one after the other."""
    axes, memory = dict[str, list[dict[str, Any]]](), list[dict[str, Any]]()
    claims = list[Claim]()
    place = dict[str, Any]()
    for axis, sizes in (QUICK if options.quick else SIZES).items():
        async with AsyncExitStack() as stack:
            subjects = [await _subject(stack, options, axis, size) for size in sizes]
            found = await _compete(subjects, options)
            if axis == "sessions":
                memory = [await peak_of_listing(subject) | {"size": subject.size} for subject in subjects]
            place = place or await place_of(subjects[0].stage.client)
        axes[axis] = _rows(subjects, found)
        claims += [_flat(axis, name, subjects, found) for name in CLAIMED[axis]]
    claims.append(_bounded(memory))
    return Measured(NAME, place, {}, claims, {"axes": axes, "memory": memory, "plot": None})


async def _subject(stack: AsyncExitStack, options: Options, axis: str, size: int) -> Subject:
    stage = await stack.enter_async_context(staged(options, partitions=size if axis == "partitions" else 16))
    if axis == "events":
        return await filled_with_events(stage, size)
    sessions = size if axis == "sessions" else options.few(1_000, 200)
    return await filled_with_sessions(stage, size, sessions)


def _name(operation: str, size: int) -> str:
    return f"{operation} @ {size}"


async def _compete(subjects: Sequence[Subject], options: Options) -> dict[str, Found]:
    """Measure each operation on each subject; those of one operation are neighbours."""
    running = []
    for name in subjects[0].operations:
        for subject in subjects:
            one = subject.operations[name]
            calls = options.few(one.calls, 2)
            running.append(Contestant(_name(name, subject.size), partial(one.run, calls), calls, one.before))
    return await compete(running, options.rounds)


def _rows(subjects: Sequence[Subject], found: dict[str, Found]) -> list[dict[str, Any]]:
    return [
        {
            "operation": name,
            "size": subject.size,
            **found[_name(name, subject.size)].summary(),
            "to_smallest": round(statistics.median(_ratios(name, subject, subjects[0], found)), 3),
        }
        for name in subjects[0].operations
        for subject in subjects
    ]


def _ratios(name: str, of: Subject, to: Subject, found: dict[str, Found]) -> list[float]:
    """Return how the middle calls of each round compare."""
    pairs = zip(found[_name(name, of.size)].medians, found[_name(name, to.size)].medians, strict=True)
    return [one / other for one, other in pairs]


def _flat(axis: str, name: str, subjects: Sequence[Subject], found: dict[str, Found]) -> Claim:
    small, large = subjects[0], subjects[-1]
    what, against = f"{name}, {large.size:,} {axis}", f"{small.size:,} {axis}"
    return claim_of(_ratios(name, large, small, found), what, against, FLAT, at_most=True)


def _bounded(memory: list[dict[str, Any]]) -> Claim:
    large = memory[-1]
    what, of = "memory to list all of an agent's sessions", f"{large['size']:,} sessions"
    return Claim(what, of, round(large["peak_kib"] / 1024, 2), MOST_MIB, True, "MiB")


def _tables(found: dict[str, Any]) -> list[str]:
    tables = []
    for axis, rows in found["axes"].items():
        head = ["operation", axis, "p50 µs", "p99 µs", "p99.9 µs", "calls/s", f"p50 : {rows[0]['size']:,}"]
        keys = ("p50_us", "p99_us", "p999_us")
        cells = [
            [
                row["operation"],
                f"{row['size']:,}",
                *(f"{row[key]:,.0f}" for key in keys),
                f"{row['rate_per_s']:,.0f}",
                f"{row['to_smallest']:.2f}",
            ]
            for row in rows
        ]
        tables.append(table(head, cells))
    head = ["sessions", "bytes per idle session", "listing all of an agent's: peak KiB", "sessions/s", "created/s"]
    cells = [
        [
            f"{row['size']:,}",
            f"{row['bytes_per_session']:,.0f}",
            f"{row['peak_kib']:,.0f}",
            f"{row['listed_per_s']:,.0f}",
            f"{row['created_per_s']:,.0f}",
        ]
        for row in found["memory"]
    ]
    return [*tables, table(head, cells)]


async def main(arguments: list[str]) -> None:
    """Measure, plot and print."""
    options = options_of(arguments, NAME, __doc__, rounds=20, plot="build/growth.png")
    found = await measure(options)
    assert options.plot is not None
    found.more["plot"] = await asyncio.to_thread(plot.write, found.more["axes"], Path(options.plot))
    drawn = f"plot: {found.more['plot']}" if found.more["plot"] else "no plot: matplotlib is not installed"
    show(found, *_tables(found.more), drawn)
