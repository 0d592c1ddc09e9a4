"""A checkpoint is a snapshot that also marks where a replay starts: nothing is skipped, nothing comes twice.

G2, G15.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import (
    CheckpointSaved,
    InvalidArgument,
    NoteAdded,
    SessionEnded,
    SessionManager,
    SessionNotFound,
)
from sessionstream.checkpoints.reading import Resumed

pytestmark = pytest.mark.guarantee


def _texts(resumed: Resumed) -> list[str]:
    return [event.data.text for event in resumed.events if isinstance(event.data, NoteAdded)]


async def test_a_checkpoint_is_an_event_and_a_body_beside_the_stream(
    manager: SessionManager, session_id: str, client: Redis
) -> None:
    """The event carries id, size and digest, so the log stays small whatever the body holds."""
    checkpoint_id = await manager.save_checkpoint(session_id, {"history": ["x" * 1_000]}, label="half way")
    [event] = [event async for event in manager.history(session_id, types=[CheckpointSaved])]
    body = await client.hget(manager.store.keys.bodies(session_id), checkpoint_id)
    assert event.data.checkpoint_id == checkpoint_id
    assert (event.data.size, event.data.sha256) == (len(body), hashlib.sha256(body).hexdigest())
    assert event.data.label == "half way"
    assert len(event.raw) < 300


async def test_resuming_gives_the_latest_checkpoint_and_what_came_after(
    manager: SessionManager, session_id: str
) -> None:
    """The checkpoint's own event aside."""
    await manager.append(session_id, NoteAdded(text="before"))
    await manager.save_checkpoint(session_id, {"turn": 1})
    await manager.append(session_id, [NoteAdded(text="after"), NoteAdded(text="and after")])
    resumed = await manager.resume(session_id)
    assert resumed.checkpoint is not None
    assert resumed.checkpoint.data == {"turn": 1}
    assert [event.type for event in resumed.events] == ["note.added", "note.added"]
    assert _texts(resumed) == ["after", "and after"]
    assert resumed.version == resumed.session.version == 5


async def test_without_a_checkpoint_resuming_gives_everything(manager: SessionManager, session_id: str) -> None:
    """From the creation on."""
    await manager.append(session_id, NoteAdded(text="x"))
    resumed = await manager.resume(session_id)
    assert resumed.checkpoint is None
    assert [event.version for event in resumed.events] == [1, 2]


async def test_a_checkpoint_covers_what_this_manager_appended_last(manager: SessionManager, session_id: str) -> None:
    """That is the offset up to which its data can know."""
    appended = await manager.append(session_id, [NoteAdded(text="a"), NoteAdded(text="b")])
    await manager.save_checkpoint(session_id, {"turn": 1})
    checkpoint = await manager.get_latest_checkpoint(session_id)
    assert checkpoint is not None
    assert checkpoint.offset == appended.offset


async def test_an_event_that_somebody_else_appended_meanwhile_is_not_skipped(
    manager: SessionManager, other: SessionManager, session_id: str
) -> None:
    """The data cannot include it, so a resume gives it, also if this manager went on appending after it."""
    known = await manager.append(session_id, NoteAdded(text="mine"))
    await other.append(session_id, NoteAdded(text="theirs"))
    await manager.append(session_id, NoteAdded(text="mine again"))
    await manager.save_checkpoint(session_id, {"turn": 1})
    resumed = await other.resume(session_id)
    assert resumed.checkpoint is not None
    assert resumed.checkpoint.offset == known.offset
    assert _texts(resumed) == ["theirs", "mine again"]


async def test_a_checkpoint_covers_what_this_manager_read(
    manager: SessionManager, other: SessionManager, session_id: str
) -> None:
    """By resuming, or by reading its history to the end."""
    theirs = await other.append(session_id, NoteAdded(text="theirs"))
    await manager.resume(session_id)
    await manager.save_checkpoint(session_id, {"turn": 1})
    checkpoint = await manager.get_latest_checkpoint(session_id)
    assert checkpoint is not None
    assert checkpoint.offset == theirs.offset
    theirs = await other.append(session_id, NoteAdded(text="theirs"))
    async for _ in manager.history(session_id):
        pass
    await manager.save_checkpoint(session_id, {"turn": 2})
    checkpoint = await manager.get_latest_checkpoint(session_id)
    assert checkpoint is not None
    assert checkpoint.offset == theirs.offset


