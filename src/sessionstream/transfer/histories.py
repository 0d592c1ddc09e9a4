"""The events of a session as an export takes them: each with whether it is the last, checkpoints with their bodies."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple

from msgspec import UNSET, UnsetType

from sessionstream.errors import HistoryTrimmed
from sessionstream.events.lifecycle import CheckpointDeleted, CheckpointSaved
from sessionstream.events.recorded import NOWHERE, RecordedEvent, at_ms, version_of
from sessionstream.log.history import Window, checked_time, read_history
from sessionstream.log.store import Store
from sessionstream.projections.checkpoints import SAVED
from sessionstream.session import Session

__all__ = ["Leaving", "first_are_gone", "leaving_events"]


class Leaving(NamedTuple):
    """An event on its way out.

    Attributes:
        event: the event.
        last: whether it is the last one of its session that leaves.
        body: of the checkpoint that it saved; None where that is not kept any more, UNSET where it saved none.
    """

    event: RecordedEvent
    last: bool
    body: bytes | UnsetType | None


def first_are_gone(session: Session, window: Window) -> HistoryTrimmed | None:
    """Return the error that says that the first events of a window were trimmed from a session; None if none was.

    Behind an offset (``after``) whoever reads is told by himself.
    """
    end = _trimmed_to(session)
    if end is None or window.after is not None or (window.from_version or 0) > version_of(end):
        return None
    if window.since is not None and checked_time(window.since, "since") > at_ms(end):
        return None
    return HistoryTrimmed(session.session_id, NOWHERE, f"{at_ms(end)}-{version_of(end) + 1}")


def _trimmed_to(session: Session) -> str | None:
    head = session.as_read
    return head[b"trimmed"].decode() if isinstance(head, Mapping) and b"trimmed" in head else None


async def leaving_events(
    store: Store,
    session: Session,
    window: Window = Window(),  # noqa: B008 - it is immutable
    *,
    with_bodies: bool = False,
) -> AsyncIterator[Leaving]:
    """Yield a session's events; where a checkpoint is gone, also the event that deleted it.

    A session of which the oldest events were trimmed begins with the first one that is there.

    Raises:
        SessionNotFound: nothing is kept of such a session.
    """
    session_id = session.session_id
    if window.after is None and (end := _trimmed_to(session)) is not None:
        window = window._replace(after=end)
    before: Leaving | None = None
    bodiless: set[str] = set()
    more = True
    while more:
        more = False
        async for event in read_history(store, session_id, window):
            more = True
            if before is not None:
                yield before
            body = await _body(store, event, bodiless) if with_bodies else UNSET
            before = Leaving(event, False, body)
        # A body that is gone, though no event has deleted it yet: it was deleted since the last page was read.
        if before is None or not bodiless:
            break
        window = window._replace(after=before.event.offset)
    if before is not None:
        yield before._replace(last=True)


async def _body(store: Store, event: RecordedEvent, bodiless: set[str]) -> bytes | UnsetType | None:
    # Most events are written as they are stored: what they say is not read for that.
    if not event.type.startswith("checkpoint."):
        return UNSET
    data = event.known
    if isinstance(data, CheckpointDeleted):
        bodiless.discard(data.checkpoint_id)
    if not isinstance(data, CheckpointSaved):
        return UNSET
    kept, bodies = store.keys.place("checkpoints", SAVED, event.session_id), store.keys.bodies(event.session_id)
    record = ("HGET", kept, data.checkpoint_id)
    # The record once before the body and once behind it: the id may have been freed and used again in between.
    first, body, second = await store.server.calls([record, ("HGET", bodies, data.checkpoint_id), record])
    if body is None or first != second or not (first or b"").startswith(event.offset.encode() + b" "):
        bodiless.add(data.checkpoint_id)
        return None
    return bytes(body)
