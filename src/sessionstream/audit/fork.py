"""Forking: a new session that goes on from a moment of another one, of which nothing is copied but what it stood at."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import EllipsisType
from typing import Any, NamedTuple

from sessionstream.audit.moments import Moment, folded_at, until_of
from sessionstream.bases import Folded
from sessionstream.checkpoints.reading import body_of, checkpoint_from
from sessionstream.errors import CorruptEvent, HistoryErased, InvalidArgument
from sessionstream.events.forked import ForkedFrom
from sessionstream.events.ids import checked_id, new_session_id
from sessionstream.events.lifecycle import CheckpointSaved, SessionCreated, StateChanged
from sessionstream.events.recorded import NOWHERE, at_ms, version_of
from sessionstream.fold import Spot
from sessionstream.forks import COPIED
from sessionstream.lifecycle.creating import begin, milliseconds, redacted_metadata
from sessionstream.lifecycle.reading import session_from
from sessionstream.log.store import Store
from sessionstream.projections.checkpoints import ORDER, SAVED
from sessionstream.session import Checkpoint, Session, SessionState

__all__ = ["Wanted", "fork"]

_DEEPEST = 32
_LOOKS = 20
_KEY = "audit.fork"


@dataclass(frozen=True)
class Wanted:
    """How a fork differs from what it is forked from; what is not given is as it was at the moment.

    Attributes:
        session_id: its id; None makes one.
        user_id: whose it is.
        agent_id: with which agent.
        metadata: instead of the origin's.
        ttl: seconds until it expires, None for never; otherwise the origin's own time to live begins anew.
    """

    session_id: str | None = None
    user_id: str | None = None
    agent_id: str | None = None
    metadata: Mapping[str, Any] | EllipsisType | None = ...
    ttl: float | EllipsisType | None = ...


class _Copied(NamedTuple):
    """A checkpoint that goes with the fork, and what its data covers."""

    event: CheckpointSaved
    body: bytes
    covers: str
    covers_in: str


async def fork(store: Store, session_id: str, at: Moment, wanted: Wanted) -> Session:
    """Begin a session as another one was at a moment; see `sessionstream.audit.Audit.fork`."""
    new = wanted.session_id is None
    forks_id = new_session_id() if wanted.session_id is None else checked_id(wanted.session_id, "new_session_id")
    metadata = ... if wanted.metadata is ... else redacted_metadata(store, wanted.metadata)
    ttl_ms = ... if wanted.ttl is ... else milliseconds(wanted.ttl, "ttl")
    until = await until_of(store, session_id, at)
    folded = await folded_at(store, session_id, until)
    if folded.views.head.get(b"state") == b"erased":
        raise HistoryErased(session_id)
    head = await store.opened(session_id, folded.views.head)
    origin = session_from(session_id, {**head, b"offset": folded.offset.encode()})
    depth = 1 + (origin.forked_from.depth if origin.forked_from else 0)
    if depth > _DEEPEST:
        raise InvalidArgument(f"session {session_id!r} comes from {_DEEPEST} forks already, which is the most")
    copied = await _copied(store, origin, folded)
    created = SessionCreated(
        user_id=checked_id(origin.user_id if wanted.user_id is None else wanted.user_id, "user_id"),
        agent_id=checked_id(origin.agent_id if wanted.agent_id is None else wanted.agent_id, "agent_id"),
        metadata=origin.metadata if metadata is ... else metadata,
        ttl_ms=(int(head[b"ttl"]) if head.get(b"ttl") else None) if ttl_ms is ... else ttl_ms,
        sliding=head.get(b"sliding") == b"1",
        forked_from=ForkedFrom(
            session_id=session_id,
            offset=folded.offset,
            covers=copied.covers if copied else "",
            covers_in=copied.covers_in if copied else "",
            depth=depth,
        ),
    )
    further: list[Any] = [copied.event] if copied else []
    if origin.state in (SessionState.IDLE, SessionState.ARCHIVED):
        further.append(StateChanged(state=origin.state.value))
    claims = [(copied.event.checkpoint_id, copied.body)] if copied else []
    await _until_later(store, folded.offset)
    # The key lies in the fork itself: the same fork once more is the same session, another one of that id is refused.
    key = None if new else _KEY
    return await begin(store, forks_id, created, further, claims=claims, idempotency_key=key, new=new)


async def _copied(store: Store, origin: Session, folded: Folded) -> _Copied | None:
    """Return the latest checkpoint of the moment whose data is still kept."""
    found = await _latest_kept(store, folded)
    if found is None:
        return None
    checkpoint, body = found
    event = CheckpointSaved(
        checkpoint_id=checkpoint.checkpoint_id,
        covers=NOWHERE,
        size=len(body),
        sha256=hashlib.sha256(body).hexdigest(),
        label=checkpoint.label,
    )
    before = origin.forked_from
    if before is not None and before.covers and version_of(checkpoint.saved_at) == COPIED:
        return _Copied(event, body, before.covers, before.covers_in or before.session_id)
    return _Copied(event, body, checkpoint.offset, "")


async def _latest_kept(store: Store, folded: Folded) -> tuple[Checkpoint, bytes] | None:
    order = folded.views.sets.get(Spot("checkpoints", ORDER), {})
    saved = folded.views.hashes.get(Spot("checkpoints", SAVED), {})
    bodies = store.keys.bodies(folded.session_id)
    left = sorted(order, key=lambda member: order[member], reverse=True)
    while left:
        identifier = left[0]
        name = identifier.decode()
        checkpoint = checkpoint_from(folded.session_id, name, saved[identifier], None, store.opener)
        body = await body_of(store, folded.session_id, checkpoint.checkpoint_id, checkpoint.saved_at)
        if body is not None:
            if hashlib.sha256(body).hexdigest() != checkpoint.sha256:
                problem = f"the body of checkpoint {checkpoint.checkpoint_id!r} is not the one that was saved"
                raise CorruptEvent(folded.session_id, checkpoint.saved_at, problem)
            # It goes with the fork as it was given: there it is encrypted for the fork, and its event tells of that.
            return checkpoint, store.opener.body(folded.session_id, name, body)
        kept = set(await store.server.call("HKEYS", bodies))
        left = [one for one in left[1:] if one in kept]
    return None


async def _until_later(store: Store, offset: str) -> None:
    """Wait for the server's next millisecond, so that every offset of the fork is greater than those before it.

    Where its clock has gone back by more than some of them, they are not.
    """
    for _ in range(_LOOKS):
        if await store.now_ms() > at_ms(offset):
            return
        await asyncio.sleep(0.001)
