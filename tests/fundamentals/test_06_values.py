"""What is read equals what was given, or it is refused with the path of the value that JSON would change (G9)."""

from __future__ import annotations

import asyncio
import datetime
import decimal
import enum
import math
import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessionstream import MessageAdded, NoteAdded, SessionManager, ToolCalled
from sessionstream.errors import InvalidData

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


class Colour(enum.Enum):
    RED = "red"


CHANGED: dict[str, tuple[Any, str]] = {
    "an integer key": ({"a": {1: "one"}}, "detail.a"),
    "a None key": ({None: 1}, "detail"),
    "NaN": ({"a": [0.0, math.nan]}, "detail.a[1]"),
    "infinity": ([math.inf], "detail[0]"),
    "bytes": ({"a": b"raw"}, "detail.a"),
    "a set": ({"a": {1, 2}}, "detail.a"),
    "a frozenset": ([frozenset({1})], "detail[0]"),
    "a tuple": ({"a": [(1, 2)]}, "detail.a[0]"),
    "a datetime": ({"at": datetime.datetime(2025, 1, 17, tzinfo=datetime.UTC)}, "detail.at"),
    "a date": ({"on": datetime.date(2025, 1, 17)}, "detail.on"),
    "a decimal": ({"price": decimal.Decimal("1.10")}, "detail.price"),
    "a UUID": ({"id": uuid.UUID(int=1)}, "detail.id"),
    "an Enum": ({"colour": Colour.RED}, "detail.colour"),
    "a lone surrogate": ({"a": ["fine", "\ud800"]}, "detail.a[1]"),
    "a lone surrogate in a key": ({"a": {"\udfff": 1}}, "detail.a"),
    "an integer beyond 64 bits": ({"a": 2**64}, "detail.a"),
    "an integer below 64 bits": ({"a": [-(2**63) - 1]}, "detail.a[0]"),
    "an object": ({"a": object()}, "detail.a"),
    "a lock": ({"a": threading.Lock()}, "detail.a"),
    "a NaN by itself": (math.nan, "detail"),
    "a tuple by itself": ((1, 2), "detail"),
    "bytes by themselves": (b"raw", "detail"),
    "a set by itself": ({1}, "detail"),
    "a datetime by itself": (datetime.datetime(2025, 1, 17, tzinfo=datetime.UTC), "detail"),
    "a decimal by itself": (decimal.Decimal(1), "detail"),
    "an integer beyond 64 bits by itself": (2**64, "detail"),
    "an Enum by itself": (Colour.RED, "detail"),
}


def _nested(depth: int) -> Any:
    value: Any = "deep"
    for level in range(depth):
        value = [value] if level % 2 else {"in": value}
    return value


