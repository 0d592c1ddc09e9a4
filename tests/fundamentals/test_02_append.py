"""Appending: all or nothing, in order, and only where it is allowed (G1, G2, G6, G12, G17)."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from sessionstream import (
    CheckpointDeleted,
    CheckpointSaved,
    ConflictError,
    InvalidArgument,
    MessageAdded,
    MetadataUpdated,
    NoteAdded,
    SessionCreated,
    SessionDeleted,
    SessionEnded,
    SessionExpired,
    SessionManager,
    SessionNotFound,
    SessionRefreshed,
    SessionRetired,
    SessionState,
    StateChanged,
)
from sessionstream.errors import InvalidData, InvalidType, SessionArchived, TooLarge

pytestmark = pytest.mark.guarantee

LIFECYCLE = [
    SessionCreated(user_id="u", agent_id="a"),
    MetadataUpdated(set={"a": 1}),
    SessionRefreshed(ttl_ms=1),
    StateChanged(state="idle"),
    SessionExpired(user_id="u", agent_id="a", created_ms=1),
    SessionDeleted(user_id="u", agent_id="a", created_ms=1),
    CheckpointSaved(checkpoint_id="c", covers="0-0", size=1, sha256=""),
    CheckpointDeleted(checkpoint_id="c"),
    SessionRetired(user_id="u", agent_id="a", created_ms=1, ended_ms=1),
]


async def test_an_append_returns_the_offset_and_the_version(manager: SessionManager, session_id: str) -> None:
    """The version counts the session's events; the offset is the milliseconds and the version."""
    appended = await manager.append(session_id, NoteAdded(text="second"))
    assert appended.session_id == session_id
    assert appended.version == 2
    assert appended.offset.endswith("-2")
    assert (appended.count, appended.duplicate) == (1, False)


async def test_a_batch_returns_the_offset_of_its_last_event(manager: SessionManager, session_id: str) -> None:
    """The offsets of all of them follow from it."""
    appended = await manager.append(session_id, [NoteAdded(text=text) for text in "abc"])
    stored = [event.offset async for event in manager.history(session_id, types=[NoteAdded])]
    assert appended.count == 3
    assert appended.offsets == stored
    assert appended.offset == stored[-1]


async def test_versions_have_no_gap(manager: SessionManager, other: SessionManager, session_id: str) -> None:
    """Whoever appends, one by one or in batches, the versions are 1, 2, 3 …"""
    await asyncio.gather(
        *(manager.append(session_id, NoteAdded(text="one")) for _ in range(20)),
        *(other.append(session_id, [NoteAdded(text="two")] * 3) for _ in range(20)),
    )
    versions = [event.version async for event in manager.history(session_id)]
    assert versions == list(range(1, 82))


async def test_appends_of_one_caller_keep_their_order(manager: SessionManager, session_id: str) -> None:
    """Calls that are made side by side are appended in the order in which they were made."""
    await asyncio.gather(*(manager.append(session_id, NoteAdded(text=str(number))) for number in range(200)))
    texts = [event.data.text async for event in manager.history(session_id, types=[NoteAdded])]
    assert texts == [str(number) for number in range(200)]


async def test_a_refused_event_takes_its_whole_batch_with_it(manager: SessionManager, session_id: str) -> None:
    """All events of one append are appended, or none."""
    with pytest.raises(InvalidData):
        await manager.append(session_id, [NoteAdded(text="fine"), NoteAdded(text="x", detail=float("nan"))])
    with pytest.raises(TooLarge):
        await manager.append(session_id, [NoteAdded(text="fine"), NoteAdded(text="x" * 2_000_000)])
    assert len([event async for event in manager.history(session_id)]) == 1


async def test_the_events_of_a_batch_stand_side_by_side(
    manager: SessionManager, other: SessionManager, session_id: str
) -> None:
    """Nobody else's event comes between them."""
    batches = [[NoteAdded(text=f"{number}")] * 10 for number in range(20)]
    await asyncio.gather(*((manager, other)[n % 2].append(session_id, batch) for n, batch in enumerate(batches)))
    texts = [event.data.text async for event in manager.history(session_id, types=[NoteAdded])]
    assert all(len(set(texts[start : start + 10])) == 1 for start in range(0, 200, 10))


async def test_ten_thousand_events_are_one_append(manager: SessionManager, session_id: str) -> None:
    """And ten thousand and one are refused."""
    appended = await manager.append(session_id, [NoteAdded(text="x")] * 10_000)
    assert (appended.count, appended.version) == (10_000, 10_001)
    with pytest.raises(InvalidArgument, match="10,001 events"):
        await manager.append(session_id, [NoteAdded(text="x")] * 10_001)


async def test_nothing_to_append_is_an_error(manager: SessionManager, session_id: str) -> None:
    """An empty list is a mistake of the caller's."""
    with pytest.raises(InvalidArgument, match="no event"):
        await manager.append(session_id, [])


async def test_the_expected_version_is_that_of_the_session_as_it_was_read(
    manager: SessionManager, session_id: str
) -> None:
    """An append on exactly that version goes through."""
    session = await manager.get_session(session_id)
    assert session is not None
    appended = await manager.append(session_id, NoteAdded(text="x"), expected_version=session.version)
    assert appended.version == session.version + 1


