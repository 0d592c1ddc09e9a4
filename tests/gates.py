"""A session's gate in its partition's log, looked at and moved by hand, as no client of the library would."""

from __future__ import annotations

from sessionstream.log.gates import name_in_log
from sessionstream.log.store import Store

__all__ = ["last_offset", "move_gate"]


async def last_offset(store: Store, session_id: str) -> str:
    """Return the session's last offset, as the log knows it."""
    gate: bytes = await store.server.call("HGET", _log(store, session_id), name_in_log(session_id))
    return gate.partition(b" ")[0].decode()


async def move_gate(store: Store, session_id: str, offset: str) -> None:
    """Let the log believe that this is the session's last offset."""
    log, name = _log(store, session_id), name_in_log(session_id)
    gate: bytes = await store.server.call("HGET", log, name)
    _, space, rest = gate.partition(b" ")
    await store.server.call("HSET", log, name, offset.encode() + space + rest)


def _log(store: Store, session_id: str) -> str:
    return store.keys.log(store.keys.partition(session_id))
