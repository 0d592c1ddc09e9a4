"""Rounds: workers begin, faults come, everybody stops, and what there is is checked."""

from __future__ import annotations

import asyncio
import json
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fault.runner.checker import Checked, check
from tests.fault.runner.connections import manager_on
from tests.fault.runner.faults import CLOCKS
from tests.fault.runner.journal import Journal, Record, records_of
from tests.fault.runner.levels import Level
from tests.fault.runner.readers import missed_by_follower
from tests.fault.runner.scene import Place, Scene
from tests.fault.runner.state import State, read_state
from tests.fault.runner.tally import Happened, Tally
from tests.fault.runner.violations import Violation
from tests.fault.runner.worker import Orders
from tests.fault.runner.workers import Stuck, Workers
from tests.fault.runner.writing import AGENT, USERS

__all__ = ["Played", "Round", "play", "run_round"]

_SESSIONS = 10
_HASTE = 0.6
_QUIET = 60.0

Say = Callable[[str], None]


@dataclass
class Round:
    """What a round is made of.

    Attributes:
        place: where it takes place.
        level: how its servers were set up.
        faults: which come, by name; it ends with them, or when its time is over.
        seed: of all dice.
        seconds: for how long faults come.
        namespace: of its sessions.
        settings: of all managers, besides.
        say: called with what happens.
        keep: a folder for the journals of a round in which something was not as it was promised.
        spoil: called with the place before the check, by tests of the checker.
    """

    place: Place
    level: Level
    faults: Iterator[str] | Sequence[str]
    seed: int
    seconds: float = 3600.0
    namespace: str = "faults"
    settings: dict[str, Any] = field(default_factory=dict)
    say: Say = print
    keep: Path | None = None
    spoil: Callable[[Place], None] | None = None
    happened: list[Happened] = field(default_factory=list)

    @property
    def fatal(self) -> list[Happened]:
        """The faults that came, and may have cost what was acknowledged."""
        return [fault for fault in self.happened if fault.name in self.may_lose]

    @property
    def may_lose(self) -> frozenset[str]:
        """The faults that may cost what was acknowledged, here and at this level."""
        return self.level.may_lose(self.place.failovers)

    @property
    def manager_settings(self) -> dict[str, Any]:
        """What its managers have in common."""
        own = {"namespace": self.namespace, "partitions": self.place.partitions}
        return {**own, "durability": self.level.name, **self.settings}


@dataclass
class Played:
    """What there is after a round.

    Attributes:
        records: what each worker has noted, and the runner itself.
        state: what the servers have.
        stuck: what did not go on, or nothing.
        fatal: the faults that came, and may have cost what was acknowledged.
    """

    records: list[list[Record]]
    state: State
    stuck: list[Violation]
    fatal: list[Happened]

    def check(self) -> Checked:
        """Return what came of its check."""
        checked = check(self.records, self.state, self.fatal)
        checked.violations += self.stuck
        return checked


def run_round(one: Round, tally: Tally) -> Checked:
    """Let a round take place, add what it cost to the tally, and return what came of its check."""
    began = time.monotonic()
    played = play(one)
    checked = played.check()
    tally.add(checked.calls, checked.lost, one.happened, one.may_lose)
    tally.seconds += time.monotonic() - began
    if one.keep is not None and checked.violations:
        one.keep.mkdir(parents=True, exist_ok=True)
        (one.keep / f"{one.namespace}-{os.getpid()}.json").write_text(json.dumps(played.records))
    return checked


def play(one: Round) -> Played:
    """Let a round take place, and return what there is in the end, before the place is emptied."""
    with tempfile.TemporaryDirectory(prefix="sst-journals-") as folder:
        path = Path(folder) / "runner.journal"
        sessions = asyncio.run(_begin(one, Journal(path, f"{one.namespace}-runner")))
        one.place.save()
        stuck: list[Violation] = []
        with Workers(_orders(one, sessions), Path(folder), one.place.forks) as workers:
            try:
                _work(one, workers)
            except (Stuck, AssertionError) as error:
                stuck.append(Violation("stuck", str(error)))
                for worker in workers.all:
                    worker.kill()
            one.place.settle()
            if one.spoil is not None:
                one.spoil(one.place)
            state = asyncio.run(read_state(one.place.own_place, one.manager_settings))
            records = [list(records_of([path])), *workers.records()]
    one.place.empty()
    return Played(records, state, stuck, one.fatal)


async def _begin(one: Round, journal: Journal) -> list[str]:
    """Create the sessions on which all work."""
    sessions = []
    async with manager_on(one.place.own_place, **one.manager_settings) as manager:
        for number in range(_SESSIONS):
            identifier = journal.next_call()
            journal.note("asked", id=identifier, session=identifier, texts=[identifier])
            await manager.create_session(USERS[number % len(USERS)], AGENT, session_id=identifier)
            journal.note("acknowledged", id=identifier)
            sessions.append(identifier)
    journal.close()
    return sessions


def _orders(one: Round, sessions: list[str]) -> list[Orders]:
    """One worker writes and follows, one writes and takes part, and one does so in a hurry."""
    place, settings = one.place.workers_place, one.manager_settings
    patient = {"reply_timeout": 1.0, "deadline": 40.0, **settings}
    hasty = {"reply_timeout": 0.3, "deadline": _HASTE, **settings}
    return [
        Orders(f"{one.namespace}-a", "", place, patient, sessions, one.seed * 1000 + 100, follows=True),
        Orders(f"{one.namespace}-b", "", place, patient, sessions, one.seed * 1000 + 200, takes_part=True),
        Orders(
            f"{one.namespace}-c",
            "",
            place,
            hasty,
            sessions,
            one.seed * 1000 + 300,
            takes_part=True,
            hasty=True,
            writers=2,
        ),
    ]


def _work(one: Round, workers: Workers) -> None:
    dice = random.Random(one.seed)
    scene = Scene(one.place, workers, dice, one.namespace)
    scene.progress()
    until = time.monotonic() + one.seconds
    for name in one.faults:
        if time.monotonic() >= until:
            break
        if name in CLOCKS and one.place.clock.missing:
            one.say(f"no {name}: {one.place.clock.missing}")
            continue
        began = time.monotonic()
        one.place.faults[name].do(scene)
        over = time.monotonic()
        scene.progress()
        one.happened.append(Happened(name, began, time.monotonic()))
        one.say(f"{name}: {over - began:.2f} s, and all go on {time.monotonic() - over:.2f} s later")
    one.place.settle()
    workers.stop_writing()
    _until_quiet(one, workers)
    workers.end()


def _until_quiet(one: Round, workers: Workers) -> None:
    """Return when the follower was given all that there is, and the group has handled it; or say that it was not."""
    deadline = time.monotonic() + _QUIET
    while time.monotonic() < deadline:
        state = asyncio.run(read_state(one.place.own_place, one.manager_settings))
        for worker in workers.all:
            worker.listen()
        if not state.group and not _missed(workers.records(), state):
            return
    raise Stuck(
        f"after {_QUIET:.0f} s the follower lacks {_missed(workers.records(), state)}, the group: {state.group}"
    )


def _missed(workers: Sequence[Sequence[Record]], state: State) -> int:
    followers = [records for records in workers if any(record["kind"] == "follows" for record in records)]
    return sum(len(missed_by_follower(records, state)) for records in followers)
