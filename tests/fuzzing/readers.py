"""Everything that reads a store, and a store that has something of everything to read."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from sessionstream import MessageAdded, MessageRetracted, NoteAdded, SessionManager, acting
from sessionstream.transfer import export_cloudevents, export_events, export_messages
from tests.fuzzing.calls import PROJECTION

__all__ = ["KEY", "READERS", "WRITERS", "fill"]

KEY = "0123456789abcdef0123456789abcdef"
Use = Callable[[SessionManager, Path], Awaitable[Any]]


async def fill(manager: SessionManager, folder: Path) -> None:
    """Make a session with something of everything, a fork of it, one that is trimmed, and a group that parked one."""
    await manager.create_session("u", "a", {"k": [1]}, session_id="s", ttl=3_600, idempotency_key="k")
    await manager.append("s", [MessageAdded(role="user", content="x"), NoteAdded(text="y")], idempotency_key="k2")
    with acting(actor="somebody"):
        await manager.append("s", MessageAdded(role="user", content="z"))
    [last] = [event async for event in manager.history("s", backward=True, limit=1)]
    await manager.append("s", MessageRetracted(offset=last.offset))
    await manager.save_checkpoint("s", {"a": 1}, checkpoint_id="c", label="l")
    await manager.save_checkpoint("s", {"a": 2}, checkpoint_id="d")
    await manager.retention.hold("s", "reason", hold_id="h")
    await manager.audit.fork("s", at=7, new_session_id="f")
    await manager.create_session("u", "a", session_id="t")
    await manager.append("t", [NoteAdded(text=str(number)) for number in range(3)])
    await manager.retention.trim("t", folder, keep_events=1)
    await manager.create_session("u", "a", session_id="e")
    await manager.delete_session("e")
    for session_id in ("s", "t"):
        await manager.audit.seal(session_id)

    async def fail(item: Any) -> None:
        if item.event.version == 2 and item.session_id == "s":
            raise ValueError("no")

    async with manager.consumers.join("g", fail, attempts=1):
        while (await manager.consumers.status("g")).lag:
            await asyncio.sleep(0.002)


async def _all(items: AsyncIterator[Any]) -> None:
    async for _ in items:
        pass


async def _replies(manager: SessionManager, folder: Path) -> None:
    async for event in manager.history("s"):
        _ = (event.data, event.error, event.actor, event.at, event.version, event.id, event.schema_version, repr(event))


async def _follow(follower: Any) -> None:
    async with follower as events:
        asked = asyncio.ensure_future(_all(events))
        caught_up = asyncio.ensure_future(_await(events.caught_up))
        await asyncio.wait({asked, caught_up}, return_when=asyncio.FIRST_COMPLETED)
        if not asked.done():
            asked.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asked
        caught_up.cancel()


async def _await(found: Any) -> None:
    await found


async def _consume(manager: SessionManager, folder: Path) -> None:
    async def handle(item: Any) -> None:
        _ = item.data

    async with manager.consumers.join("g", handle, attempts=1, lease=0.3):
        for _ in range(20):
            if not (await manager.consumers.status("g")).lag:
                return
            await asyncio.sleep(0.005)


READERS: dict[str, Use] = {
    "get_session": lambda m, f: m.get_session("s"),
    "get_fork": lambda m, f: m.get_session("f"),
    "exists": lambda m, f: m.session_exists("t"),
    "state": lambda m, f: m.get_session_state("s"),
    "by_user": lambda m, f: m.get_sessions_by_user("u"),
    "active": lambda m, f: m.get_all_active_sessions(),
    "active_count": lambda m, f: m.get_active_session_count(),
    "count_of_user": lambda m, f: m.get_active_session_count("u"),
    "total": lambda m, f: m.get_total_session_count(),
    "expired": lambda m, f: m.get_expired_session_count(),
    "duration": lambda m, f: m.get_avg_session_duration(),
    "history": _replies,
    "history_of_trimmed": lambda m, f: _all(m.history("t")),
    "history_window": lambda m, f: _all(m.history("s", from_version=2, to_version=5, backward=True)),
    "messages": lambda m, f: m.messages("s"),
    "messages_of_fork": lambda m, f: m.messages("f"),
    "latest": lambda m, f: m.get_latest_checkpoint("s"),
    "checkpoint": lambda m, f: m.get_checkpoint("s", "c"),
    "checkpoints": lambda m, f: m.list_checkpoints("s", with_data=True),
    "resume": lambda m, f: m.resume("s"),
    "resume_fork": lambda m, f: m.resume("f"),
    "as_of": lambda m, f: m.audit.as_of("s", version=4),
    "as_of_trimmed": lambda m, f: m.audit.as_of("t", version=4),
    "diff": lambda m, f: m.audit.diff("s", 2, 7),
    "trace": lambda m, f: m.audit.trace("s", among=["f"]),
    "trace_everywhere": lambda m, f: m.audit.trace("s", correlation_id="c", everywhere=True),
    "verify": lambda m, f: m.audit.verify("s"),
    "verify_all": lambda m, f: _all(m.audit.verify_all()),
    "evidence": lambda m, f: m.audit.evidence("s", f / "evidence"),
    "follow": lambda m, f: _follow(m.follow("s")),
    "follow_fork": lambda m, f: _follow(m.follow("f", until_end=True)),
    "follow_all": lambda m, f: _follow(m.follow_all()),
    "follow_chosen": lambda m, f: _follow(m.follow_all(users=["u"], agents=["a"], sessions=["s"])),
    "holds": lambda m, f: m.retention.holds(),
    "holds_of": lambda m, f: m.retention.holds("s"),
    "replay": lambda m, f: _all(m.retention.replay("t", f)),
    "groups": lambda m, f: m.consumers.groups(),
    "status": lambda m, f: m.consumers.status("g"),
    "parked": lambda m, f: m.consumers.parked("g"),
    "projected": lambda m, f: m.consumers.projected(PROJECTION).version(),
    "export": lambda m, f: _all(export_events(m.store)),
    "export_messages": lambda m, f: _all(export_messages(m.store)),
    "export_cloudevents": lambda m, f: _all(export_cloudevents(m.store)),
}
"""What changes nothing."""

WRITERS: dict[str, Use] = {
    "append": lambda m, f: m.append("s", NoteAdded(text="n")),
    "append_once": lambda m, f: m.append("s", NoteAdded(text="n"), idempotency_key="k2"),
    "metadata": lambda m, f: m.update_session_metadata("s", {"a": 1}),
    "refresh": lambda m, f: m.refresh_session("s"),
    "set_state": lambda m, f: m.set_session_state("s", "idle"),
    "pop": lambda m, f: m.pop_messages("s"),
    "save": lambda m, f: m.save_checkpoint("s", {"a": 3}),
    "keep_last": lambda m, f: m.retention.keep_checkpoints("s", 1),
    "seal": lambda m, f: m.audit.seal("s"),
    "seal_all": lambda m, f: _all(m.audit.seal_all(anchor=f / "anchor")),
    "fork": lambda m, f: m.audit.fork("s", at=6, new_session_id="f2"),
    "fork_of_fork": lambda m, f: m.audit.fork("f", at=2),
    "archive": lambda m, f: m.retention.archive("s", f),
    "trim": lambda m, f: m.retention.trim("t", f),
    "hold": lambda m, f: m.retention.hold("t", "r"),
    "release": lambda m, f: m.retention.release("s", "h"),
    "lock": lambda m, f: _locked(m),
    "publish": lambda m, f: m.publish("s", {"a": 1}),
    "replay_parked": lambda m, f: m.consumers.replay("g"),
    "skip": lambda m, f: m.consumers.skip("g"),
    "consume": _consume,
    "cleanup": lambda m, f: m.cleanup_expired_sessions(),
    "rebuild": lambda m, f: m.rebuild("s"),
    "rebuild_all": lambda m, f: m.rebuild(archive=f),
    "clear": lambda m, f: m.clear_checkpoints("s"),
    "delete": lambda m, f: m.delete_session("s"),
    "delete_of_user": lambda m, f: m.delete_user_sessions("u"),
    "purge": lambda m, f: m.delete_session("t", purge=True),
    "purge_ended": lambda m, f: m.delete_session("e", purge=True),
    "delete_group": lambda m, f: m.consumers.delete("g"),
}
"""What changes something, in an order in which each finds what it needs."""


async def _locked(manager: SessionManager) -> None:
    async with manager.lock("s", timeout=0):
        pass
