"""What an export makes of a session: a line of messages, lines of events, or rows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import msgspec

from sessionstream.conversation.messages import newest_messages
from sessionstream.log.history import Window, read_history
from sessionstream.log.store import Store
from sessionstream.session import Session
from sessionstream.transfer.cloudevents import cloudevent_line
from sessionstream.transfer.event_lines import encode_line
from sessionstream.transfer.histories import leaving_events

__all__ = ["SHAPES", "Item"]

_encode = msgspec.json.Encoder().encode


class Item(NamedTuple):
    """Something to write.

    Attributes:
        value: what an outlet takes: a line, or an event.
        offset: of the event that it is; None for a whole session.
        last: whether it is the last one of its session.
    """

    value: Any
    offset: str | None
    last: bool


async def _messages(store: Store, session: Session, window: Window, with_ids: bool) -> AsyncIterator[Item]:
    if window != Window():
        events = [event async for event in read_history(store, session.session_id, window, limit=1)]
        if not events:
            return
    found = await newest_messages(store, session.session_id)
    line = dict(session.metadata)
    if with_ids:
        line |= {"session_id": session.session_id, "user_id": session.user_id, "agent_id": session.agent_id}
    yield Item(_encode(line | {"messages": [event.data.message() for event in found]}) + b"\n", None, True)


async def _events(store: Store, session: Session, window: Window, with_ids: bool) -> AsyncIterator[Item]:
    async for event, last, body in leaving_events(store, session.session_id, window, with_bodies=True):
        yield Item(encode_line(event, last=last, body=body), event.offset, last)


async def _cloudevents(store: Store, session: Session, window: Window, with_ids: bool) -> AsyncIterator[Item]:
    namespace = store.keys.namespace
    async for event, last, _ in leaving_events(store, session.session_id, window):
        yield Item(cloudevent_line(event, namespace), event.offset, last)


async def _rows(store: Store, session: Session, window: Window, with_ids: bool) -> AsyncIterator[Item]:
    async for event, last, _ in leaving_events(store, session.session_id, window):
        yield Item(event, event.offset, last)


SHAPES: dict[str, Callable[[Store, Session, Window, bool], AsyncIterator[Item]]] = {
    "messages": _messages,
    "events": _events,
    "cloudevents": _cloudevents,
    "parquet": _rows,
}
"""The shapes of an export by their names."""
