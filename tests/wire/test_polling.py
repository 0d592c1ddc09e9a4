"""Polling for replies: it takes nobody's turn, and ceases where it is in vain."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from sessionstream import NoteAdded, SessionManager
from sessionstream.wire.polling import Polling
from tests.sessions.waiting import until


async def test_a_task_that_never_pauses_leaves_the_others_their_turns(reach: dict[str, Any], namespace: str) -> None:
    """Timers of other tasks fire while one task appends again and again, each append answered at once."""
    async with SessionManager(**reach, namespace=namespace) as manager:
        await manager.create_session("user_1", "assistant", session_id="s")
        turns = 0

        async def tick() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0.001)
                turns += 1

        ticking = asyncio.create_task(tick())
        appends = 0
        async with asyncio.timeout(30):
            while turns < 20:
                await manager.append("s", NoteAdded(text="x"))
                appends += 1
        ticking.cancel()
        session = await manager.get_session("s")
        assert session is not None
        assert session.version == 1 + appends


async def test_a_task_that_never_pauses_can_be_cancelled(reach: dict[str, Any], namespace: str) -> None:
    """A deadline ends it."""
    async with SessionManager(**reach, namespace=namespace) as manager:
        await manager.create_session("user_1", "assistant", session_id="s")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                while True:
                    await manager.append("s", NoteAdded(text="x"))


class Polled:
    """A socket that is polled, what is due on it, and what was taken from it."""

    def __init__(self, here: socket.socket | None, due: int = 1) -> None:
        self.due = [object()] * due
        self.taken: list[bytes] = []
        self.abandoned: list[str] = []
        self.raises: BaseException | None = None
        descriptor, loop = None if here is None else here.fileno(), asyncio.get_running_loop()
        self.polling = Polling(descriptor, loop, self._receive, self.abandoned.append, self.due)

    def _receive(self, data: bytes) -> None:
        self.taken.append(data)
        self.due.pop()
        if self.raises is not None:
            raise self.raises


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected sockets, of which the first does not block."""
    here, there = socket.socketpair()
    here.setblocking(False)
    with here, there:
        yield here, there


Pair = tuple[socket.socket, socket.socket]


async def test_what_has_arrived_is_taken(pair: Pair) -> None:
    """All of it, until nothing is due."""
    here, there = pair
    polled = Polled(here)
    there.send(b"reply")
    polled.polling.wait()
    assert polled.taken == [b"reply"]


async def test_of_many_the_next_is_taken_when_nothing_else_is_to_run(pair: Pair) -> None:
    """The loop then has what that wakes run, before it polls again; and polls not at all where something else runs."""
    here, there = pair
    polled = Polled(here, 3)
    there.send(b"reply")
    polled.polling.look_soon()
    polled.polling.look_soon()
    assert polled.taken == []
    # Each turn of the loop has something to run until this task is given back to it.
    asyncio.get_running_loop().call_soon(polled.polling.look_soon)
    await asyncio.sleep(0)
    assert polled.taken == []
    await until(lambda: polled.taken)
    assert polled.taken == [b"reply"]
    assert len(polled.due) == 2


async def test_a_reply_that_does_not_come_is_waited_for_briefly(pair: Pair) -> None:
    """A quarter of a millisecond of this process's time, whatever the machine does beside it."""
    polled = Polled(pair[0])
    began = time.process_time()
    polled.polling.wait()
    assert time.process_time() - began < 0.05
    assert polled.taken == []


async def test_polling_in_vain_ceases_and_is_tried_again_at_times(pair: Pair) -> None:
    """One call of 16 looks whether it pays again; a reply that comes brings it back."""
    here, there = pair
    polled = Polled(here)
    for _ in range(40):
        if polled.polling.pays():
            polled.polling.wait()
    assert [polled.polling.pays() for _ in range(32)].count(True) == 2
    there.send(b"reply")
    polled.polling.wait()
    assert [polled.polling.pays() for _ in range(4)] == [True] * 4


async def test_what_else_is_to_run_does_not_make_polling_in_vain_pay(pair: Pair) -> None:
    """It says nothing of how soon replies come."""
    polled = Polled(pair[0])
    while polled.polling.pays():
        polled.polling.wait()
    for _ in range(100):
        polled.polling.look_soon()
        # Ready to run in each turn, this task is what else there is.
        await asyncio.sleep(0)
    assert [polled.polling.pays() for _ in range(32)].count(True) <= 2


@pytest.mark.parametrize("error", [KeyboardInterrupt(), TimeoutError(), ValueError()])
async def test_who_is_interrupted_in_the_middle_of_a_reply_abandons_the_connection(
    pair: Pair, error: BaseException
) -> None:
    """By a signal's handler, say: what was read is lost, and the next reply would be taken for another one's."""
    here, there = pair
    polled = Polled(here, 2)
    there.send(b"reply")
    polled.raises = error
    with pytest.raises(type(error)):
        polled.polling.wait()
    assert len(polled.abandoned) == 1


async def test_the_end_of_a_connection_is_left_to_the_transport(pair: Pair) -> None:
    """It is seen, and not taken for data."""
    here, there = pair
    there.close()
    polled = Polled(here)
    polled.polling.wait()
    assert polled.taken == []
    assert os.read(here.fileno(), 1) == b""


async def test_without_a_socket_nothing_is_polled() -> None:
    """As with TLS, or where there is one processor only."""
    polled = Polled(None)
    assert not polled.polling.pays()
    polled.polling.look()
    assert polled.taken == []


async def test_after_the_end_nothing_is_polled(pair: Pair) -> None:
    """Neither what was asked for before, nor a socket that has the same number by then."""
    here, there = pair
    polled = Polled(here)
    there.send(b"somebody else's")
    polled.polling.look_soon()
    polled.polling.end()
    polled.polling.wait()
    assert not polled.polling.pays()
    await until(lambda: polled.polling.alone)
    assert polled.taken == []
