"""A user's session with an agent: the newest one, or a new one; the same for everybody who asks at once.

Who finds no session to restore claims an id: it becomes the newest entry of the user's list, in one step that refuses
where the list has another newest entry than the one that was read. So of all who found nothing one has claimed, and
the others look again. A claim is an id that tells its user and agent and whose session does not exist yet; whoever
finds one creates that session, under that id, and the store lets only one create succeed. Whoever dies in between has
left a claim that the next one takes up.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from types import EllipsisType
from typing import Any, NamedTuple

from sessionstream.errors import SessionExists, Unavailable
from sessionstream.events.codec import encode_event
from sessionstream.events.ids import checked_id
from sessionstream.events.lifecycle import SessionCreated
from sessionstream.lifecycle.creating import checked_metadata, milliseconds
from sessionstream.lifecycle.reading import live_session
from sessionstream.log.store import Store
from sessionstream.manager import SessionManager
from sessionstream.session import Session, SessionState
from sessionstream.wire.packing import Word
from sessionstream.wire.scripts import load_script

__all__ = ["restore_or_create_session"]

_CLAIM = load_script("sessionstream.recipes", "claim")
_MOST_TRIES = 1_000
_PAGE = 20


async def restore_or_create_session(
    manager: SessionManager,
    user_id: str,
    agent_id: str,
    *,
    metadata: Mapping[str, Any] | None = None,
    ttl: float | EllipsisType | None = ...,
) -> Session:
    """Return the user's newest session with the agent that is live and not archived, or create one.

    All who ask at once get the same session, whichever process they are in; if it is new, it was created with the
    options of one of them.

    Args:
        manager: whose sessions.
        user_id: whose session.
        agent_id: with which agent.
        metadata: of a new session.
        ttl: seconds until a new session expires, instead of the manager's; None does not expire.

    Raises:
        InvalidArgument: an argument is malformed; nothing was written, also if there is a session to restore.
        Unavailable: others created sessions for this user all the time.
    """
    event = SessionCreated(
        user_id=checked_id(user_id, "user_id"),
        agent_id=checked_id(agent_id, "agent_id"),
        metadata=checked_metadata(metadata),
        ttl_ms=None if ttl is ... else milliseconds(ttl, "ttl"),
    )
    encode_event(event, manager.settings.max_event_bytes)
    for _ in range(_MOST_TRIES):
        found = await _look(manager.store, user_id, agent_id)
        if found.session is not None:
            return found.session
        session_id = found.claimed or _mark(user_id, agent_id) + os.urandom(6).hex()
        listed: list[Word] = [found.last, session_id, found.score]
        if not await manager.store.server.script(_CLAIM, [manager.store.keys.user(user_id)], listed):
            continue
        try:
            return await manager.create_session(user_id, agent_id, event.metadata, session_id=session_id, ttl=ttl)
        except SessionExists:
            continue
    raise Unavailable(f"the sessions of user {user_id!r} kept changing for {_MOST_TRIES:,} tries")


class _Found(NamedTuple):
    """What a user's list holds for an agent: a session to restore, or the id that somebody claimed; and how it ends."""

    session: Session | None
    claimed: str | None
    last: str
    score: bytes


async def _look(store: Store, user_id: str, agent_id: str) -> _Found:
    # In one piece: pages could miss what moves between them, and what is missed here is created twice.
    listed = await store.server.call("ZREVRANGE", store.keys.user(user_id), 0, -1, "WITHSCORES")
    ids = [member.decode() for member in listed[::2]]
    last, score = (ids[0], listed[1]) if ids else ("", b"")
    claimed = None
    for start in range(0, len(ids), _PAGE):
        page = ids[start : start + _PAGE]
        heads, now = await store.heads(page)
        for session_id, head in zip(page, heads, strict=True):
            session = live_session(session_id, head, now)
            if session is not None and session.user_id == user_id and session.agent_id == agent_id:
                if session.state is not SessionState.ARCHIVED:
                    return _Found(session, None, last, score)
            elif not head and claimed is None and session_id.startswith(_mark(user_id, agent_id)):
                claimed = session_id
    return _Found(None, claimed, last, score)


def _mark(user_id: str, agent_id: str) -> str:
    """Return how the ids begin that are claimed for a user and an agent."""
    whose = f"{len(user_id)}:{user_id}{agent_id}"
    return "sess_" + hashlib.sha256(whose.encode()).hexdigest()[:12]
