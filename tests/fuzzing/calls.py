"""Every method of the public API, each with arguments that are meant."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sessionstream import MessageAdded, Projection, Session, SessionManager
from sessionstream.projection import counters, index, ranking, view

__all__ = ["CALLS", "PROJECTION", "call"]

PROJECTION = Projection("fuzzed", version=1)
_SESSION = Session("s", "u", "a", datetime(2020, 1, 1, tzinfo=UTC))
_ID: dict[str, Any] = {"session_id": "s"}
_TRIM = {**_ID, "folder": "folder", "upto": None, "keep_events": 0, "older_than": timedelta(days=1), "compress": True}
_LOCK = {**_ID, "timeout": 0.0, "lease": 10.0, "max_hold": 300.0}
_JOIN: dict[str, Any] = {
    "group": "g",
    "handler": None,
    "member": "m",
    "after": "beginning",
    "types": None,
    "agents": None,
    "on_parked": "wait",
    "attempts": 5,
    "backoff": 0.1,
    "longest_backoff": 30.0,
    "lease": 15.0,
    "concurrency": 16,
    "max_handling": 300.0,
}
CALLS: dict[str, Mapping[str, Any]] = {
    "create_session": {
        "user_id": "u",
        "agent_id": "a",
        "metadata": {},
        "session_id": "new",
        "ttl": 60.0,
        "idempotency_key": "k",
    },
    "get_session": _ID,
    "session_exists": _ID,
    "update_session_metadata": {**_ID, "metadata": {"a": 1}, "unset": ["b"]},
    "update_session": {**_ID, "session": _SESSION},
    "refresh_session": _ID,
    "delete_session": {**_ID, "purge": False},
    "delete_user_sessions": {"user_id": "u"},
    "delete_agent_sessions": {"agent_id": "a"},
    "erase_user": {"user_id": "u"},
    "for_user": {"user_id": "u"},
    "set_session_state": {**_ID, "state": "idle", "expected_version": None},
    "get_session_state": _ID,
    "get_sessions_by_user": {"user_id": "u", "limit": 3, "after": None},
    "get_active_session_count": {"user_id": "u"},
    "append": {
        **_ID,
        "events": [MessageAdded(role="user", content="x")],
        "expected_version": None,
        "idempotency_key": "k",
        "correlation_id": "c",
        "causation_id": "d",
        "durability": None,
    },
    "add_messages": {**_ID, "messages": [{"role": "user", "content": "x"}], "expected_version": None},
    "messages": {**_ID, "limit": 3, "before": None},
    "pop_messages": {**_ID, "count": 1},
    "history": {
        **_ID,
        "after": None,
        "before": None,
        "from_version": 1,
        "to_version": 9,
        "since": datetime(2020, 1, 1, tzinfo=UTC),
        "until": None,
        "types": None,
        "limit": 3,
        "backward": False,
    },
    "follow": {**_ID, "after": None, "deltas": True, "until_end": False, "buffer": 10, "when_full": "wait"},
    "follow_all": {
        "after": None,
        "types": None,
        "agents": ["a"],
        "users": ["u"],
        "sessions": ["s"],
        "buffer": 10,
        "when_full": "wait",
    },
    "publish": {**_ID, "delta": 1},
    "save_checkpoint": {**_ID, "data": {}, "offset": None, "label": "l", "checkpoint_id": "c2"},
    "get_latest_checkpoint": _ID,
    "get_checkpoint": {**_ID, "checkpoint_id": "c"},
    "list_checkpoints": {**_ID, "limit": 3, "after": None, "with_data": True},
    "delete_checkpoint": {**_ID, "checkpoint_id": "c"},
    "clear_checkpoints": _ID,
    "resume": _ID,
    "lock": _LOCK,
    "acquire_lock": _LOCK,
    "release_lock": {**_ID, "lock": None},
    "encryption.rotate": {"user_id": "u"},
    "rebuild": {"session_id": "s", "archive": None},
    "audit.as_of": {**_ID, "at": None, "offset": None, "version": None, "time": None},
    "audit.diff": {**_ID, "a": 1, "b": 2},
    "audit.fork": {
        **_ID,
        "at": 2,
        "new_session_id": "f",
        "user_id": "u",
        "agent_id": "a",
        "metadata": {},
        "ttl": 60.0,
    },
    "audit.trace": {**_ID, "event": None, "correlation_id": None, "among": (), "everywhere": False},
    "audit.seal": _ID,
    "audit.seal_all": {"session_ids": ["s"], "anchor": None, "refused": None},
    "audit.verify": {**_ID, "anchor": None, "archived": None},
    "audit.verify_all": {"session_ids": ["s"], "anchor": None, "archived": None},
    "audit.evidence": {**_ID, "file": "evidence", "archived": None},
    "consumers.join": _JOIN,
    "consumers.status": {"group": "g", "stalled_after": 60.0},
    "consumers.parked": {"group": "g"},
    "consumers.replay": {"group": "g", "session_id": None, "offset": None},
    "consumers.discard": {"group": "g", "session_id": None, "offset": None},
    "consumers.reset": {"group": "g", "to": "beginning"},
    "consumers.skip": {"group": "g"},
    "consumers.delete": {"group": "g"},
    "consumers.project": {
        "projection": PROJECTION,
        "member": "m",
        "progress": None,
        "anew": False,
        "lease": 15.0,
        "concurrency": 16,
    },
    "consumers.rebuild": {"projection": PROJECTION, "progress": None},
    "consumers.drop": {"projection": PROJECTION},
    "retention.hold": {**_ID, "reason": "r", "hold_id": "h"},
    "retention.release": {**_ID, "hold_id": "h"},
    "retention.holds": _ID,
    "retention.keep_checkpoints": {**_ID, "last": 1},
    "retention.archive": _TRIM,
    "retention.trim": _TRIM,
    "retention.replay": {**_ID, "folder": "folder"},
    "mine.append": {**_ID, "events": [MessageAdded(role="user", content="x")]},
    "mine.add_messages": {**_ID, "messages": [{"role": "user", "content": "x"}]},
    "mine.history": {**_ID, "after": None, "limit": 3},
    "mine.publish": {**_ID, "delta": 1},
    "mine.save_checkpoint": {**_ID, "data": {}, "offset": None, "label": "l", "checkpoint_id": "c2"},
    "mine.delete_session": {**_ID, "purge": False},
    "mine.get_sessions": {"limit": 3, "after": None},
    "view.fields": {"place": view("p"), **_ID},
    "view.ranking": {"place": ranking("p"), **_ID},
    "view.counters": {"place": counters("p")},
    "view.index": {"place": index("p"), "limit": 3, "lowest": False},
    "projected.fields": {"place": view("p"), **_ID},
    "projected.ranking": {"place": ranking("p"), **_ID},
    "projected.counters": {"place": counters("p")},
    "projected.index": {"place": index("p"), "limit": 3, "lowest": False},
    "projected.wait_until": {"appended": "s", "timeout": 0.0},
}
"""By the name under which it is reached, with what is given to it; paths are below the test's folder."""


async def call(manager: SessionManager, name: str, given: Mapping[str, Any]) -> None:
    """Call a method, and use what it gives as it is meant to be used, for a moment."""
    *rooms, method = name.split(".")
    place: Any = manager
    for room in rooms:
        place = {
            "mine": lambda: manager.for_user("u"),
            "view": lambda: manager.consumers.view("g"),
            "projected": lambda: manager.consumers.projected(PROJECTION),
        }.get(room, lambda room=room: getattr(manager, room))()
    made = getattr(place, method)(**given)
    if inspect.isawaitable(made):
        made = await made
    if isinstance(made, contextlib.AbstractAsyncContextManager) or hasattr(made, "__aenter__"):
        async with made:
            return
    if hasattr(made, "__anext__"):
        async with contextlib.aclosing(made) as items:
            async for _ in items:
                pass
