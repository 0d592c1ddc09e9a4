"""An event is a typed fact; its entry in the stream can be read with redis-cli and in any language."""

from __future__ import annotations

import json

import msgspec
import pytest
from redis.asyncio import Redis

from sessionstream import MessageAdded, NoteAdded, SessionManager, ToolCalled, UsageRecorded
from sessionstream.errors import EventTypeError


def test_an_event_is_immutable() -> None:
    """A fact does not change."""
    event = MessageAdded(role="user", content="Hi")
    with pytest.raises(AttributeError):
        event.content = "Bye"  # type: ignore[misc]


async def test_an_event_is_read_back_as_the_type_that_was_written(manager: SessionManager, session_id: str) -> None:
    """What was appended as a ToolCalled is read as an equal ToolCalled."""
    event = ToolCalled(name="search", arguments={"query": "flights", "limit": 3}, call_id="call_1")
    await manager.append(session_id, event)
    recorded = [recorded async for recorded in manager.history(session_id)][-1]
    assert recorded.data == event
    assert type(recorded.data) is ToolCalled


async def test_a_session_begins_with_its_creation(manager: SessionManager, session_id: str) -> None:
    """The first event tells who, with whom, and with which metadata."""
    first = await anext(manager.history(session_id))
    assert (first.type, first.version) == ("session.created", 1)
    assert (first.data.user_id, first.data.agent_id, first.data.metadata) == ("user_1", "assistant", {})


async def test_an_entry_has_its_type_and_behind_its_id_its_data_as_json(
    manager: SessionManager, session_id: str, client: Redis
) -> None:
    """The stream holds plain text: no library is needed to read it."""
    appended = await manager.append(session_id, MessageAdded(role="user", content="Grüße, 世界"))
    [(offset, fields)] = await client.xrevrange(manager.store.keys.events(session_id), count=1)
    assert offset.decode() == appended.offset
    [(name, value)] = fields.items()
    assert name == b"message.added"
    assert value[:22].decode() == appended.event_ids[0]
    assert json.loads(value[22:]) == {"role": "user", "content": "Grüße, 世界"}


async def test_an_event_id_is_a_uuid_of_22_characters_and_ascends(manager: SessionManager, session_id: str) -> None:
    """The ids of one append are made once, before it is sent, in the order of the events."""
    appended = await manager.append(session_id, [NoteAdded(text=str(number)) for number in range(100)])
    assert all(len(identifier) == 22 for identifier in appended.event_ids)
    assert len(set(appended.event_ids)) == 100
    recorded = [event.id async for event in manager.history(session_id)]
    assert recorded[1:] == list(appended.event_ids)


async def test_the_server_says_when_it_happened(manager: SessionManager, session_id: str, client: Redis) -> None:
    """The time of an event is the server's, aware and in UTC."""
    seconds, micros = await client.time()
    await manager.append(session_id, NoteAdded(text="now"))
    at = [event async for event in manager.history(session_id)][-1].at
    assert 0 <= at.timestamp() - (seconds + micros / 1e6) + 0.001 < 5
    assert at.utcoffset() is not None
    assert at.tzname() == "UTC"


async def test_usage_is_counted_in_integers(manager: SessionManager, session_id: str) -> None:
    """Sums of tokens and costs are exact."""
    await manager.append(session_id, [UsageRecorded(input_tokens=10**15, cost_micros=1)] * 3)
    used = [event.data async for event in manager.history(session_id, types=[UsageRecorded])]
    assert sum(event.input_tokens for event in used) == 3 * 10**15
    assert sum(event.cost_micros for event in used) == 3


async def test_only_declared_types_are_events(manager: SessionManager, session_id: str) -> None:
    """A dict, or a class that was not declared, is refused by name."""

    class Undeclared(msgspec.Struct):
        text: str

    for wrong in (Undeclared(text="x"), {"type": "note.added", "text": "x"}, "note", None):
        with pytest.raises(EventTypeError, match="is no event type"):
            await manager.append(session_id, wrong)
