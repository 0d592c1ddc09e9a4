"""What was known at a moment: the events up to it, folded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sessionstream.audit.moments import Moment, Until, folded_at, until_of
from sessionstream.bases import Folded
from sessionstream.checkpoints.reading import body_of, checkpoint_from
from sessionstream.events.recorded import at_ms, version_of
from sessionstream.events.recorded import moment as moment_of
from sessionstream.fold import Spot, Views
from sessionstream.lifecycle.reading import end_of, session_from
from sessionstream.log.store import Store
from sessionstream.projections.checkpoints import ORDER, SAVED
from sessionstream.session import Checkpoint, Session, SessionState

__all__ = ["AsOf", "as_of", "known", "latest_checkpoint"]


@dataclass(frozen=True)
class AsOf:
    """A session as it was known at a moment.

    Attributes:
        session: as it was, also one that was over.
        state: as it was; EXPIRED for one that was over.
        metadata: as it was.
        checkpoint: the latest one at that moment; its data is None if it was deleted since.
        offset: of the last event up to that moment.
        at: when that event was appended.
    """

    session: Session
    state: SessionState
    metadata: Mapping[str, Any]
    checkpoint: Checkpoint | None
    offset: str
    at: datetime

    @property
    def version(self) -> int:
        """How many events the session had."""
        return version_of(self.offset)


async def as_of(store: Store, session_id: str, moment: Moment) -> AsOf:
    """Return a session as it was known at a moment; see `sessionstream.audit.moments` for what can go wrong."""
    until = await until_of(store, session_id, moment)
    return await known(store, await folded_at(store, session_id, until), until)


async def known(store: Store, folded: Folded, until: Until) -> AsOf:
    """Return what the folded events tell of a session.

    Args:
        store: where it is kept.
        folded: its events up to a moment.
        until: the moment, at which it may have been expired.
    """
    session_id, last = folded.session_id, folded.offset
    head = await store.opened(session_id, {**folded.views.head, b"offset": last.encode()})
    session = session_from(session_id, head)
    if end_of(head, at_ms(last) if until.now_ms is None else until.now_ms) is not None:
        session.state = SessionState.EXPIRED
    return AsOf(
        session=session,
        state=session.state,
        metadata=session.metadata,
        checkpoint=await _checkpoint(store, session_id, folded.views),
        offset=last,
        at=moment_of(at_ms(last)),
    )


def latest_checkpoint(views: Views) -> bytes | None:
    """Return the id of the checkpoint that was saved last and not deleted, or None."""
    order = views.sets.get(Spot("checkpoints", ORDER), {})
    return max(order, key=lambda member: order[member], default=None)


async def _checkpoint(store: Store, session_id: str, views: Views) -> Checkpoint | None:
    identifier = latest_checkpoint(views)
    if identifier is None:
        return None
    kept = views.hashes[Spot("checkpoints", SAVED)][identifier]
    checkpoint = checkpoint_from(session_id, identifier.decode(), kept, None, store.opener)
    body = await body_of(store, session_id, checkpoint.checkpoint_id, checkpoint.saved_at)
    if body is None:
        return checkpoint
    return checkpoint_from(session_id, checkpoint.checkpoint_id, kept, body, store.opener)
