"""A store that has some of everything, and all that can be read of it."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from sessionstream import NoteAdded, SessionManager
from sessionstream.projection import Increment, counters
from tests.transfer.worlds import content_of

__all__ = ["GROUP", "KEY", "commanded", "content", "fill"]

GROUP = "readers"
KEY = "0123456789abcdef0123456789abcdef"
SEEN = counters("seen")


async def fill(manager: SessionManager) -> None:
    """Make sessions of every kind: that live, idle, end, have checkpoints, a hold, a lock's token, a seal, a reader."""
    for number in range(12):
        name = f"u{number}"
        await manager.create_session(f"u{number % 3}", "agent", {"n": number}, session_id=name)
        await manager.append(name, [NoteAdded(text=f"{name} {n}") for n in range(number)] or [NoteAdded(text="only")])
        await manager.add_messages(name, {"role": "user", "content": "Hi", "x": None})
    await manager.append("u1", NoteAdded(text="once"), idempotency_key="k")
    for data in ({"turn": 1}, {"turn": 2}):
        await manager.save_checkpoint("u2", data, label=f"turn {data['turn']}")
    await manager.set_session_state("u3", "idle")
    await manager.delete_session("u4")
    await manager.retention.hold("u5", "why", hold_id="h")
    async with manager.lock("u6"):
        await manager.append("u6", NoteAdded(text="locked"))
    await handle(manager, 24)


async def handle(manager: SessionManager, least: int) -> None:
    """Let the group handle what there is, which is so many events at least."""

    async def seen(item: Any) -> None:
        item.apply(Increment(SEEN, "all", 1))

    async with manager.consumers.join(GROUP, seen), asyncio.timeout(30):
        status = await manager.consumers.status(GROUP)
        while status.lag or status.count("handled") < least:
            await asyncio.sleep(0.01)
            status = await manager.consumers.status(GROUP)


async def content(manager: SessionManager) -> dict[str, Any]:
    """Return everything that can be read of its sessions: offsets, times, ids, checkpoints, views, the past, holds."""
    found = await content_of(manager)
    found["lists"] = {
        user: sorted(session.session_id for session in await manager.get_sessions_by_user(user))
        for user in ("u0", "u1", "u2")
    }
    found["messages"] = {name: await manager.messages(name) for name in ("u1", "u7")}
    found["holds"] = [(hold.hold_id, hold.reason) for hold in await manager.retention.holds("u5")]
    return found


async def commanded(*words: str) -> str:
    """Run the command line, and return what it printed."""
    program = [sys.executable, "-c", "from sessionstream.cli import main; main()"]
    pipe, out_too = asyncio.subprocess.PIPE, asyncio.subprocess.STDOUT
    process = await asyncio.create_subprocess_exec(*program, *words, stdout=pipe, stderr=out_too)
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    return out.decode()
