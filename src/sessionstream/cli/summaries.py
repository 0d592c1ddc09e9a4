"""One line that says what an event is about."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec

from sessionstream.cli.moments import span
from sessionstream.cli.terminal import visible
from sessionstream.events import lifecycle, runtime
from sessionstream.events.encrypted import EncryptedEvent
from sessionstream.events.recorded import RecordedEvent, UnknownEvent, UnreadableEvent

__all__ = ["content_of", "counted", "short", "shortened", "size_of", "summary"]

_MOST_SIGNS = 200


def summary(event: RecordedEvent) -> str:
    """Return what an event is about, in one line of any length."""
    data = event.data
    describe = _DESCRIPTIONS.get(type(data))
    try:
        text = describe(data) if describe is not None else short(msgspec.to_builtins(data))
    except (TypeError, ValueError):  # a user's own class
        text = event.plain.decode(errors="backslashreplace")
    return visible(text)


def short(value: Any) -> str:
    """Return compact JSON of a value, of text the text itself."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def shortened(text: str) -> str:
    """Return text in one line of at most 200 characters."""
    line = visible(text)
    return line if len(line) <= _MOST_SIGNS else line[: _MOST_SIGNS - 1] + "…"


def content_of(message: dict[str, Any]) -> str:
    """Return what a chat message says: its text, then the tools that it calls."""
    words = [_text(message.get("content"))]
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function", call) if isinstance(call, dict) else {}
        function = function if isinstance(function, dict) else {}
        words.append(f"→ {function.get('name', '?')}({short(function.get('arguments', ''))})")
    return " ".join(word for word in words if word)


def counted(count: int, noun: str) -> str:
    """Return a number with what it counts, in the plural where that is due."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def size_of(count: int) -> str:
    """Return bytes as people read them."""
    if count < 1024:
        return counted(count, "byte")
    power = min(4, (count.bit_length() - 1) // 10)
    return f"{count / 1024**power:.1f} {'KMGT'[power - 1]}iB"


def _text(content: Any) -> str:
    if isinstance(content, list):
        return " ".join(
            str(part["text"]) if isinstance(part, dict) and "text" in part else f"[{_kind(part)}]" for part in content
        )
    return "" if content is None or content is msgspec.UNSET else short(content)


def _kind(part: Any) -> str:
    return str(part.get("type", "part")) if isinstance(part, dict) else short(part)


def _created(event: lifecycle.SessionCreated) -> str:
    keys = f" · {', '.join(event.metadata)}" if event.metadata else ""
    life = "" if event.ttl_ms is None else f" · for {span(event.ttl_ms / 1000)}{', sliding' if event.sliding else ''}"
    forked = event.forked_from
    origin = "" if forked is None else f" · forked from {forked.session_id} at {forked.offset}"
    return f"{event.user_id} with {event.agent_id}{life}{origin}{keys}"


def _metadata(event: lifecycle.MetadataUpdated) -> str:
    return " ".join(
        [*(f"{key}={short(value)}" for key, value in event.set.items()), *(f"-{key}" for key in event.unset)]
    )


def _refreshed(event: lifecycle.SessionRefreshed) -> str:
    return "expires no more" if event.ttl_ms is None else f"for {span(event.ttl_ms / 1000)} from now"


def _saved(event: lifecycle.CheckpointSaved) -> str:
    label = "" if event.label is None else f" “{event.label}”"
    return f"{event.checkpoint_id}{label} · covers up to {event.covers} · {size_of(event.size)}"


def _lived(event: lifecycle.SessionExpired | lifecycle.SessionDeleted) -> str:
    return f"{event.user_id} with {event.agent_id}"


def _message(event: runtime.MessageAdded) -> str:
    message = event.message()
    name = f" {message['name']}" if isinstance(message.get("name"), str) else ""
    return f"{event.role}{name}: {content_of(message)}"


def _called(event: runtime.ToolCalled) -> str:
    return f"{event.name}({'' if event.arguments is None else short(event.arguments)})"


def _returned(event: runtime.ToolReturned) -> str:
    took = "" if event.duration_ms is None else f" · {span(event.duration_ms / 1000)}"
    said = f"failed: {event.error}" if event.error is not None else short(event.result)
    return f"{event.name} → {said}{took}"


def _usage(event: runtime.UsageRecorded) -> str:
    cost = f" · cost {event.cost_micros / 1_000_000:.6f}" if event.cost_micros else ""
    return f"{event.model or 'model'}: {event.input_tokens:,} in, {event.output_tokens:,} out{cost}"


_DESCRIPTIONS: dict[type, Callable[[Any], str]] = {
    lifecycle.SessionCreated: _created,
    lifecycle.MetadataUpdated: _metadata,
    lifecycle.SessionRefreshed: _refreshed,
    lifecycle.StateChanged: lambda event: event.state,
    lifecycle.SessionExpired: _lived,
    lifecycle.SessionDeleted: _lived,
    lifecycle.CheckpointSaved: _saved,
    lifecycle.SessionErased: lambda event: f"{counted(event.events, 'event')} of a session with {event.agent_id}",
    lifecycle.EventErased: lambda event: "erased",
    lifecycle.CheckpointDeleted: lambda event: event.checkpoint_id,
    runtime.MessageAdded: _message,
    runtime.MessageRetracted: lambda event: f"the message at {event.offset}",
    runtime.ToolCalled: _called,
    runtime.ToolReturned: _returned,
    runtime.ErrorOccurred: lambda event: f"{event.kind + ': ' if event.kind else ''}{event.message}",
    runtime.UsageRecorded: _usage,
    runtime.NoteAdded: lambda event: event.text,
    UnknownEvent: lambda event: event.data.decode(errors="backslashreplace"),
    EncryptedEvent: lambda event: f"encrypted: {event.error}",
    UnreadableEvent: lambda event: f"unreadable: {event.problem}",
}
