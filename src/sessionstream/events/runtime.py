"""Runtime events: what the agent and its user say and do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import UNSET, UnsetType

from sessionstream.errors import InvalidArgument, InvalidType
from sessionstream.events.base import Event, event

__all__ = [
    "ErrorOccurred",
    "MessageAdded",
    "MessageRetracted",
    "NoteAdded",
    "ToolCalled",
    "ToolReturned",
    "UsageRecorded",
]

_KNOWN = ("role", "content", "name", "tool_calls", "tool_call_id")


@event("message.added")
class MessageAdded(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One OpenAI-style chat message, whatever it carries; an absent field and a null one are kept apart.

    Attributes:
        role: ``system``, ``user``, ``assistant``, ``tool`` or what the runtime calls it.
        content: text, a list of parts, or null.
        name: of the author or the tool.
        tool_calls: as the model gave them, their argument strings untouched.
        tool_call_id: which call a tool's message answers.
        extra: every other key, as given.
    """

    role: str
    content: Any | UnsetType = UNSET
    name: Any | UnsetType = UNSET
    tool_calls: Any | UnsetType = UNSET
    tool_call_id: Any | UnsetType = UNSET
    extra: dict[str, Any] = {}

    @classmethod
    def of(cls, message: Mapping[str, Any]) -> MessageAdded:
        """Return the event of a chat message.

        Raises:
            InvalidType: it is no mapping.
            InvalidArgument: it has no ``role`` that is a string.
        """
        if not isinstance(message, Mapping):
            raise InvalidType(f"a message is a mapping, not a {type(message).__name__}")
        if not isinstance(message.get("role"), str):
            raise InvalidArgument("a message has a role, which is a string")
        known = {key: message[key] for key in _KNOWN if key in message}
        extra = {key: value for key, value in message.items() if key not in _KNOWN}
        return cls(**known, extra=extra) if extra else cls(**known)

    def message(self) -> dict[str, Any]:
        """Return the chat message, with the keys that it was given."""
        given = {key: value for key in _KNOWN if (value := getattr(self, key)) is not UNSET}
        return given | self.extra


@event("message.retracted")
class MessageRetracted(Event, frozen=True, kw_only=True, gc=False):
    """A message no longer belongs to the conversation: it was edited, regenerated or popped.

    Attributes:
        offset: of the `MessageAdded` event that is taken back.
    """

    offset: str


@event("tool.called")
class ToolCalled(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A tool began to run.

    Attributes:
        name: of the tool.
        arguments: as given to it.
        call_id: pairs it with its `ToolReturned`.
    """

    name: str
    arguments: Any = None
    call_id: str | None = None


@event("tool.returned")
class ToolReturned(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A tool has run.

    Attributes:
        name: of the tool.
        result: what it returned.
        call_id: pairs it with its `ToolCalled`.
        error: what went wrong, if it failed.
        duration_ms: how long it took, in milliseconds.
    """

    name: str
    result: Any = None
    call_id: str | None = None
    error: str | None = None
    duration_ms: int | None = None


@event("error.occurred")
class ErrorOccurred(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Something went wrong in the runtime.

    Attributes:
        message: what.
        kind: its class, such as an exception's name.
        detail: anything more.
    """

    message: str
    kind: str | None = None
    detail: Any = None


@event("usage.recorded")
class UsageRecorded(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What a call of a model used; integers, so that sums are exact.

    Attributes:
        model: which model.
        input_tokens: tokens read.
        output_tokens: tokens written.
        cost_micros: millionths of a unit of currency.
    """

    model: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cost_micros: int = 0


@event("note.added")
class NoteAdded(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A remark by the runtime, an operator or an auditor.

    Attributes:
        text: the remark.
        detail: anything more.
    """

    text: str
    detail: Any = None
