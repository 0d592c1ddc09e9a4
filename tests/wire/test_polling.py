"""Polling for the reply to a lone call: it takes nobody's turn, and ceases where it is in vain."""

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


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected sockets, of which the first does not block."""
    here, there = socket.socketpair()
    here.setblocking(False)
    with here, there:
        yield here, there


def test_what_has_arrived_is_taken(pair: tuple[socket.socket, socket.socket]) -> None:
    """All of it, until nothing is due."""
    here, there = pair
    there.send(b"reply")
    due, taken = [1], b""

    def receive(data: bytes) -> None:
        nonlocal taken
        taken += data
        due.clear()

    Polling(here.fileno()).wait(receive, due)
    assert taken == b"reply"


def test_a_reply_that_does_not_come_is_waited_for_briefly(pair: tuple[socket.socket, socket.socket]) -> None:
    """A quarter of a millisecond of this process's time, whatever the machine does beside it."""
    polling = Polling(pair[0].fileno())
    began = time.process_time()
    polling.wait(lambda data: pytest.fail("nothing was sent"), [1])
    assert time.process_time() - began < 0.05


def test_polling_in_vain_ceases_and_is_tried_again_at_times(pair: tuple[socket.socket, socket.socket]) -> None:
    """One call of 16 looks whether it pays again; a reply that comes brings it back."""
    here, there = pair
    polling = Polling(here.fileno())
    for _ in range(40):
        if polling.pays():
            polling.wait(lambda data: None, [1])
    assert [polling.pays() for _ in range(32)].count(True) == 2
    there.send(b"reply")
    due = [1]
    polling.wait(lambda data: due.clear(), due)
    assert [polling.pays() for _ in range(4)] == [True] * 4


def test_the_end_of_a_connection_is_left_to_the_transport(pair: tuple[socket.socket, socket.socket]) -> None:
    """It is seen, and not taken for data."""
    here, there = pair
    there.close()
    Polling(here.fileno()).wait(lambda data: pytest.fail("there is no data"), [1])
    assert os.read(here.fileno(), 1) == b""


def test_without_a_socket_nothing_is_polled() -> None:
    """As with TLS, or where there is one processor only."""
    assert not Polling(None).pays()
