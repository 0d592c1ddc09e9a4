"""The processes of the demonstration: one in which the agents work until it is killed, one that goes on.

Each is told where the store is by a line on its standard input, and tells what it does by JSON lines.
"""

from __future__ import annotations

import asyncio
import json
import sys
from itertools import zip_longest
from typing import Any

from sessionstream.cli.demo.transcript import CHECKPOINT_AFTER, KILLED_AFTER, REFUND_AFTER, Conversation, conversations
from sessionstream.events.context import acting
from sessionstream.events.runtime import MessageAdded
from sessionstream.manager import SessionManager
from sessionstream.session import SessionState

__all__ = ["main"]


def main() -> None:
    """Be the process that the first argument names, until it is killed or has nothing more to do."""
    settings = json.loads(sys.stdin.readline())
    asyncio.run({"first": _work, "second": _go_on}[sys.argv[1]](settings))


def _tell(did: str, **facts: Any) -> None:
    print(json.dumps({"did": did, **facts}), flush=True)


async def _work(settings: dict[str, Any]) -> None:
    """Let both agents work side by side; in the end one waits for a tool that never answers."""
    async with SessionManager(**settings) as manager:
        talks = conversations()
        for talk in talks:
            with acting(actor=talk.agent_id):
                session = await manager.create_session(
                    talk.user_id, talk.agent_id, talk.metadata, session_id=talk.session_id
                )
            _tell("create", session=session.session_id, user=talk.user_id, agent=talk.agent_id, metadata=talk.metadata)
        said = [talk.messages[:KILLED_AFTER] for talk in talks]
        for turn, messages in enumerate(zip_longest(*said), 1):
            for talk, message in zip(talks, messages, strict=True):
                if message is not None:
                    await _say(manager, talk, message)
            if turn == CHECKPOINT_AFTER:
                await _save(manager, talks[0])
            if turn == REFUND_AFTER:
                await _stage(manager, talks[0], "refund")
        _tell("wait", session=talks[0].session_id, tool="issue_refund")
        await asyncio.Event().wait()


async def _go_on(settings: dict[str, Any]) -> None:
    """Take up the first session where its checkpoint and what happened since leave it, and bring it to its end."""
    talk = conversations()[0]
    async with SessionManager(**settings) as manager:
        resumed = await manager.resume(talk.session_id)
        assert resumed.checkpoint is not None
        memory = list(resumed.checkpoint.data["messages"])
        since = [event.data.message() for event in resumed.events if isinstance(event.data, MessageAdded)]
        _tell(
            "resume",
            session=talk.session_id,
            checkpoint=resumed.checkpoint.checkpoint_id,
            label=resumed.checkpoint.label,
            from_checkpoint=len(memory),
            events_since=len(resumed.events),
            messages_since=len(since),
            unanswered=since[-1]["tool_calls"][0]["function"]["name"],
            version=resumed.version,
        )
        memory += since
        for message in talk.messages[len(memory) :]:
            await _say(manager, talk, message)
        await _stage(manager, talk, "closed")
        with acting(actor=talk.agent_id):
            await manager.set_session_state(talk.session_id, SessionState.IDLE)
        _tell("idle", session=talk.session_id)


async def _say(manager: SessionManager, talk: Conversation, message: dict[str, Any]) -> None:
    with acting(actor=talk.actor(message)):
        appended = await manager.add_messages(talk.session_id, message)
    _tell("say", session=talk.session_id, version=appended.version, message=message)


async def _save(manager: SessionManager, talk: Conversation) -> None:
    memory = {"messages": talk.messages[:CHECKPOINT_AFTER], "plan": "ask which the customer prefers, then act"}
    with acting(actor=talk.agent_id):
        identifier = await manager.save_checkpoint(talk.session_id, memory, label="before the refund")
    saved = (await manager.list_checkpoints(talk.session_id, limit=1))[0]
    _tell(
        "save", session=talk.session_id, checkpoint=identifier, label=saved.label, covers=saved.offset, size=saved.size
    )


async def _stage(manager: SessionManager, talk: Conversation, stage: str) -> None:
    with acting(actor=talk.agent_id):
        await manager.update_session_metadata(talk.session_id, {"stage": stage})
    _tell("stage", session=talk.session_id, stage=stage)


if __name__ == "__main__":
    main()