@pytest.mark.parametrize("asked", [{"backward": True}, {"types": [NoteAdded]}, {"limit": 2}, {"to_version": 1}])
async def test_a_history_that_leaves_something_out_is_not_taken_for_all_of_it(
    manager: SessionManager, other: SessionManager, session_id: str, asked: dict[str, Any]
) -> None:
    """Newest first, only some types, only some of them: what was passed over is not known."""
    await other.append(session_id, [NoteAdded(text="a"), NoteAdded(text="b"), NoteAdded(text="c")])
    seen = [event async for event in manager.history(session_id, **asked)]
    assert seen
    await manager.save_checkpoint(session_id, {"turn": 1})
    resumed = await other.resume(session_id)
    expected = ["b", "c"] if asked == {"limit": 2} else ["a", "b", "c"]
    assert _texts(resumed) == expected


async def test_a_checkpoint_in_the_middle_of_a_history_covers_what_was_given(
    manager: SessionManager, other: SessionManager, session_id: str
) -> None:
    """While the reader stands there, when it goes away, and with a second reader that is behind it."""
    theirs = await other.append(session_id, [NoteAdded(text="a"), NoteAdded(text="b"), NoteAdded(text="c")])
    ahead, behind = manager.history(session_id), manager.history(session_id)
    given = [await anext(ahead) for _ in range(3)]
    await anext(behind)
    await manager.save_checkpoint(session_id, {"turn": 1})
    assert _texts(await other.resume(session_id)) == ["c"]
    await ahead.aclose()  # type: ignore[attr-defined]
    await behind.aclose()  # type: ignore[attr-defined]
    assert manager.store.positions.known(session_id) == given[-1].offset == theirs.offsets[1]


async def test_an_append_behind_what_was_given_covers_both(
    manager: SessionManager, other: SessionManager, session_id: str
) -> None:
    """Nothing lies between, so nothing is unknown; the reader may still stand there."""
    await other.append(session_id, NoteAdded(text="theirs"))
    async for event in manager.history(session_id):
        if event.version == 2:
            own = await manager.append(session_id, NoteAdded(text="own"))
            assert manager.store.positions.known(session_id) == own.offset
            break


async def test_who_still_reads_a_removed_session_knows_nothing_of_the_next_one(
    manager: SessionManager, session_id: str
) -> None:
    """Their ids are the same, their events are not."""
    await manager.append(session_id, [NoteAdded(text=str(number)) for number in range(9)])
    reader = manager.history(session_id)
    for _ in range(5):
        await anext(reader)
    await manager.delete_session(session_id, purge=True)
    await manager.create_session("user_1", "assistant", session_id=session_id)
    own = await manager.append(session_id, NoteAdded(text="new"))
    assert manager.store.positions.known(session_id) == own.offset
    await reader.aclose()  # type: ignore[attr-defined]
    assert manager.store.positions.known(session_id) == own.offset


async def test_what_was_known_of_a_removed_session_does_not_count_for_the_next_one_with_its_id(
    manager: SessionManager, open_manager: Callable[..., SessionManager]
) -> None:
    """G15: another process removed it, and made another one under the same id."""
    await manager.create_session("user_1", "agent_1", session_id="again")
    await manager.append("again", [NoteAdded(text=str(number)) for number in range(3)])
    other = open_manager()
    await other.delete_session("again", purge=True)
    await other.create_session("user_1", "agent_1", session_id="again")
    await other.append("again", NoteAdded(text="not seen"))
    await manager.save_checkpoint("again", {})
    resumed = await other.resume("again")
    assert resumed.checkpoint is not None
    assert resumed.checkpoint.offset == "0-0"
    assert _texts(resumed) == ["not seen"]


async def test_the_caller_may_say_what_the_data_covers(manager: SessionManager, session_id: str) -> None:
    """An offset of this session, not past its end."""
    offsets = (await manager.append(session_id, [NoteAdded(text="a"), NoteAdded(text="b")])).offsets
    await manager.save_checkpoint(session_id, {"turn": 1}, offset=offsets[0])
    assert _texts(await manager.resume(session_id)) == ["b"]
    with pytest.raises(InvalidArgument, match="past the end"):
        await manager.save_checkpoint(session_id, {"turn": 1}, offset="9999999999999-99")
    with pytest.raises(InvalidArgument, match="no offset"):
        await manager.save_checkpoint(session_id, {"turn": 1}, offset="the end")