def _same(one: Any, two: Any) -> bool:
    """Equal, and of the same types all the way down: to Python, 1 and 1.0 and True are equal."""
    if type(one) is not type(two):
        return False
    if isinstance(one, dict):
        return list(one) == list(two) and all(_same(one[key], two[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(two) and all(map(_same, one, two))
    return bool(one == two) and (not isinstance(one, float) or math.copysign(1, one) == math.copysign(1, two))


@settings(max_examples=60)
@given(value=JSON)
async def test_any_json_value_comes_back_as_it_was_given(
    open_manager: Callable[..., SessionManager], value: Any
) -> None:
    """Types and the order of keys too; -0.0 stays -0.0. Nothing is redacted, as a key may be ``token`` by chance."""
    manager = open_manager(redact=False)
    session = await manager.create_session("user_1", "assistant", {"value": value})
    await manager.append(session.session_id, NoteAdded(text="x", detail=value))
    await manager.add_messages(session.session_id, {"role": "user", "content": value, "more": value})
    await manager.save_checkpoint(session.session_id, value)
    stored = await manager.get_session(session.session_id)
    checkpoint = await manager.get_latest_checkpoint(session.session_id)
    events = {event.type: event async for event in manager.history(session.session_id)}
    assert stored is not None
    assert checkpoint is not None
    assert _same(stored.metadata, {"value": value})
    assert _same(checkpoint.data, value)
    assert _same(events["session.created"].data.metadata, {"value": value})
    assert _same(events["note.added"].data.detail, value)
    assert _same(await manager.messages(session.session_id), [{"role": "user", "content": value, "more": value}])


@pytest.mark.parametrize("offence", CHANGED)
async def test_what_json_would_change_is_refused_with_its_path(
    manager: SessionManager, session_id: str, offence: str
) -> None:
    """In an event: nothing is converted behind the caller's back, and nothing is appended."""
    value, path = CHANGED[offence]
    with pytest.raises(InvalidData) as caught:
        await manager.append(session_id, NoteAdded(text="x", detail=value))
    assert caught.value.path == f"note.added.{path}"
    assert len([event async for event in manager.history(session_id)]) == 1


@pytest.mark.parametrize("offence", CHANGED)
async def test_a_checkpoint_is_held_to_the_same(manager: SessionManager, session_id: str, offence: str) -> None:
    """Its data comes back as it was given, or is refused."""
    value, path = CHANGED[offence]
    with pytest.raises(InvalidData) as caught:
        await manager.save_checkpoint(session_id, value)
    assert caught.value.path == path.replace("detail", "data", 1)
    assert await manager.get_latest_checkpoint(session_id) is None


@pytest.mark.parametrize("offence", CHANGED)
async def test_metadata_is_held_to_the_same(manager: SessionManager, session_id: str, offence: str) -> None:
    """When a session is created, and when its metadata is changed."""
    value, path = CHANGED[offence]
    path = path.replace("detail", "key", 1)
    with pytest.raises(InvalidData) as caught:
        await manager.create_session("user_1", "assistant", {"key": value}, session_id="never")
    assert caught.value.path == f"metadata.{path}"
    with pytest.raises(InvalidData) as caught:
        await manager.update_session_metadata(session_id, {"key": value})
    assert caught.value.path == f"metadata.{path}"
    assert not await manager.session_exists("never")
    session = await manager.get_session(session_id)
    assert session is not None
    session.metadata["key"] = value
    with pytest.raises(InvalidData) as caught:
        await manager.update_session(session_id, session)
    assert caught.value.path == f"metadata.{path}"


async def test_a_message_names_the_part_at_fault(manager: SessionManager, session_id: str) -> None:
    """Deep inside the tool calls of one of many messages."""
    calls = [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": {"ids": {7}}}}]
    with pytest.raises(InvalidData) as caught:
        await manager.add_messages(session_id, [{"role": "user"}, {"role": "assistant", "tool_calls": calls}])
    assert caught.value.path == "message.added.tool_calls[0].function.arguments.ids"
    assert await manager.messages(session_id) == []


@pytest.mark.parametrize("depth", [300, 600, 5_000])
async def test_what_is_nested_too_deeply_is_refused(manager: SessionManager, session_id: str, depth: int) -> None:
    """Where the reader's stack might not hold it."""
    with pytest.raises(InvalidData, match="too deep"):
        await manager.append(session_id, ToolCalled(name="f", arguments=_nested(depth)))
    with pytest.raises(InvalidData, match="too deep"):
        await manager.save_checkpoint(session_id, _nested(depth))
    with pytest.raises(InvalidData, match="too deep"):
        await manager.update_session_metadata(session_id, {"key": _nested(depth)})


async def test_what_refers_to_itself_is_refused(manager: SessionManager, session_id: str) -> None:
    """It has no end."""
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(InvalidData, match="too deep"):
        await manager.append(session_id, NoteAdded(text="x", detail=loop))


async def test_a_hundred_levels_are_read_from_anywhere(manager: SessionManager, session_id: str) -> None:
    """Also by a reader whose own stack is deep already."""
    await manager.append(session_id, NoteAdded(text="x", detail=_nested(100)))
    await manager.update_session_metadata(session_id, {"key": _nested(100)})
    [event] = [event async for event in manager.history(session_id, types=[NoteAdded])]

    def deeper(levels: int) -> Any:
        return deeper(levels - 1) if levels else event.data.detail

    assert deeper(500) == _nested(100)
    session = await manager.get_session(session_id)
    assert session is not None
    assert session.metadata == {"key": _nested(100)}


async def test_a_wrong_type_in_a_typed_field_is_refused(manager: SessionManager, session_id: str) -> None:
    """The classes do not check what they are given; the append does."""
    with pytest.raises(ValueError, match=r"note\.added"):
        await manager.append(session_id, NoteAdded(text=7))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"message\.added"):
        await manager.append(session_id, MessageAdded(role=None))  # type: ignore[arg-type]


async def test_the_caller_may_go_on_changing_what_it_gave(manager: SessionManager, session_id: str) -> None:
    """An event is encoded before the append waits for anything."""
    detail = {"turn": 1}
    task = asyncio.create_task(manager.append(session_id, NoteAdded(text="x", detail=detail)))
    data = {"turn": 1}
    saving = asyncio.create_task(manager.save_checkpoint(session_id, data))
    await asyncio.sleep(0)
    detail["turn"] = data["turn"] = 2
    await asyncio.gather(task, saving)
    [event] = [event async for event in manager.history(session_id, types=[NoteAdded])]
    checkpoint = await manager.get_latest_checkpoint(session_id)
    assert event.data.detail == {"turn": 1}
    assert checkpoint is not None
    assert checkpoint.data == {"turn": 1}
