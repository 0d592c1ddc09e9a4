"""Positions: up to where a process knows a session, with readers that come and go."""

from __future__ import annotations

import sys
import threading

from sessionstream.events.recorded import NOWHERE, RecordedEvent
from sessionstream.log.positions import Positions
from sessionstream.log.request import Appended


def test_readers_of_one_session_come_and_go_in_several_threads() -> None:
    """None of them fails, and none is left."""
    positions, failures = Positions(), list[Exception]()

    def read() -> None:
        try:
            for _ in range(5_000):
                with positions.reading("s") as reading:
                    reading.last = RecordedEvent("s", "7-7", ())
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=read) for _ in range(3)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not failures
    assert positions.known("s") == "7-7"


def test_the_sessions_used_last_are_remembered() -> None:
    """Of many the first is forgotten, unless it is used meanwhile."""
    positions = Positions()

    def append(session_id: str, version: int) -> None:
        positions.appended([Appended.at(session_id, f"1-{version}", 1)])

    append("used", 1)
    append("first", 1)
    for number in range(30_000):
        append(f"s{number}", 1)
        if number % 1_000 == 0:
            append("used", 2 + number // 1_000)
    assert positions.known("used") == "1-31"
    assert positions.known("first") == NOWHERE
    assert positions.known("s29999") == "1-1"
