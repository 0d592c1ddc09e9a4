"""G11, G16, G26: a clock that was wrong for a while; what was leased or held back then does not stay so."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from sessionstream import NoteAdded, SessionManager
from sessionstream.consumers.leases import Leases
from sessionstream.log.leases import holder_named
from tests.fault.conftest import Open
from tests.fault.runner.clock import Clock
from tests.servers import Server

YEAR = 365 * 86_400.0
LEASE = 0.3


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    """The clock of the test's server."""
    clock = Clock(tmp_path)
    if clock.missing:
        pytest.skip(clock.missing)
    return clock


@pytest.fixture
def url(clock: Clock) -> Iterator[str]:
    """The address of a server that has this clock."""
    server = Server()
    server.environment = clock.environment
    with server:
        yield server.unix_url


@pytest.fixture
def manager(url: str, open_manager: Open) -> SessionManager:
    """A manager on it."""
    return open_manager(url, partitions=1)


async def test_the_clock_of_a_server_can_be_set(manager: SessionManager, clock: Clock) -> None:
    """Ahead and back, while it runs: the offsets tell, and none is earlier than the one before."""
    session_id = (await manager.create_session("u", "a")).session_id
    offsets = []
    for seconds in (0.0, YEAR, -3600.0):
        clock.set(seconds)
        offsets.append((await manager.append(session_id, NoteAdded(text="a"))).offset)
    times = [int(offset.partition("-")[0]) for offset in offsets]
    assert YEAR - 3600 < (times[1] - times[0]) / 1000 < YEAR + 3600
    assert times[2] == times[1]


async def test_a_lock_whose_holder_died_while_the_clock_was_ahead_is_free_after_its_lease(
    manager: SessionManager, url: str, open_manager: Open, clock: Clock
) -> None:
    """Not after a year."""
    session_id = (await manager.create_session("u", "a")).session_id
    clock.set(YEAR)
    dead = await open_manager(url, partitions=1).acquire_lock(session_id, lease=LEASE)
    dead.stop()
    clock.set(0)
    lock = await manager.acquire_lock(session_id, timeout=20.0)
    assert lock.token == dead.token + 1


async def test_a_lock_whose_holder_lives_stays_its_own_when_the_clock_is_set_back(
    manager: SessionManager, url: str, open_manager: Open, clock: Clock
) -> None:
    """Somebody else asks for it all the time, and its holder goes on renewing it."""
    session_id = (await manager.create_session("u", "a")).session_id
    clock.set(YEAR)
    async with open_manager(url, partitions=1).lock(session_id, lease=LEASE) as lock:
        clock.set(0)
        with pytest.raises(TimeoutError):
            await manager.acquire_lock(session_id, timeout=3 * LEASE)
        assert not lock.lost


async def test_partitions_of_a_member_that_died_while_the_clock_was_ahead_go_to_others(
    manager: SessionManager, clock: Clock
) -> None:
    """Also its place in the group: nobody keeps a share free for it."""

    async def handle(item: object) -> None:
        """Handle nothing."""

    async with manager.consumers.join("g", handle):
        pass
    clock.set(YEAR)
    dead, alive = (Leases(manager.store, "g", name, holder_named(LEASE), LEASE) for name in ("dead", "alive"))
    assert await dead.beat() == ["dead"]
    held = await dead.acquire(0)
    assert held is not None
    clock.set(0)
    status = await manager.consumers.status("g")
    assert (status.members, status.partitions[0].member) == ([], "")
    async with asyncio.timeout(20):
        while await alive.beat() != ["alive"]:
            await asyncio.sleep(0.02)
        while (lease := await alive.acquire(0)) is None:
            await asyncio.sleep(0.02)
    assert lease.token == held.token + 1


async def test_appends_that_were_held_back_while_the_clock_was_ahead_go_on(
    manager: SessionManager, clock: Clock
) -> None:
    """A rebuild holds them back for a quarter of a second at most, whatever the clock says afterwards."""
    session_id = (await manager.create_session("u", "a")).session_id
    clock.set(YEAR)
    async with manager.store.paused(0, unless=False):
        pass
    clock.set(0)
    manager.store.server.deadline = 3.0
    assert (await manager.append(session_id, NoteAdded(text="a"))).version == 2
