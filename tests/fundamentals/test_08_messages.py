"""The conversation: OpenAI-style messages in, the same messages out (G2, G9, G14)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sessionstream import (
    InvalidArgument,
    MessageAdded,
    MessageRetracted,
    NoteAdded,
    RecordedEvent,
    SessionEnded,
    SessionManager,
    SessionNotFound,
)
from sessionstream.errors import InvalidType

ARGUMENTS = ['{ "to":"ZRH" , "n":1e2}', "not even JSON"]
TURNS: list[dict[str, Any]] = [
    {"role": "system", "content": "You are a travel agent."},
    {"role": "user", "content": "Find me a flight to Zürich ✈"},
    {
        "role": "assistant",
        "content": "Two searches at once.",
        "tool_calls": [
            {
                "id": "call_1",
                "type": "function",
                "function": {"name": "search", "arguments": '{ "to":"ZRH" , "n":1e2}'},
            },
            {"id": "call_2", "type": "function", "function": {"name": "search", "arguments": "not even JSON"}},
        ],
    },
    {"role": "tool", "tool_call_id": "call_1", "name": "search", "content": "[]"},
    {"role": "assistant", "content": None, "refusal": None, "annotations": [], "audio": {"id": "a"}},
    {"role": "user", "content": [{"type": "text", "text": "See"}, {"type": "image_url", "image_url": {"url": "x:"}}]},
    {"role": "assistant", "function_call": {"name": "old", "arguments": "{}"}},
    {"role": "assistant", "content": ""},
]


async def test_messages_come_back_as_they_were_given(manager: SessionManager, session_id: str) -> None:
    """Unknown keys, null and absent ones, tool calls beside text, argument strings: all untouched."""
    await manager.add_messages(session_id, TURNS)
    assert await manager.messages(session_id) == TURNS


async def test_null_and_absent_are_kept_apart(manager: SessionManager, session_id: str) -> None:
    """In every known key, and in unknown ones."""
    known = ("content", "name", "tool_calls", "tool_call_id", "refusal")
    given = [{"role": "assistant"}, *({"role": "assistant", key: None} for key in known)]
    await manager.add_messages(session_id, given)
    assert await manager.messages(session_id) == given


async def test_argument_strings_are_not_touched(manager: SessionManager, session_id: str) -> None:
    """What a model wrote is a string: neither parsed nor made pretty."""
    await manager.add_messages(session_id, TURNS[2])
    [message] = await manager.messages(session_id)
    assert [call["function"]["arguments"] for call in message["tool_calls"]] == [
        '{ "to":"ZRH" , "n":1e2}',
        "not even JSON",
    ]


async def test_a_message_may_use_the_names_of_the_events_fields(manager: SessionManager, session_id: str) -> None:
    """A key called ``extra`` or ``type`` is a key like any other."""
    message = {"role": "user", "extra": {"role": "x"}, "type": "message", "offset": 1, "data": None, "id": "m1"}
    await manager.add_messages(session_id, message)
    assert await manager.messages(session_id) == [message]


async def test_one_message_is_one_event(manager: SessionManager, session_id: str) -> None:
    """Whatever it carries."""
    appended = await manager.add_messages(session_id, TURNS)
    assert appended.count == len(TURNS)


async def test_several_messages_are_added_all_or_none(manager: SessionManager, session_id: str) -> None:
    """One that is malformed takes the others with it."""
    with pytest.raises(InvalidArgument, match="role"):
        await manager.add_messages(session_id, [{"role": "user", "content": "Hi"}, {"content": "no role"}])
    assert await manager.messages(session_id) == []


@pytest.mark.parametrize("wrong", ["Hi", b"Hi", 7, None, ["Hi"], [None]])
async def test_what_is_no_message_is_refused(manager: SessionManager, session_id: str, wrong: Any) -> None:
    """A message is a mapping."""
    with pytest.raises(InvalidType):
        await manager.add_messages(session_id, wrong)


@pytest.mark.parametrize("wrong", [{}, {"role": None}, {"role": 7}])
async def test_a_message_has_a_role(manager: SessionManager, session_id: str, wrong: Any) -> None:
    """Which is a string, of any content."""
    with pytest.raises(InvalidArgument, match="role"):
        await manager.add_messages(session_id, wrong)
    await manager.add_messages(session_id, {"role": "critic"})


async def test_keys_of_a_message_are_strings(manager: SessionManager, session_id: str) -> None:
    """JSON would make strings of them."""
    with pytest.raises(InvalidArgument, match="key 7"):
        await manager.add_messages(session_id, {"role": "user", 7: "seven"})


async def test_adding_takes_the_options_of_append(manager: SessionManager, session_id: str) -> None:
    """An idempotency key, an expected version."""
    await manager.add_messages(session_id, TURNS[0], idempotency_key="k", expected_version=1)
    again = await manager.add_messages(session_id, TURNS[0], idempotency_key="k", expected_version=1)
    assert again.duplicate
    assert await manager.messages(session_id) == TURNS[:1]


async def test_a_limit_gives_the_newest_in_their_order(manager: SessionManager, session_id: str) -> None:
    """What a runtime puts into its context window."""
    await manager.add_messages(session_id, TURNS)
    assert await manager.messages(session_id, limit=3) == TURNS[-3:]
    assert await manager.messages(session_id, limit=100) == TURNS
    assert await manager.messages(session_id, limit=0) == []


async def test_other_events_are_no_messages(manager: SessionManager, session_id: str) -> None:
    """They are not counted either."""
    for turn in TURNS:
        await manager.append(session_id, [NoteAdded(text="between"), MessageAdded.of(turn)])
    assert await manager.messages(session_id, limit=2) == TURNS[-2:]


async def test_before_pages_backward(manager: SessionManager, session_id: str) -> None:
    """The offset is that of a message which was shown already."""
    offsets = (await manager.add_messages(session_id, TURNS)).offsets
    assert await manager.messages(session_id, limit=2, before=offsets[-1]) == TURNS[-3:-1]
    assert await manager.messages(session_id, before=offsets[0]) == []


async def test_a_retracted_message_leaves_the_conversation_and_stays_in_the_history(
    manager: SessionManager, session_id: str
) -> None:
    """An edit is a retraction and a new message, and can be seen as such."""
    offsets = (await manager.add_messages(session_id, TURNS[:3])).offsets
    edited = {"role": "user", "content": "Find me a train"}
    await manager.append(session_id, [MessageRetracted(offset=offsets[1]), MessageAdded.of(edited)])
    assert await manager.messages(session_id) == [TURNS[0], TURNS[2], edited]
    added = [event.data.message() async for event in manager.history(session_id, types=[MessageAdded])]
    assert added == [*TURNS[:3], edited]


async def test_before_shows_the_conversation_as_it_was(manager: SessionManager, session_id: str) -> None:
    """A retraction that came later does not count."""
    offsets = (await manager.add_messages(session_id, TURNS[:3])).offsets
    retraction = await manager.append(session_id, MessageRetracted(offset=offsets[1]))
    assert await manager.messages(session_id, before=retraction.offset) == TURNS[:3]


async def test_a_limit_passes_over_retracted_messages(manager: SessionManager, session_id: str) -> None:
    """It counts what is given."""
    offsets = (await manager.add_messages(session_id, TURNS)).offsets
    await manager.append(session_id, MessageRetracted(offset=offsets[-1]))
    assert await manager.messages(session_id, limit=2) == TURNS[-3:-1]


async def test_pop_takes_back_the_newest_messages(manager: SessionManager, session_id: str) -> None:
    """It gives them in their order, and goes on where the last one stopped."""
    await manager.add_messages(session_id, TURNS)
    assert await manager.pop_messages(session_id) == TURNS[-1:]
    assert await manager.pop_messages(session_id, 2) == TURNS[-3:-1]
    assert await manager.messages(session_id) == TURNS[:-3]
    assert await manager.pop_messages(session_id, 100) == TURNS[:-3]
    assert await manager.pop_messages(session_id) == []


async def test_popping_nothing_appends_nothing(manager: SessionManager, session_id: str) -> None:
    """Where there is no message, and where none is asked for."""
    assert await manager.pop_messages(session_id) == []
    await manager.add_messages(session_id, TURNS[0])
    assert await manager.pop_messages(session_id, 0) == []
    session = await manager.get_session(session_id)
    assert session is not None
    assert session.version == 2


async def test_two_who_pop_at_once_take_different_messages(
    manager: SessionManager, other: SessionManager, session_id: str
) -> None:
    """Each message is taken back once."""
    await manager.add_messages(session_id, [{"role": "user", "content": str(number)} for number in range(20)])
    popped = await asyncio.gather(*((manager, other)[n % 2].pop_messages(session_id) for n in range(20)))
    assert sorted(int(message["content"]) for messages in popped for message in messages) == list(range(20))


async def test_a_long_conversation_is_read_from_its_end(manager: SessionManager, session_id: str) -> None:
    """Over many pages of other events, too."""
    await manager.add_messages(session_id, TURNS[:2])
    await manager.append(session_id, [NoteAdded(text="x")] * 1_200)
    await manager.add_messages(session_id, TURNS[2])
    assert await manager.messages(session_id, limit=2) == TURNS[1:3]


async def test_the_conversation_of_an_ended_session_can_be_read(manager: SessionManager, session_id: str) -> None:
    """And not be changed."""
    await manager.add_messages(session_id, TURNS[0])
    await manager.delete_session(session_id)
    assert await manager.messages(session_id) == TURNS[:1]
    with pytest.raises(SessionEnded):
        await manager.pop_messages(session_id)
    with pytest.raises(SessionEnded):
        await manager.add_messages(session_id, TURNS[1])


async def test_an_unknown_session_has_no_conversation(manager: SessionManager) -> None:
    """That is an error, not an empty one."""
    with pytest.raises(SessionNotFound):
        await manager.messages("sess_nobody")
    with pytest.raises(SessionNotFound):
        await manager.pop_messages("sess_nobody")


@pytest.mark.parametrize("wrong", [-1, "2", 1.0, True])
async def test_a_count_is_a_number_from_0(manager: SessionManager, session_id: str, wrong: Any) -> None:
    """As a limit and as a number to pop."""
    with pytest.raises(InvalidArgument, match="limit"):
        await manager.messages(session_id, limit=wrong)
    with pytest.raises(InvalidArgument, match="count"):
        await manager.pop_messages(session_id, wrong)


async def test_a_message_recorded_in_history_carries_its_offset(manager: SessionManager, session_id: str) -> None:
    """Which is what a retraction names."""
    appended = await manager.add_messages(session_id, TURNS[0])
    [event] = [event async for event in manager.history(session_id, types=[MessageAdded])]
    assert isinstance(event, RecordedEvent)
    assert event.offset == appended.offset