async def test_resuming_again_and_again_reads_each_event_once(
    manager: SessionManager, other: SessionManager, session_id: str
) -> None:
    """The loop of an agent: resume, work, checkpoint."""
    seen: list[str] = []
    for turn in range(5):
        await other.append(session_id, [NoteAdded(text=f"{turn}a"), NoteAdded(text=f"{turn}b")])
        resumed = await manager.resume(session_id)
        seen += _texts(resumed)
        await manager.save_checkpoint(session_id, {"turn": turn})
    assert seen == [f"{turn}{half}" for turn in range(5) for half in "ab"]


async def test_the_position_that_resume_gives_is_where_history_goes_on(
    manager: SessionManager, session_id: str
) -> None:
    """One offset is the coordinate for both."""
    await manager.append(session_id, NoteAdded(text="before"))
    position = (await manager.resume(session_id)).offset
    await manager.append(session_id, NoteAdded(text="after"))
    assert [event.data.text async for event in manager.history(session_id, after=position)] == ["after"]


async def test_deleting_the_latest_checkpoint_uncovers_the_one_before(manager: SessionManager, session_id: str) -> None:
    """And a resume starts from that one."""
    await manager.save_checkpoint(session_id, {"turn": 1}, checkpoint_id="one")
    await manager.append(session_id, NoteAdded(text="between"))
    await manager.save_checkpoint(session_id, {"turn": 2}, checkpoint_id="two")
    await manager.delete_checkpoint(session_id, "two")
    resumed = await manager.resume(session_id)
    assert resumed.checkpoint is not None
    assert resumed.checkpoint.checkpoint_id == "one"
    assert _texts(resumed) == ["between"]


async def test_a_body_goes_with_its_checkpoint(manager: SessionManager, session_id: str, client: Redis) -> None:
    """In the same step as the event that tells of it."""
    for number in range(3):
        await manager.save_checkpoint(session_id, {"turn": number}, checkpoint_id=str(number))
    bodies = manager.store.keys.bodies(session_id)
    await manager.delete_checkpoint(session_id, "1")
    assert set(await client.hkeys(bodies)) - {b""} == {b"0", b"2"}
    await manager.clear_checkpoints(session_id)
    assert set(await client.hkeys(bodies)) - {b""} == set()


async def test_a_refused_checkpoint_leaves_no_body(manager: SessionManager, session_id: str, client: Redis) -> None:
    """The event and the body are one step."""
    await manager.delete_session(session_id)
    with pytest.raises(SessionEnded):
        await manager.save_checkpoint(session_id, {"turn": 1})
    with pytest.raises(SessionNotFound):
        await manager.save_checkpoint("sess_nobody", {"turn": 1})
    keys = manager.store.keys
    assert await client.exists(keys.bodies(session_id), keys.bodies("sess_nobody")) == 0


async def test_only_a_running_session_is_resumed(manager: SessionManager, session_id: str) -> None:
    """An unknown one and an ended one are errors."""
    await manager.delete_session(session_id)
    with pytest.raises(SessionEnded):
        await manager.resume(session_id)
    with pytest.raises(SessionNotFound):
        await manager.resume("sess_nobody")


async def test_a_position_is_kept_for_each_session(
    manager: SessionManager, make_namespace: Callable[[], str], session_id: str
) -> None:
    """What is appended to one session says nothing of another."""
    another = await manager.create_session("user_1", "assistant")
    await manager.append(another.session_id, [NoteAdded(text="x")] * 5)
    await manager.save_checkpoint(session_id, {"turn": 1})
    checkpoint = await manager.get_latest_checkpoint(session_id)
    assert checkpoint is not None
    assert checkpoint.offset.endswith("-1")


async def test_who_was_given_the_latest_checkpoint_goes_on_behind_it(
    manager: SessionManager, other: SessionManager, session_id: str
) -> None:
    """What somebody else appended between that checkpoint and the next append is not covered by the next one."""
    await manager.save_checkpoint(session_id, {"turn": 1})
    await manager.append(session_id, NoteAdded(text="not seen by the other"))
    assert await other.get_latest_checkpoint(session_id) is not None
    await other.append(session_id, NoteAdded(text="the other's own"))
    await other.save_checkpoint(session_id, {"turn": 2})
    assert _texts(await manager.resume(session_id)) == ["not seen by the other", "the other's own"]
