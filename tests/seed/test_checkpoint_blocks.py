"""Blocks 8 to 10: checkpoints saved, read, listed and deleted."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from tests.seed.stage import Stage

_DATA = {
    "conversation_state": "active",
    "last_message": "Hello!",
    "context": {"topic": "greeting", "turn": 1},
    "history": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}],
}


def _saved(checkpoint_id: str, data: Any, covers: str) -> tuple[str, dict[str, Any]]:
    body = json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode()
    facts = {"checkpoint_id": checkpoint_id, "covers": covers, "size": len(body)}
    return "checkpoint.saved", {**facts, "sha256": hashlib.sha256(body).hexdigest()}


async def _offsets(stage: Stage) -> list[str]:
    return [event.offset async for event in stage.manager.history("sess_abc123")]


async def test_block_08_saves_a_checkpoint_and_prints_its_id(stage: Stage) -> None:
    """The event tells of the body, whose data come back as they were given."""
    await stage.session()
    await stage.run(8)
    checkpoint_id = stage["checkpoint_id"]
    assert checkpoint_id.startswith("ckpt_")
    assert stage.printed() == [f"Checkpoint saved: {checkpoint_id}"]
    kept = await stage.manager.get_latest_checkpoint("sess_abc123")
    assert kept is not None
    assert kept["data"] == _DATA
    assert (await stage.history())[1:] == [_saved(checkpoint_id, _DATA, (await _offsets(stage))[0])]


async def test_block_09_prints_what_a_checkpoint_holds(stage: Stage) -> None:
    """The one that is asked for by its id, though a later one is the latest."""
    await stage.session()
    await stage.checkpoint(_DATA)
    later = await stage.checkpoint({**_DATA, "conversation_state": "later"}, "ckpt_later")
    await stage.run(9)
    assert stage["checkpoint"].checkpoint_id == "ckpt_xyz789"
    assert stage.printed() == ["State: active", f"History: {_DATA['history']}"]
    latest = await stage.manager.get_latest_checkpoint("sess_abc123")
    assert latest is not None
    assert latest.checkpoint_id == later
    assert await stage.types() == ["session.created", "checkpoint.saved", "checkpoint.saved"]


async def test_block_09_prints_nothing_where_there_is_no_checkpoint(stage: Stage) -> None:
    """Both questions give None."""
    await stage.session()
    await stage.run(9)
    assert stage["checkpoint"] is None
    assert stage.printed() == []


async def test_block_10_lists_then_deletes_one_then_all_checkpoints(stage: Stage) -> None:
    """The newest is printed first; each deletion is in the history, and none is left."""
    await stage.session()
    await stage.checkpoint(_DATA)
    await stage.checkpoint(_DATA, "ckpt_second")
    second, first = await stage.manager.list_checkpoints("sess_abc123")
    await stage.run(10)
    assert stage.printed() == [f"ckpt_second: {second.created_at}", f"ckpt_xyz789: {first.created_at}"]
    assert await stage.manager.list_checkpoints("sess_abc123") == []
    assert await stage.manager.get_latest_checkpoint("sess_abc123") is None
    assert (await stage.history())[3:] == [
        ("checkpoint.deleted", {"checkpoint_id": "ckpt_xyz789"}),
        ("checkpoint.deleted", {"checkpoint_id": "ckpt_second"}),
    ]