async def test_a_conflict_carries_the_actual_version(
    manager: SessionManager, other: SessionManager, session_id: str
) -> None:
    """Whoever lost the race learns what the session has come to, and nothing was appended."""
    await other.append(session_id, [NoteAdded(text="a"), NoteAdded(text="b")])
    with pytest.raises(ConflictError) as caught:
        await manager.append(session_id, NoteAdded(text="c"), expected_version=1)
    assert (caught.value.expected, caught.value.actual, caught.value.session_id) == (1, 3, session_id)
    assert len([event async for event in manager.history(session_id)]) == 3


async def test_one_of_many_wins_a_version(manager: SessionManager, other: SessionManager, session_id: str) -> None:
    """Of appends that expect the same version, exactly one goes through."""
    outcomes = await asyncio.gather(
        *((manager, other)[n % 2].append(session_id, NoteAdded(text=str(n)), expected_version=1) for n in range(30)),
        return_exceptions=True,
    )
    conflicts = [outcome for outcome in outcomes if isinstance(outcome, ConflictError)]
    assert len(conflicts) == 29
    assert {conflict.actual for conflict in conflicts} == {2}


@pytest.mark.parametrize("wrong", ["1", 1.0, True, -1])
async def test_an_expected_version_is_a_number_from_0(manager: SessionManager, session_id: str, wrong: object) -> None:
    """Anything else is refused before it is sent."""
    with pytest.raises(InvalidArgument, match="expected_version"):
        await manager.append(session_id, NoteAdded(text="x"), expected_version=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("event", LIFECYCLE, ids=lambda event: type(event).__name__)
async def test_the_life_of_a_session_is_not_appended_by_hand(
    manager: SessionManager, session_id: str, event: object
) -> None:
    """What has a method of its own is done by that method."""
    with pytest.raises(InvalidArgument, match="by the method that does it"):
        await manager.append(session_id, event)


async def test_an_unknown_session_takes_no_event(manager: SessionManager, client: Redis) -> None:
    """And the attempt leaves nothing behind."""
    with pytest.raises(SessionNotFound) as caught:
        await manager.append("sess_nobody", NoteAdded(text="x"))
    assert caught.value.session_id == "sess_nobody"
    assert not isinstance(caught.value, SessionEnded)
    assert await client.exists(manager.store.keys.head("sess_nobody"), manager.store.keys.events("sess_nobody")) == 0


async def test_a_deleted_session_takes_no_event(manager: SessionManager, session_id: str) -> None:
    """A late write of an agent that still runs is refused, and told why."""
    await manager.delete_session(session_id)
    with pytest.raises(SessionEnded) as caught:
        await manager.append(session_id, NoteAdded(text="late"))
    assert caught.value.reason == "deleted"


async def test_an_expired_session_takes_no_event_before_any_sweep(manager: SessionManager) -> None:
    """Its time is over when it is over."""
    session = await manager.create_session("user_1", "assistant", ttl=0.001)
    while await manager.session_exists(session.session_id):
        await asyncio.sleep(0)
    with pytest.raises(SessionEnded) as caught:
        await manager.append(session.session_id, NoteAdded(text="late"))
    assert caught.value.reason == "expired"
    versions = [event.version async for event in manager.history(session.session_id)]
    assert versions == [1]


async def test_an_archived_session_takes_no_runtime_event_until_it_is_active(
    manager: SessionManager, session_id: str
) -> None:
    """Archived is read-only for the agent, not for its owner."""
    await manager.set_session_state(session_id, SessionState.ARCHIVED)
    with pytest.raises(SessionArchived):
        await manager.append(session_id, MessageAdded(role="user", content="Hi"))
    await manager.update_session_metadata(session_id, {"archived_by": "me"})
    await manager.set_session_state(session_id, SessionState.ACTIVE)
    await manager.append(session_id, MessageAdded(role="user", content="Hi"))


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ("", InvalidArgument),
        ("x" * 513, InvalidArgument),
        ("\ud800", InvalidArgument),
        (7, InvalidType),
        (None, InvalidType),
    ],
)
async def test_a_session_id_is_text_of_1_to_512_bytes(
    manager: SessionManager, wrong: object, error: type[InvalidArgument]
) -> None:
    """Empty and over-long ids are refused before anything is sent."""
    with pytest.raises(error, match="session_id"):
        await manager.append(wrong, NoteAdded(text="x"))  # type: ignore[arg-type]


async def test_ids_of_any_characters_never_share_a_session(manager: SessionManager) -> None:
    """Braces, colons, spaces, newlines, Unicode, and what looks like the store's own keys: all are different ids."""
    ids = ["a", "a:b", "{a}", "a b", "a\n", "a\x00", "é", "e\u0301", "会话", "head:a", "}{", "*", "😀" * 128]
    for number, identifier in enumerate(ids):
        await manager.create_session("user_1", "assistant", {"number": number}, session_id=identifier)
        await manager.append(identifier, NoteAdded(text=str(number)))
    for number, identifier in enumerate(ids):
        session = await manager.get_session(identifier)
        assert session is not None
        assert (session.metadata, session.version) == ({"number": number}, 2)
