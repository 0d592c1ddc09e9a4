"""G35, at random: a session that is trimmed again and again tells of itself what one that never was tells."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessionstream import HistoryTrimmed, NoteAdded, SessionManager
from tests.nodes import lanes_of
from tests.servers import Server

Step = tuple[str, Any]

_steps = st.one_of(
    st.tuples(st.just("say"), st.integers(1, 4)),
    st.tuples(st.just("note"), st.integers(1, 3)),
    st.tuples(st.just("set"), st.integers(0, 3)),
    st.tuples(st.just("unset"), st.integers(0, 3)),
    st.tuples(st.just("state"), st.sampled_from(["active", "idle", "archived"])),
    st.tuples(st.just("save"), st.sampled_from([None, "label"])),
    st.tuples(st.just("clear"), st.just(None)),
    st.tuples(st.just("refresh"), st.just(None)),
    st.tuples(st.just("trim"), st.integers(0, 8)),
)


async def _play(manager: SessionManager, session: str, step: Step) -> None:
    """Do one step, the same for both; a trim is for one alone."""
    name, value = step
    match name:
        case "say":
            await manager.set_session_state(session, "active")
            await manager.add_messages(session, [{"role": "user", "content": str(n)} for n in range(value)])
        case "note":
            await manager.set_session_state(session, "active")
            await manager.append(session, [NoteAdded(text=str(n)) for n in range(value)])
        case "set":
            await manager.update_session_metadata(session, {f"key {value}": value})
        case "unset":
            await manager.update_session_metadata(session, unset=[f"key {value}"])
        case "state":
            await manager.set_session_state(session, value)
        case "save":
            await manager.save_checkpoint(session, {"value": value}, label=value)
        case "clear":
            await manager.clear_checkpoints(session)
        case "refresh":
            await manager.refresh_session(session)


async def _known(manager: SessionManager, session: str, version: int) -> Any:
    """What is known of a session at a version, without what differs between the two, such as times."""
    known = await manager.audit.as_of(session, version=version)
    checkpoint = known.checkpoint
    return (
        known.session.metadata,
        known.state,
        known.session.user_id,
        None if checkpoint is None else (checkpoint.label, checkpoint.size, checkpoint.data),
    )


async def _facts(manager: SessionManager, session: str) -> Any:
    current = await manager.get_session(session)
    assert current is not None
    saved = [(one.label, one.size) for one in await manager.list_checkpoints(session)]
    return current.metadata, current.state, saved


async def _compare(url: str, folder: Path, steps: Sequence[Step]) -> None:
    async with SessionManager(url=url, namespace="twins") as manager:
        for lane in await lanes_of(manager.store):
            await lane.call(("FLUSHALL",))
        for session in ("trimmed", "twin"):
            await manager.create_session("user", "agent", session_id=session, ttl=3_600)
        versions, trimmed = [(1, 1)], 0
        for step in steps:
            if step[0] == "trim":
                trimmed = (await manager.retention.trim("trimmed", folder, keep_events=step[1])).trimmed
                continue
            for session in ("trimmed", "twin"):
                await _play(manager, session, step)
            one, other = [await manager.get_session(session) for session in ("trimmed", "twin")]
            assert one is not None
            assert other is not None
            versions.append((one.version, other.version))
        for mine, its in versions:
            if mine < trimmed:
                with pytest.raises(HistoryTrimmed):
                    await manager.audit.as_of("trimmed", version=mine)
            else:
                assert await _known(manager, "trimmed", mine) == await _known(manager, "twin", its)
        before = await _facts(manager, "trimmed")
        assert before == await _facts(manager, "twin")
        await manager.rebuild("trimmed")
        await manager.rebuild()
        assert await _facts(manager, "trimmed") == before
        replayed = [event async for event in manager.retention.replay("trimmed", folder)]
        told = [(event.type, event.raw) for event in replayed if event.type not in _OWN]
        assert told == [(event.type, event.raw) async for event in manager.history("twin") if event.type not in _OWN]
        assert [event.version for event in replayed] == list(range(1, len(replayed) + 1))


_OWN = ("session.trimmed", "checkpoint.saved", "checkpoint.deleted")


def test_a_trimmed_session_and_its_twin_tell_the_same(
    make_server: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """As of any moment that is kept, now, after a rebuild, and in a replay from the archive."""
    server = make_server()

    @settings(max_examples=25)
    @given(st.lists(_steps, min_size=3, max_size=16))
    def compare(steps: Sequence[Step]) -> None:
        asyncio.run(_compare(server.unix_url, tmp_path_factory.mktemp("archive"), steps))

    compare()
