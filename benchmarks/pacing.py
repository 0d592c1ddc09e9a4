"""A process that appends at a steady rate: ``python -m benchmarks.pacing URL SESSIONS RATE EVENTS``.

It begins when a line comes on its standard input. The text of each event begins with the nanoseconds of the machine's
monotonic clock at which it was given to the store, by which another process of this machine knows how old it is. It
answers with one line of JSON: its rate, and the nanoseconds after which each append was acknowledged.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from sessionstream import NoteAdded, SessionManager

__all__ = ["SESSION", "age_ns", "main"]

SESSION = "followed{}"
_STRIDE = 7_919
_PADDING = "x" * 250


def age_ns(event: NoteAdded) -> int:
    """Return for how long an event that this process's kind made has existed."""
    return time.monotonic_ns() - int(event.text.partition(" ")[0])


async def main(url: str, sessions: int, rate: float, events: int) -> None:
    """Append so many events, so many a second, to the sessions in turn."""
    took: list[int] = []

    async def append(manager: SessionManager, number: int) -> None:
        began = time.monotonic_ns()
        session_id = SESSION.format(number * _STRIDE % sessions)
        await manager.append(session_id, NoteAdded(text=f"{began} {_PADDING}"))
        took.append(time.monotonic_ns() - began)

    async with SessionManager(url=url, namespace="bench") as manager:
        await manager.get_session(SESSION.format(0))
        sys.stdin.readline()
        began, given = time.monotonic(), 0
        running: set[asyncio.Task[None]] = set()
        while given < events:
            due = min(events, int((time.monotonic() - began) * rate) + 1)
            for number in range(given, due):
                task = asyncio.create_task(append(manager, number))
                running.add(task)
                task.add_done_callback(running.discard)
            given = due
            await asyncio.sleep(0.001)
        await asyncio.gather(*running)
        print(json.dumps({"rate": events / (time.monotonic() - began), "took_ns": took}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])))
