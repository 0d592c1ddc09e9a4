"""What becomes of a lock when its holder's process is paused, or is killed (G16)."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator

import pytest

from sessionstream.events.runtime import NoteAdded
from sessionstream.locks import Locks
from sessionstream.log.store import Store
from tests.conftest import ROOT
from tests.locks.conftest import Texts
from tests.servers import Server

LEASE = 0.6


class Holder:
    """Another process that holds the session's lock; see `holder.py`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def do(self, word: str) -> str:
        """Give it a word, and return its answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n".encode())
        return await self.hear()

    async def hear(self) -> str:
        """Return its next answer."""
        assert self.process.stdout is not None
        return (await asyncio.wait_for(self.process.stdout.readline(), 30)).decode().strip()


@pytest.fixture
async def holder(server: Server, namespace: str, session_id: str) -> AsyncIterator[Holder]:
    """Another process, which holds the session's lock with the token 1."""
    pipe = asyncio.subprocess.PIPE
    words = [sys.executable, "-m", "tests.locks.holder", server.url, namespace, session_id, str(LEASE)]
    process = await asyncio.create_subprocess_exec(*words, cwd=ROOT, stdin=pipe, stdout=pipe)
    try:
        holder = Holder(process)
        assert await holder.do("acquire") == "1"
        yield holder
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_a_process_keeps_its_lock_and_wakes_another_by_its_release(
    locks: Locks, session_id: str, holder: Holder
) -> None:
    """Between processes a release is heard, long past the first lease."""
    waiter = asyncio.create_task(locks.acquire(session_id, timeout=30))
    await asyncio.wait({waiter}, timeout=2 * LEASE)
    assert not waiter.done()
    assert await holder.do("lost") == "False"
    assert await holder.do("release") == "True"
    assert (await waiter).token == 2


async def test_a_killed_process_frees_its_lock_after_its_lease(locks: Locks, session_id: str, holder: Holder) -> None:
    """Nobody renews it any more, and who waits has it when it runs out."""
    holder.process.kill()
    await holder.process.wait()
    loop = asyncio.get_running_loop()
    killed = loop.time()
    lock = await locks.acquire(session_id, timeout=20)
    assert loop.time() - killed < LEASE + 1
    assert lock.token == 2
    await locks.release(session_id, lock)


async def test_a_process_paused_past_its_lease_writes_nothing_more(
    store: Store, locks: Locks, session_id: str, holder: Holder, notes: Texts
) -> None:
    """Its successor's write stands; its own next one is refused, and it sees that it lost the lock."""
    assert await holder.do("note") == "2"
    holder.process.send_signal(signal.SIGSTOP)
    async with locks.hold(session_id, timeout=20) as lock:
        await store.append(session_id, [NoteAdded(text="from the successor")])
        holder.process.send_signal(signal.SIGCONT)
        assert await holder.do("note") == "LockLost"
        assert await holder.do("lost") == "True"
        assert await holder.do("release") == "LockLost"
        assert not lock.lost
    assert await notes() == ['{"text":"from the holder"}', '{"text":"from the successor"}']


async def test_a_paused_process_whose_lock_nobody_took_goes_on(
    locks: Locks, session_id: str, holder: Holder, notes: Texts
) -> None:
    """Its token is still the last one, so nothing is lost."""
    holder.process.send_signal(signal.SIGSTOP)
    async with asyncio.timeout(20):
        while await locks.locked([session_id]) == [True]:
            await asyncio.sleep(0.002)
    holder.process.send_signal(signal.SIGCONT)
    assert await holder.do("note") == "2"
    assert await holder.do("release") == "True"
    assert len(await notes()) == 1
