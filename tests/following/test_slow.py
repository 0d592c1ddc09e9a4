"""A slow follower is waited for, or dropped, as it chose; it never slows the others. (G23, G24)"""

from __future__ import annotations

from typing import Any

import pytest

from sessionstream import NoteAdded, RecordedEvent, SessionManager
from sessionstream.errors import FollowerTooSlow
from tests.following.conftest import SESSION, Noted
from tests.sessions.waiting import until


async def _append(manager: SessionManager, count: int) -> None:
    for _ in range(count):
        await manager.append(SESSION, NoteAdded(text="x"))


async def test_one_that_is_waited_for_is_given_everything(manager: SessionManager) -> None:
    """However much comes while it is busy, and however small its buffer is."""
    async with manager.follow(SESSION, buffer=3) as events:
        await anext(events)
        await _append(manager, 50)
        assert [(await anext(events)).version for _ in range(50)] == list(range(2, 52))


async def test_one_that_nobody_reads_keeps_nothing(manager: SessionManager) -> None:
    """What it has not asked for stays in its stream."""
    async with manager.follow(SESSION) as events:
        await anext(events)
        await _append(manager, 100)
        assert len(events._ready) == 0
    async with manager.follow(SESSION, buffer=10) as events:
        await anext(events)
        assert len(events._ready) == 9


async def test_one_that_is_dropped_is_told_where_to_go_on(manager: SessionManager) -> None:
    """When more came than its buffer holds; from its position on nothing is missing."""
    async with manager.follow(SESSION, buffer=5, when_full="drop") as events:
        await anext(events)
        await _append(manager, 5)
        assert [(await anext(events)).version for _ in range(5)] == [2, 3, 4, 5, 6]
        await _append(manager, 6)
        with pytest.raises(FollowerTooSlow) as caught:
            await anext(events)
        with pytest.raises(FollowerTooSlow):
            await anext(events)
    assert (caught.value.session_id, caught.value.position, caught.value.buffer) == (SESSION, events.offset, 5)
    async with manager.follow(SESSION, after=caught.value.position) as events:
        assert (await anext(events)).version == 7


async def test_history_drops_nobody(manager: SessionManager) -> None:
    """Only what comes later can be too much."""
    await _append(manager, 50)
    async with manager.follow(SESSION, buffer=5, when_full="drop") as events:
        assert [(await anext(events)).version for _ in range(51)] == list(range(1, 52))


async def test_one_of_all_sessions_is_dropped_likewise(manager: SessionManager) -> None:
    """Its position is a cursor."""
    async with manager.follow_all(buffer=5, when_full="drop") as events:
        assert (await anext(events)).version == 1
        await _append(manager, 1)
        assert (await anext(events)).version == 2
        await _append(manager, 6)
        with pytest.raises(FollowerTooSlow) as caught:
            await anext(events)
    assert caught.value.session_id is None
    async with manager.follow_all(after=caught.value.position) as events:
        assert [(await anext(events)).version for _ in range(6)] == [3, 4, 5, 6, 7, 8]


async def test_others_are_not_slowed(manager: SessionManager) -> None:
    """Hundreds that read nothing, of the same session and of all, keep back none that reads."""
    idle = [manager.follow(SESSION) for _ in range(200)] + [manager.follow_all() for _ in range(5)]
    for follower in idle:
        await follower.__aenter__()
        await anext(follower)
    async with Noted[RecordedEvent](manager.follow(SESSION)) as noted:
        await _append(manager, 50)
        assert [event.version for event in await noted.has(51)] == list(range(1, 52))
    for follower in idle:
        await follower.__aexit__(None, None, None)


async def test_one_of_some_sessions_is_not_dropped_for_what_others_do(manager: SessionManager) -> None:
    """What it does not follow does not fill its buffer."""
    other = (await manager.create_session("user_2", "agent_2")).session_id
    for chosen in ({"sessions": [SESSION]}, {"agents": ["agent_1"]}):
        options: Any = {"after": "now", "buffer": 5, "when_full": "drop", **chosen}
        async with Noted[RecordedEvent](manager.follow_all(**options)) as noted:
            await until(lambda: bool(noted.events.caught_up))
            await manager.append(other, [NoteAdded(text="x") for _ in range(20)])
            await manager.append(SESSION, NoteAdded(text="y"))
            await until(lambda: [event.session_id for event in noted.items] == [SESSION])
