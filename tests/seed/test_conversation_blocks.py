"""Blocks 13 and 14: a conversation of several turns, saved and resumed."""

from __future__ import annotations

from tests.seed.stage import Stage

_HISTORY = [
    {"role": "user", "content": "What's the weather like?"},
    {"role": "assistant", "content": "I'd be happy to help check the weather. Where are you located?"},
    {"role": "user", "content": "I'm in Beijing"},
    {"role": "assistant", "content": "The weather in Beijing is currently sunny with a high of 25°C."},
]


async def test_block_13_saves_a_checkpoint_after_each_turn(stage: Stage) -> None:
    """The first keeps the two messages that it was given, though the list grew after it."""
    await stage.run(13)
    assert await stage["multi_turn_conversation"]() is None
    [session] = await stage.manager.get_sessions_by_user("user_123")
    latest, first = await stage.manager.list_checkpoints(session.session_id, with_data=True)
    assert first.data == {"turn": 1, "history": _HISTORY[:2], "pending_question": "location"}
    assert latest.data == {"turn": 2, "history": _HISTORY, "complete": True}
    [created, one, two] = await stage.history(session.session_id)
    assert created == ("session.created", {"user_id": "user_123", "agent_id": "chatbot", "ttl_ms": 3_600_000})
    assert [(kind, data["checkpoint_id"]) for kind, data in (one, two)] == [
        ("checkpoint.saved", first.checkpoint_id),
        ("checkpoint.saved", latest.checkpoint_id),
    ]


async def test_block_14_prints_the_conversation_that_it_resumes(stage: Stage) -> None:
    """From the latest checkpoint, message by message."""
    await stage.session()
    await stage.checkpoint({"turn": 1, "history": _HISTORY[:2]})
    await stage.checkpoint({"turn": 2, "history": _HISTORY}, "ckpt_second")
    await stage.run(14)
    assert await stage["resume_conversation"]("sess_abc123") is None
    lines = [f"  {message['role']}: {message['content']}" for message in _HISTORY]
    assert stage.printed() == ["Resuming from turn 2", "History:", *lines]
    assert await stage.types() == ["session.created", "checkpoint.saved", "checkpoint.saved"]


async def test_block_14_prints_that_there_is_nothing_to_resume(stage: Stage) -> None:
    """A session without a checkpoint, and an unknown one."""
    await stage.session()
    await stage.run(14)
    await stage["resume_conversation"]("sess_abc123")
    await stage["resume_conversation"]("sess_unknown")
    assert stage.printed() == ["No previous conversation found"] * 2


async def test_blocks_13_and_14_go_together(stage: Stage) -> None:
    """What the one saves, the other resumes."""
    await stage.run(13)
    await stage.run(14)
    await stage["multi_turn_conversation"]()
    [session] = await stage.manager.get_sessions_by_user("user_123")
    await stage["resume_conversation"](session.session_id)
    assert stage.printed()[0] == "Resuming from turn 2"
    assert stage.printed()[-1] == f"  assistant: {_HISTORY[-1]['content']}"
