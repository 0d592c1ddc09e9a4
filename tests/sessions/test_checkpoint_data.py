"""What a checkpoint can hold: data that JSON keeps, up to a limit, as they were when it was saved."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sessionstream import Checkpoint, SessionManager
from sessionstream.errors import InvalidData, TooLarge
from tests.sessions.conftest import Dump, MakeManager

_DATA = {"turn": 1, "история": ["Hi", None, {"π": 3.14}], "empty": {}, "": ""}
_FIELDS = ["checkpoint_id", "session_id", "created_at", "offset", "saved_at", "size", "sha256", "label", "data"]


async def _latest(manager: SessionManager, session_id: str) -> Checkpoint:
    checkpoint = await manager.get_latest_checkpoint(session_id)
    assert checkpoint is not None
    return checkpoint


@pytest.mark.parametrize("data", [None, 0, False, "", [], {}, "text", 1.5, [[]], {"a": None}])
async def test_data_are_anything_that_json_keeps(manager: SessionManager, session_id: str, data: Any) -> None:
    """Not only dicts, and empty values stay what they are."""
    await manager.save_checkpoint(session_id, data)
    kept = (await _latest(manager, session_id)).data
    assert kept == data
    assert type(kept) is type(data)


async def test_data_are_encoded_before_the_first_await(manager: SessionManager, session_id: str) -> None:
    """The caller may go on changing them while they are being saved."""
    history = [{"role": "user", "content": "Hi"}]

    async def go_on() -> None:
        history[0]["content"] = "changed"
        history.append({"role": "assistant", "content": "late"})

    await asyncio.gather(manager.save_checkpoint(session_id, {"history": history}), go_on())
    assert len(history) == 2
    assert (await _latest(manager, session_id)).data == {"history": [{"role": "user", "content": "Hi"}]}


@pytest.mark.parametrize(
    ("data", "path"),
    [
        ({1: "a"}, "data"),
        ({"a": {"b": [0, {2}]}}, r"data\.a\.b\[1\]"),
        ({"a": b"x"}, r"data\.a"),
        ([float("inf")], r"data\[0\]"),
        ({"a": (1,)}, r"data\.a"),
        (object(), "data"),
    ],
)
async def test_data_that_json_would_change_are_refused(
    manager: SessionManager, session_id: str, dump: Dump, data: Any, path: str
) -> None:
    """With the path of the value, and nothing is written."""
    before = await dump()
    with pytest.raises(InvalidData, match=path):
        await manager.save_checkpoint(session_id, data)
    assert await dump() == before


async def test_data_past_the_limit_are_refused(make_manager: MakeManager, dump: Dump) -> None:
    """The error has the size, the limit and the setting."""
    manager = make_manager(max_checkpoint_bytes=1000)
    await manager.create_session("user_1", "agent_1", session_id="sess_1")
    await manager.save_checkpoint("sess_1", "x" * 998)
    before = await dump()
    with pytest.raises(TooLarge, match="max_checkpoint_bytes") as caught:
        await manager.save_checkpoint("sess_1", "x" * 999)
    assert (caught.value.size, caught.value.limit) == (1001, 1000)
    assert await dump() == before


async def test_a_checkpoint_may_be_larger_than_an_event(make_manager: MakeManager) -> None:
    """Its body lies beside the stream."""
    manager = make_manager(max_event_bytes=1000)
    await manager.create_session("user_1", "agent_1", session_id="sess_1")
    await manager.save_checkpoint("sess_1", "x" * 3_000_000)
    assert (await _latest(manager, "sess_1")).size == 3_000_002
