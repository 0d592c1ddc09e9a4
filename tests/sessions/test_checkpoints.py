"""Checkpoints: saved, read, the latest of them, deleted (G9, G15)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC

import pytest

from sessionstream import Checkpoint, MessageAdded, SessionManager
from sessionstream.errors import CheckpointExists, InvalidArgument, InvalidType
from tests.sessions.conftest import Dump

_DATA = {"turn": 1, "история": ["Hi", None, {"π": 3.14}], "empty": {}, "": ""}
_FIELDS = ["checkpoint_id", "session_id", "created_at", "offset", "saved_at", "size", "sha256", "label", "data"]


async def _latest(manager: SessionManager, session_id: str) -> Checkpoint:
    checkpoint = await manager.get_latest_checkpoint(session_id)
    assert checkpoint is not None
    return checkpoint


async def test_a_checkpoint_is_read_by_its_id(manager: SessionManager, session_id: str) -> None:
    """With the data as they were given; the id is made, and begins with ``ckpt_``."""
    checkpoint_id = await manager.save_checkpoint(session_id, _DATA)
    assert checkpoint_id.startswith("ckpt_")
    checkpoint = await manager.get_checkpoint(session_id, checkpoint_id)
    assert checkpoint is not None
    assert checkpoint.data == _DATA
    assert checkpoint == await _latest(manager, session_id)


async def test_an_id_may_be_given(manager: SessionManager, session_id: str) -> None:
    """It is the caller's own name for the checkpoint."""
    assert await manager.save_checkpoint(session_id, {}, checkpoint_id="before the refund") == "before the refund"
    assert await manager.get_checkpoint(session_id, "before the refund") is not None


async def test_an_id_is_used_once_in_a_session(manager: SessionManager, session_id: str, dump: Dump) -> None:
    """The first stays as it was; in another session, or when the first is deleted, the id is free."""
    await manager.save_checkpoint(session_id, {"turn": 1}, checkpoint_id="ckpt_1")
    before = await dump()
    with pytest.raises(CheckpointExists, match="ckpt_1") as caught:
        await manager.save_checkpoint(session_id, {"turn": 2}, checkpoint_id="ckpt_1")
    assert isinstance(caught.value, ValueError)
    assert await dump() == before
    other = await manager.create_session("user_1", "agent_1")
    await manager.save_checkpoint(other.session_id, {"turn": 2}, checkpoint_id="ckpt_1")
    await manager.delete_checkpoint(session_id, "ckpt_1")
    await manager.save_checkpoint(session_id, {"turn": 3}, checkpoint_id="ckpt_1")
    assert (await _latest(manager, session_id)).data == {"turn": 3}
    assert (await _latest(manager, other.session_id)).data == {"turn": 2}


async def test_a_checkpoint_is_a_full_mapping(manager: SessionManager, session_id: str) -> None:
    """Everything that a dict of its fields could be asked."""
    await manager.save_checkpoint(session_id, _DATA, label="first")
    checkpoint = await _latest(manager, session_id)
    assert isinstance(checkpoint, Mapping)
    assert list(checkpoint) == list(checkpoint.keys()) == _FIELDS
    assert len(checkpoint) == len(_FIELDS)
    assert checkpoint["data"]["turn"] == 1
    assert checkpoint.get("label") == "first"
    assert checkpoint.get("unknown", 7) == 7
    assert "data" in checkpoint
    assert "unknown" not in checkpoint
    assert dict(checkpoint) == {**checkpoint} == dict(checkpoint.items())
    with pytest.raises(KeyError, match="unknown"):
        checkpoint["unknown"]
    match checkpoint:
        case {"data": {"turn": turn}}:
            assert turn == 1
        case _:
            pytest.fail("a checkpoint does not match as a mapping")


async def test_a_checkpoint_has_its_fields_as_attributes(manager: SessionManager, session_id: str) -> None:
    """The same values; the digest and the size are those of the JSON."""
    created = await manager.get_session(session_id)
    checkpoint_id = await manager.save_checkpoint(session_id, _DATA, label="第一")
    checkpoint = await _latest(manager, session_id)
    assert [getattr(checkpoint, name) for name in _FIELDS] == list(checkpoint.values())
    body = json.dumps(_DATA, separators=(",", ":"), ensure_ascii=False).encode()
    assert (checkpoint.size, checkpoint.sha256) == (len(body), hashlib.sha256(body).hexdigest())
    assert (checkpoint.checkpoint_id, checkpoint.session_id, checkpoint.label) == (checkpoint_id, session_id, "第一")
    [first, saved] = [event async for event in manager.history(session_id)]
    assert (checkpoint.offset, checkpoint.saved_at) == (first.offset, saved.offset)
    assert checkpoint.created_at == saved.at
    assert checkpoint.created_at.tzinfo is UTC
    assert created is not None
    assert checkpoint.created_at >= created.created_at


async def test_the_latest_is_the_last_saved(manager: SessionManager, session_id: str) -> None:
    """Whatever its id; deleting it uncovers the one before."""
    for number, checkpoint_id in enumerate(("ckpt_c", "ckpt_a", "ckpt_b")):
        await manager.save_checkpoint(session_id, number, checkpoint_id=checkpoint_id)
    for number in (2, 1, 0):
        latest = await _latest(manager, session_id)
        assert latest.data == number
        assert await manager.delete_checkpoint(session_id, latest.checkpoint_id) is True
    assert await manager.get_latest_checkpoint(session_id) is None


async def test_the_offset_is_the_last_event_that_the_data_include(manager: SessionManager, session_id: str) -> None:
    """By default the last that this manager appended; the caller may name another."""
    first = await manager.append(session_id, MessageAdded(role="user", content="1"))
    second = await manager.append(session_id, MessageAdded(role="user", content="2"))
    await manager.save_checkpoint(session_id, {})
    assert (await _latest(manager, session_id)).offset == second.offset
    await manager.save_checkpoint(session_id, {}, offset=first.offset)
    assert (await _latest(manager, session_id)).offset == first.offset
    resumed = await manager.resume(session_id)
    assert [event.data.content for event in resumed.events if event.type == "message.added"] == ["2"]


@pytest.mark.parametrize("offset", ["", "1", "a-1", "1-1-1", "99999999999999-99"])
async def test_an_offset_that_is_none_of_the_sessions_is_refused(
    manager: SessionManager, session_id: str, dump: Dump, offset: str
) -> None:
    """Malformed, or past the end."""
    before = await dump()
    with pytest.raises(InvalidArgument, match="offset"):
        await manager.save_checkpoint(session_id, {}, offset=offset)
    assert await dump() == before


async def test_a_label_is_a_string(manager: SessionManager, session_id: str) -> None:
    """Any string: also an empty one, and one with spaces and quotes."""
    for label in ("", 'a "quoted" label', "две строки\nи ещё"):
        await manager.save_checkpoint(session_id, {}, label=label)
        assert (await _latest(manager, session_id)).label == label
    with pytest.raises(InvalidType, match="label"):
        await manager.save_checkpoint(session_id, {}, label=1)  # type: ignore[arg-type]
