"""Checkpoints are listed newest first, page by page, with their bodies only where they are asked for."""

from __future__ import annotations

from typing import Any

import pytest

from sessionstream import SessionManager
from sessionstream.errors import InvalidArgument


@pytest.fixture
async def ids(manager: SessionManager) -> list[str]:
    """The checkpoints of the session ``sess_1``, newest first; their ids are in no order."""
    await manager.create_session("user_1", "agent_1", session_id="sess_1")
    saved = [
        await manager.save_checkpoint("sess_1", {"n": number}, checkpoint_id=f"ckpt_{number * 7 % 23}")
        for number in range(23)
    ]
    return saved[::-1]


async def _listed(manager: SessionManager, **options: Any) -> list[str]:
    return [checkpoint.checkpoint_id for checkpoint in await manager.list_checkpoints("sess_1", **options)]


async def test_the_newest_comes_first(manager: SessionManager, ids: list[str]) -> None:
    """The first is the latest."""
    assert await _listed(manager) == ids
    latest = await manager.get_latest_checkpoint("sess_1")
    assert latest is not None
    assert latest.checkpoint_id == ids[0]


async def test_bodies_come_only_where_they_are_asked_for(manager: SessionManager, ids: list[str]) -> None:
    """Everything else is the same with and without them."""
    without = await manager.list_checkpoints("sess_1")
    assert [checkpoint.data for checkpoint in without] == [None] * len(ids)
    full = await manager.list_checkpoints("sess_1", with_data=True)
    assert [checkpoint.data for checkpoint in full] == [{"n": number} for number in range(22, -1, -1)]
    for bare, whole in zip(without, full, strict=True):
        assert {**whole, "data": None} == dict(bare)
        assert await manager.get_checkpoint("sess_1", whole.checkpoint_id) == whole


async def test_a_list_is_limited(manager: SessionManager, ids: list[str]) -> None:
    """To the newest so many."""
    for limit in (0, 1, 22, 23, 24):
        assert await _listed(manager, limit=limit) == ids[:limit]


@pytest.mark.parametrize("size", [1, 5, 23])
async def test_a_list_goes_on_after_a_checkpoint(manager: SessionManager, ids: list[str], size: int) -> None:
    """Pages together are the whole list."""
    listed: list[str] = []
    while page := await _listed(manager, limit=size, after=listed[-1] if listed else None):
        listed += page
    assert listed == ids


async def test_a_deleted_checkpoint_is_not_listed(manager: SessionManager, ids: list[str]) -> None:
    """The others keep their order."""
    await manager.delete_checkpoint("sess_1", ids[0])
    await manager.delete_checkpoint("sess_1", ids[10])
    assert await _listed(manager) == ids[1:10] + ids[11:]


@pytest.mark.parametrize("limit", [-1, "5", 1.5, True])
async def test_a_limit_is_a_number_from_0(manager: SessionManager, ids: list[str], limit: Any) -> None:
    """Anything else is an error."""
    with pytest.raises(InvalidArgument, match="limit"):
        await manager.list_checkpoints("sess_1", limit=limit)
