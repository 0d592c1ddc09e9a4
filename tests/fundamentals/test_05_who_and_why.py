"""Who did it and because of what is stamped on every event, by the call or by a block around it (G21)."""

from __future__ import annotations

import asyncio
import json

import pytest
from redis.asyncio import Redis

from sessionstream import NoteAdded, RecordedEvent, SessionManager, SessionState, acting
from sessionstream.errors import InvalidData, InvalidType
from tests.entries import entry

pytestmark = pytest.mark.guarantee


async def _last(manager: SessionManager, session_id: str) -> RecordedEvent:
    return [event async for event in manager.history(session_id)][-1]


async def test_without_a_word_nothing_is_stored(manager: SessionManager, session_id: str, client: Redis) -> None:
    """An event that nobody signed has no ``meta`` at all."""
    await manager.append(session_id, NoteAdded(text="x"))
    event = await _last(manager, session_id)
    assert (event.actor, event.correlation_id, event.causation_id) == (None, None, None)
    assert b"meta" not in event.fields


async def test_a_call_can_say_why(manager: SessionManager, session_id: str) -> None:
    """Correlation is the whole to which it belongs, causation what led to it; a batch shares both."""
    await manager.append(
        session_id, [NoteAdded(text="x"), NoteAdded(text="y")], correlation_id="req-1", causation_id="evt-7"
    )
    events = [event async for event in manager.history(session_id, types=[NoteAdded])]
    assert [(event.correlation_id, event.causation_id) for event in events] == [("req-1", "evt-7")] * 2


async def test_a_block_says_who(manager: SessionManager, session_id: str) -> None:
    """Everything that is appended inside it is signed, and nothing after it."""
    with acting(actor="user:42", correlation_id="req-1"):
        await manager.append(session_id, NoteAdded(text="x"))
    event = await _last(manager, session_id)
    assert (event.actor, event.correlation_id) == ("user:42", "req-1")
    await manager.append(session_id, NoteAdded(text="y"))
    assert (await _last(manager, session_id)).actor is None


async def test_blocks_nest(manager: SessionManager, session_id: str) -> None:
    """The inner block adds to the outer one, and the call's own word goes before both."""
    with acting(actor="user:42", correlation_id="outer"):
        with acting(correlation_id="inner", causation_id="because"):
            await manager.append(session_id, NoteAdded(text="x"))
            event = await _last(manager, session_id)
            assert (event.actor, event.correlation_id, event.causation_id) == ("user:42", "inner", "because")
            await manager.append(session_id, NoteAdded(text="x"), correlation_id="call")
            event = await _last(manager, session_id)
            assert (event.actor, event.correlation_id) == ("user:42", "call")
        await manager.append(session_id, NoteAdded(text="x"))
        assert (await _last(manager, session_id)).correlation_id == "outer"


async def test_every_method_that_changes_something_signs_its_events(manager: SessionManager) -> None:
    """The methods that know nothing of actors do too: an auditor sees who did it."""
    with acting(actor="operator:7"):
        session = await manager.create_session("user_1", "assistant", ttl=60)
        session_id = session.session_id
        await manager.update_session_metadata(session_id, {"a": 1})
        session = await manager.get_session(session_id) or session
        session.metadata["b"] = 2
        await manager.update_session(session_id, session)
        await manager.refresh_session(session_id)
        await manager.set_session_state(session_id, SessionState.IDLE)
        await manager.add_messages(session_id, {"role": "user", "content": "Hi"})
        await manager.pop_messages(session_id)
        checkpoint_id = await manager.save_checkpoint(session_id, {"turn": 1})
        await manager.delete_checkpoint(session_id, checkpoint_id)
        await manager.save_checkpoint(session_id, {"turn": 2})
        await manager.clear_checkpoints(session_id)
        await manager.delete_session(session_id)
    events = [event async for event in manager.history(session_id)]
    assert [event.type for event in events] == [
        "session.created",
        "session.metadata_updated",
        "session.metadata_updated",
        "session.refreshed",
        "session.state_changed",
        "message.added",
        "message.retracted",
        "checkpoint.saved",
        "checkpoint.deleted",
        "checkpoint.saved",
        "checkpoint.deleted",
        "session.deleted",
    ]
    assert {event.actor for event in events} == {"operator:7"}


async def test_tasks_side_by_side_sign_for_themselves(manager: SessionManager, session_id: str) -> None:
    """Also when their appends travel in one call."""

    async def work(actor: str) -> None:
        with acting(actor=actor):
            await asyncio.gather(*(manager.append(session_id, NoteAdded(text=actor)) for _ in range(5)))

    await asyncio.gather(*(work(f"agent:{number}") for number in range(10)))
    events = [event async for event in manager.history(session_id, types=[NoteAdded])]
    assert len(events) == 50
    assert all(event.actor == event.data.text for event in events)


async def test_it_is_stored_as_json_beside_the_data(manager: SessionManager, session_id: str, client: Redis) -> None:
    """Readable in any language, like the event itself."""
    with acting(actor="user:42", causation_id="evt-7"):
        await manager.append(session_id, NoteAdded(text="x"))
    [(_, fields)] = await client.xrevrange(manager.store.keys.events(session_id), count=1)
    assert json.loads(fields[b"meta"]) == {"actor": "user:42", "causation_id": "evt-7"}


@pytest.mark.parametrize("name", ["actor", "correlation_id", "causation_id"])
def test_who_and_why_are_strings(name: str) -> None:
    """Anything else is refused when the block begins."""
    with pytest.raises(InvalidType, match=name), acting(**{name: 42}):  # type: ignore[arg-type]
        pytest.fail("the block began")


@pytest.mark.parametrize("name", ["actor", "correlation_id", "causation_id"])
def test_who_and_why_can_be_stored(name: str) -> None:
    """A lone surrogate could not: it is refused when the block begins, and named."""
    with pytest.raises(InvalidData, match=name), acting(**{name: "\ud800"}):
        pytest.fail("the block began")


async def test_a_context_that_does_not_decode_is_named(manager: SessionManager, session_id: str, client: Redis) -> None:
    """Nobody takes such an event for one that nobody signed; its data are read all the same."""
    fields = entry("note.added", '{"text":"x"}', meta='{"actor":')
    await client.xadd(manager.store.keys.events(session_id), fields, id="99999999999999-2")
    event = await _last(manager, session_id)
    assert event.actor is None
    assert event.data == NoteAdded(text="x")
    assert event.error is not None
    assert event.offset in str(event.error)
