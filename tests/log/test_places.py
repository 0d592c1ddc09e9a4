"""A version is found by bisection over the milliseconds, never by a scan."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessionstream import NoteAdded, SessionManager
from sessionstream.log.history import offset_at_version
from tests.entries import ID
from tests.gates import move_gate
from tests.log.conftest import CountCommands

STEPS = st.lists(st.tuples(st.sampled_from([0, 0, 1, 2, 7, 1_000, 10**9]), st.integers(1, 5)), min_size=1, max_size=25)


@settings(max_examples=40)
@given(steps=STEPS)
async def test_every_version_is_found(manager: SessionManager, steps: list[tuple[int, int]]) -> None:
    """However the events are spread over time; those before the first and after the last are not there."""
    session_id = (await manager.create_session("user_1", "assistant")).session_id
    key = manager.store.keys.events(session_id)
    created = [event.offset async for event in manager.history(session_id)]
    offsets, ms = list(created), int(created[0].split("-")[0])
    for step, count in steps:
        ms += step
        for _ in range(count):
            offsets.append(f"{ms}-{len(offsets) + 1}")
            await manager.store.server.call("XADD", key, offsets[-1], "note.added", ID)
    await move_gate(manager.store, session_id, offsets[-1])
    for version, offset in enumerate(offsets, 1):
        assert await offset_at_version(manager.store, session_id, version) == offset
    assert await offset_at_version(manager.store, session_id, 0) is None
    assert await offset_at_version(manager.store, session_id, len(offsets) + 1) is None


async def test_an_unknown_session_has_no_versions(manager: SessionManager) -> None:
    """There is nothing to look through."""
    assert await offset_at_version(manager.store, "sess_nobody", 1) is None


async def test_versions_are_found_where_the_first_events_are_gone(manager: SessionManager) -> None:
    """A stream that was trimmed at its beginning."""
    session_id = (await manager.create_session("user_1", "assistant")).session_id
    appended = await manager.append(session_id, [NoteAdded(text="x")] * 20)
    await manager.store.server.call("XTRIM", manager.store.keys.events(session_id), "MINID", appended.offsets[9])
    assert await offset_at_version(manager.store, session_id, 5) is None
    for version, offset in zip(range(11, 22), appended.offsets[9:], strict=True):
        assert await offset_at_version(manager.store, session_id, version) == offset


@pytest.mark.parametrize("count", [100, 10_000])
async def test_finding_a_version_costs_the_same_in_a_long_history(
    open_manager: Callable[..., SessionManager], count_commands: CountCommands, count: int
) -> None:
    """Some dozens of looks, each at one entry."""
    manager = open_manager()
    session_id = (await manager.create_session("user_1", "assistant")).session_id
    for _ in range(10):
        await manager.append(session_id, [NoteAdded(text="x")] * (count // 10))
    await offset_at_version(manager.store, session_id, 1)
    await count_commands()
    for version in random.Random(1).choices(range(1, count), k=10):
        assert await offset_at_version(manager.store, session_id, version) is not None
    looks = await count_commands()
    assert looks["evalsha_ro"] == 10
    assert looks["xrange"] < 10 * 40
