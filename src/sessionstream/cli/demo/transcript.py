"""What the demonstration's agents and their users say; written for it, and importable as it is."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any, NamedTuple

__all__ = ["CHECKPOINT_AFTER", "KILLED_AFTER", "REFUND_AFTER", "Conversation", "conversations"]

CHECKPOINT_AFTER = 5
"""The first agent saves a checkpoint after so many messages."""
REFUND_AFTER = 6
"""Its customer has chosen the refund after so many."""
KILLED_AFTER = 7
"""Its process is killed after so many: a tool has been called, and has not answered."""


class Conversation(NamedTuple):
    """One session of the transcript.

    Attributes:
        session_id: its id.
        user_id: whose it is.
        agent_id: with which agent.
        metadata: what else there is about it.
        messages: OpenAI-style, in their order.
    """

    session_id: str
    user_id: str
    agent_id: str
    metadata: dict[str, Any]
    messages: list[dict[str, Any]]

    def actor(self, message: dict[str, Any]) -> str:
        """Return who says a message."""
        return self.user_id if message["role"] == "user" else self.agent_id


def conversations() -> list[Conversation]:
    """Return the transcript's sessions; the first one is followed through the whole demonstration."""
    text = (resources.files("sessionstream.cli") / "transcript.jsonl").read_text(encoding="utf-8")
    return [_conversation(json.loads(line)) for line in text.splitlines()]


def _conversation(line: dict[str, Any]) -> Conversation:
    named = {key: line.pop(key) for key in ("session_id", "user_id", "agent_id", "messages")}
    return Conversation(metadata=line, **named)
