"""The running event loop is found without asking the system each time, and is always the running one.

G20.
"""

from __future__ import annotations

import asyncio
import sys
import threading

import pytest

from sessionstream.wire.running import running_loop


async def test_it_is_the_one_that_runs() -> None:
    """Asked once or again."""
    assert running_loop() is asyncio.get_running_loop()
    assert running_loop() is asyncio.get_running_loop()


async def test_each_thread_has_its_own() -> None:
    """Though loops of several threads are asked for in turn, and one of them stays the last one that was found."""
    turn, found = threading.Barrier(2, timeout=10), list[bool]()

    async def ask() -> None:
        for _ in range(50):
            await asyncio.to_thread(turn.wait)
            found.append(running_loop() is asyncio.get_running_loop())

    other = threading.Thread(target=asyncio.run, args=(ask(),))
    other.start()
    await ask()
    await asyncio.to_thread(other.join)
    assert found == [True] * 100


def test_one_that_has_stopped_is_none() -> None:
    """As asyncio says: outside of a loop that runs there is none; and the next one is another."""

    async def ask() -> asyncio.AbstractEventLoop:
        return running_loop()

    first = asyncio.run(ask())
    with pytest.raises(RuntimeError):
        running_loop()
    with asyncio.Runner() as runner:
        assert runner.run(ask()) is runner.get_loop() is not first


@pytest.mark.skipif(sys.platform == "win32", reason="uvloop does not run on Windows")
def test_loops_of_another_kind_are_found_too() -> None:
    """Also between two of asyncio's own."""
    import uvloop

    async def ask() -> bool:
        return running_loop() is asyncio.get_running_loop()

    for factory in (asyncio.new_event_loop, uvloop.new_event_loop, asyncio.new_event_loop):
        with asyncio.Runner(loop_factory=factory) as runner:
            assert runner.run(ask())
