"""`history --speed`: events at their recorded pace."""

from __future__ import annotations

import asyncio
import signal

from sessionstream import NoteAdded, SessionManager
from sessionstream.cli.pacing import Pace
from tests.cli.conftest import Cli, Process


class Watch:
    """A clock that goes on by what is slept, and by nothing else."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []
        self.told: list[float] = []

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.slept.append(round(seconds, 6))
        self.now += seconds

    def pace(self, speed: float, longest: float = 1000) -> Pace:
        """Return a pace that goes by this clock."""
        return Pace(speed, longest, self.told.append, sleep=self.sleep, clock=lambda: self.now)


async def test_events_come_as_far_apart_as_they_were() -> None:
    """The first at once, those of one moment together."""
    watch = Watch()
    pace = watch.pace(1)
    for ms in (5_000, 5_500, 5_500, 8_500):
        await pace.keep(ms)
    assert watch.slept == [0.5, 3.0]


async def test_ten_times_as_fast_is_a_tenth_of_the_time() -> None:
    """And a tenth as fast is ten times of it."""
    for speed, slept in ((10, [0.1, 0.2]), (0.1, [10.0, 20.0])):
        watch = Watch()
        pace = watch.pace(speed)
        for ms in (0, 1_000, 3_000):
            await pace.keep(ms)
        assert watch.slept == slept


async def test_a_long_gap_is_shortened_and_told() -> None:
    """As long as it was; what follows keeps its distance."""
    watch = Watch()
    pace = watch.pace(1, longest=2)
    for ms in (0, 1_000, 3_601_000, 3_602_000):
        await pace.keep(ms)
    assert (watch.slept, watch.told) == ([1.0, 2, 1.0], [3600.0])


async def test_time_that_printing_takes_is_made_good() -> None:
    """So the whole takes no longer than it did; but after a pause of whoever looks nothing is rushed."""
    watch = Watch()
    pace = watch.pace(1)
    await pace.keep(0)
    watch.now += 0.3
    await pace.keep(1_000)
    assert watch.slept == [0.7]
    watch.now += 60
    for ms in (2_000, 3_000):
        await pace.keep(ms)
    assert watch.slept == [0.7, 1.0]


async def test_a_history_is_shown_at_its_pace(cli: Cli, session: str) -> None:
    """Every event, as without."""
    at_once = await cli("history", session)
    paced = await cli("history", session, "--speed", "100000")
    assert (paced.code, paced.out.split()) == (0, at_once.out.split())
    paced = await cli("history", session, "--speed", "0.0001", "--longest", "0")
    assert paced.out.split() == at_once.out.split()
    assert "later, after" in paced.err


async def test_a_pace_goes_forward(cli: Cli, session: str) -> None:
    """And is one."""
    assert (await cli("history", session, "--speed", "1", "--backward")).code == 2
    assert (await cli("history", session, "--speed", "nan")).code == 2
    assert (await cli("history", session, "--speed", "0")).code == 2


async def test_every_event_is_written_when_it_is_due(process: Process, manager: SessionManager) -> None:
    """A reader of the pipe does not wait for the next one; Ctrl-C ends it without noise."""
    await manager.create_session("u", "a", session_id="s")
    now = await manager.store.now_ms()
    while await manager.store.now_ms() <= now:
        await asyncio.sleep(0)
    await manager.append("s", NoteAdded(text="x"))
    command = await process("history", "s", "--speed", "0.000001", "--longest", "600")
    assert command.stdout is not None
    async with asyncio.timeout(30):
        assert b"session.created" in await command.stdout.readline()
    command.send_signal(signal.SIGINT)
    out, err = await command.communicate()
    assert (command.returncode, out) == (130, b"")
    assert err.splitlines()[-1] == b"sessionstream: interrupted"
    assert b"Traceback" not in err
