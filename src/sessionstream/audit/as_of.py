"""What was known at a moment: the events up to it, folded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sessionstream.checkpoints.reading import checkpoint_from
from sessionstream.errors import InvalidArgument, SessionNotFound
from sessionstream.events.ids import checked_id
from sessionstream.events.recorded import at_ms, moment, version_of
from sessionstream.fold import Spot, Views, fold
from sessionstream.lifecycle.reading import end_of, session_from
from sessionstream.log.history import Window, checked_count, checked_time, offset_at_version, parse_offset, read_history
from sessionstream.log.store import Store
from sessionstream.projections.checkpoints import ORDER, SAVED
from sessionstream.session import Checkpoint, Session, SessionState

__all__ = ["AsOf", "as_of"]


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


async def as_of(
    store: Store,
    session_id: str,
    *,
    offset: str | None = None,
    version: int | None = None,
    time: datetime | None = None,
) -> AsOf:
    """Return a session as it was known at a moment, which is given in exactly one way.

    Args:
        store: where it is kept.
        session_id: the session, ended or not.
        offset: up to and with this offset.
        version: after so many events.
        time: an aware datetime; also tells whether the session was expired by then.

    Raises:
        SessionNotFound: there was no such session then.
        InvalidArgument: none or several of the three are given, the datetime is naive, or there is no such version.
    """
    checked_id(session_id, "session_id")
    if sum(one is not None for one in (offset, version, time)) != 1:
        raise InvalidArgument("give exactly one of offset, version and time")
    window, now_ms = await _window(store, session_id, offset, version, time)
    views, last = Views(session_id), ""
    async for event in read_history(store, session_id, window):
        fold(session_id, [event], store.projections, views)
        last = event.offset
    if not last:
        raise SessionNotFound(session_id, f"session {session_id!r} did not exist at that moment")
    return await _result(store, session_id, views, last, at_ms(last) if now_ms is None else now_ms)


async def _window(
    store: Store, session_id: str, offset: str | None, version: int | None, time: datetime | None
) -> tuple[Window, int | None]:
    if time is not None:
        return Window(until=time), checked_time(time, "time")
    if offset is not None:
        ms, number = parse_offset(offset)
        return Window(before=f"{ms}-{number + 1}"), None
    assert version is not None
    if checked_count(version, "version") == 0:
        raise SessionNotFound(session_id, f"session {session_id!r} did not exist at version 0")
    await store.check_readable()
    if await offset_at_version(store, session_id, version) is None:
        head, _ = await store.existing_head(session_id)
        last = version_of(head[b"offset"].decode())
        raise InvalidArgument(f"session {session_id!r} has {last} versions, not {version}")
    return Window(to_version=version), None


async def _result(store: Store, session_id: str, views: Views, last: str, now_ms: int) -> AsOf:
    head = {**views.head, b"offset": last.encode()}
    session = session_from(session_id, head)
    if end_of(head, now_ms) is not None:
        session.state = SessionState.EXPIRED
    return AsOf(
        session=session,
        state=session.state,
        metadata=session.metadata,
        checkpoint=await _checkpoint(store, session_id, views),
        offset=last,
        at=moment(at_ms(last)),
    )


async def _checkpoint(store: Store, session_id: str, views: Views) -> Checkpoint | None:
    order = views.sets.get(Spot("checkpoints", ORDER), {})
    if not order:
        return None
    identifier = max(order, key=lambda member: order[member])
    kept = views.hashes[Spot("checkpoints", SAVED)][identifier]
    body = await store.server.call("HGET", store.keys.bodies(session_id), identifier)
    return checkpoint_from(session_id, identifier.decode(), kept, body)
