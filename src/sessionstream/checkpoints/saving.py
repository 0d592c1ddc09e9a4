"""Saving and deleting checkpoints: the body beside the stream and the event in it, in one step."""

from __future__ import annotations

import hashlib
from typing import Any

from sessionstream.errors import InvalidArgument, InvalidType, SessionNotFound, TooLarge
from sessionstream.events.ids import checked_id, new_checkpoint_id
from sessionstream.events.lifecycle import CheckpointDeleted, CheckpointSaved
from sessionstream.events.recorded import NOWHERE, at_ms, version_of
from sessionstream.events.strict_json import encode_redacted
from sessionstream.lifecycle.holding import require_unheld
from sessionstream.log.deciding import Decision, append_decided
from sessionstream.log.history import parse_offset
from sessionstream.log.store import Store
from sessionstream.projections.checkpoints import SAVED

__all__ = ["clear", "delete", "save"]


async def save(
    store: Store, session_id: str, data: Any, *, offset: str | None, label: str | None, checkpoint_id: str | None
) -> str:
    """Save a checkpoint and return its id; see `SessionManager.save_checkpoint`."""
    body = encode_redacted(data, "data", store.redactor, "checkpoint")
    limit = store.settings.max_checkpoint_bytes
    if len(body) > limit:
        raise TooLarge("the checkpoint's data", len(body), limit, "max_checkpoint_bytes")
    if label is not None and not isinstance(label, str):
        raise InvalidType(f"label is a string, not a {type(label).__name__}")
    checked_id(session_id, "session_id")
    label = store.redactor.value(label, "checkpoint.label")
    identifier = new_checkpoint_id() if checkpoint_id is None else checked_id(checkpoint_id, "checkpoint_id")
    covers = await (_known(store, session_id) if offset is None else _checked_offset(store, session_id, offset))
    event = CheckpointSaved(
        checkpoint_id=identifier, covers=covers, size=len(body), sha256=hashlib.sha256(body).hexdigest(), label=label
    )
    await store.append(session_id, [event], claims=[(identifier, body)])
    return identifier


async def _known(store: Store, session_id: str) -> str:
    """Return the offset up to which this process knows the session, and not one that was removed and had its id."""
    known = store.positions.known(session_id)
    if known != NOWHERE:
        created = await store.server.call("HGET", store.keys.head(session_id), "created_at")
        if created is not None and created.isdigit() and int(created) > at_ms(known):
            store.positions.forget(session_id)
            return NOWHERE
    return known


async def _checked_offset(store: Store, session_id: str, offset: str) -> str:
    bound = parse_offset(offset)
    head, _ = await store.existing_head(session_id)
    if bound > parse_offset(head[b"offset"].decode()):
        raise InvalidArgument(f"offset {offset} is past the end of session {session_id!r}, {head[b'offset'].decode()}")
    return offset


async def delete(store: Store, session_id: str, checkpoint_id: str) -> bool:
    """Delete a checkpoint and its body; False if there is no such checkpoint. Raises `SessionHeld` under a hold."""
    checked_id(checkpoint_id, "checkpoint_id")
    return await _delete(store, session_id, lambda known: [checkpoint_id] if checkpoint_id in known else []) == 1


async def clear(store: Store, session_id: str) -> int:
    """Delete all checkpoints of a session, and return how many there were."""
    return await _delete(store, session_id, lambda known: known)


async def _delete(store: Store, session_id: str, choose: Any) -> int:
    async def decide() -> Decision | None:
        head, _ = await store.head(session_id)
        saved = await store.server.call("HKEYS", store.keys.place("checkpoints", SAVED, session_id))
        chosen = choose([field.decode() for field in saved if field])
        if not chosen or not head:
            return None
        require_unheld(session_id, head)
        return Decision(
            [CheckpointDeleted(checkpoint_id=identifier) for identifier in chosen],
            version_of(head[b"offset"].decode()),
            claims=[(identifier, None) for identifier in chosen],
        )

    try:
        appended = await append_decided(store, session_id, decide)
    except SessionNotFound:
        return 0
    return appended.count if appended else 0
