"""The same append twice is one append: by the caller's own key, for as long as the session is kept (G4)."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from sessionstream import IdempotencyConflict, InvalidArgument, NoteAdded, SessionExists, SessionManager, ToolCalled

pytestmark = pytest.mark.guarantee


async def test_the_same_key_gives_the_first_result_again(manager: SessionManager, session_id: str) -> None:
    """Marked as a duplicate, and nothing is appended."""
    first = await manager.append(session_id, [NoteAdded(text="a"), NoteAdded(text="b")], idempotency_key="turn-1")
    again = await manager.append(session_id, [NoteAdded(text="a"), NoteAdded(text="b")], idempotency_key="turn-1")
    assert (first.duplicate, again.duplicate) == (False, True)
    assert (again.offset, again.version, again.count) == (first.offset, first.version, first.count)
    assert again.offsets == first.offsets
    assert len([event async for event in manager.history(session_id)]) == 3


async def test_another_process_is_given_the_same_result(
    manager: SessionManager, other: SessionManager, session_id: str
) -> None:
    """The key is kept with the session, not with who used it."""
    first = await manager.append(session_id, NoteAdded(text="a"), idempotency_key="turn-1")
    again = await other.append(session_id, NoteAdded(text="a"), idempotency_key="turn-1")
    assert again.duplicate
    assert again.offset == first.offset


async def test_a_key_with_another_payload_is_an_error(manager: SessionManager, session_id: str) -> None:
    """Other data, another type, one event more: each is another payload."""
    await manager.append(session_id, NoteAdded(text="a"), idempotency_key="turn-1")
    for other in (
        [NoteAdded(text="b")],
        [NoteAdded(text="a"), NoteAdded(text="a")],
        [ToolCalled(name="a")],
        [NoteAdded(text="a", detail=1)],
    ):
        with pytest.raises(IdempotencyConflict) as caught:
            await manager.append(session_id, other, idempotency_key="turn-1")
        assert (caught.value.session_id, caught.value.key) == (session_id, "turn-1")
    assert len([event async for event in manager.history(session_id)]) == 2


async def test_the_order_of_keys_is_no_other_payload(manager: SessionManager, session_id: str) -> None:
    """Two dicts that are equal to Python are the same payload, however deep they lie."""
    one = ToolCalled(name="book", arguments={"from": "ZRH", "to": [{"a": 1, "b": 2}]})
    two = ToolCalled(name="book", arguments={"to": [{"b": 2, "a": 1}], "from": "ZRH"})
    await manager.append(session_id, one, idempotency_key="turn-1")
    assert (await manager.append(session_id, two, idempotency_key="turn-1")).duplicate


async def test_a_key_holds_for_the_whole_life_of_the_session(
    manager: SessionManager, session_id: str, client: Redis
) -> None:
    """However many events came in between; the key has no time to live."""
    first = await manager.append(session_id, NoteAdded(text="a"), idempotency_key="turn-1")
    for _ in range(5):
        await manager.append(session_id, [NoteAdded(text="x")] * 1000)
    assert (await manager.append(session_id, NoteAdded(text="a"), idempotency_key="turn-1")).offset == first.offset
    assert await client.ttl(manager.store.keys.idempotency(session_id)) == -1


async def test_a_repeat_after_the_end_still_gives_the_first_result(manager: SessionManager, session_id: str) -> None:
    """A caller that never saw the answer learns that its event is there, though the session takes no more."""
    first = await manager.append(session_id, NoteAdded(text="a"), idempotency_key="turn-1")
    await manager.delete_session(session_id)
    again = await manager.append(session_id, NoteAdded(text="a"), idempotency_key="turn-1")
    assert (again.duplicate, again.offset) == (True, first.offset)


async def test_a_repeat_is_told_its_first_result_and_no_conflict(manager: SessionManager, session_id: str) -> None:
    """The version that it expected is past because of itself."""
    first = await manager.append(session_id, NoteAdded(text="a"), idempotency_key="turn-1", expected_version=1)
    again = await manager.append(session_id, NoteAdded(text="a"), idempotency_key="turn-1", expected_version=1)
    assert (again.duplicate, again.version) == (True, first.version)


async def test_a_refused_append_leaves_its_key_free(manager: SessionManager, session_id: str) -> None:
    """After a conflict the same key can be used on the version that the session has now."""
    await manager.append(session_id, NoteAdded(text="x"))
    with pytest.raises(Exception, match="version 2, not 1"):
        await manager.append(session_id, NoteAdded(text="a"), idempotency_key="turn-1", expected_version=1)
    appended = await manager.append(session_id, NoteAdded(text="a"), idempotency_key="turn-1", expected_version=2)
    assert not appended.duplicate


async def test_of_many_with_one_key_one_is_appended(
    manager: SessionManager, other: SessionManager, session_id: str
) -> None:
    """Also when they come at the same time from several processes."""
    outcomes = await asyncio.gather(
        *((manager, other)[n % 2].append(session_id, NoteAdded(text="a"), idempotency_key="k") for n in range(40))
    )
    assert [outcome.duplicate for outcome in outcomes].count(False) == 1
    assert {outcome.offset for outcome in outcomes} == {f"{outcomes[0].offset}"}
    assert len([event async for event in manager.history(session_id)]) == 2


async def test_a_key_belongs_to_one_session(manager: SessionManager, session_id: str) -> None:
    """Two sessions may use the same key."""
    another = await manager.create_session("user_1", "assistant")
    assert not (await manager.append(session_id, NoteAdded(text="a"), idempotency_key="k")).duplicate
    assert not (await manager.append(another.session_id, NoteAdded(text="b"), idempotency_key="k")).duplicate


async def test_keys_are_kept_only_where_they_are_used(manager: SessionManager, session_id: str, client: Redis) -> None:
    """A session that uses none pays for none."""
    await manager.append(session_id, NoteAdded(text="a"))
    assert await client.exists(manager.store.keys.idempotency(session_id)) == 0


@pytest.mark.parametrize("wrong", ["", "x" * 513, 7])
async def test_a_key_is_text_of_1_to_512_bytes(manager: SessionManager, session_id: str, wrong: object) -> None:
    """Anything else is refused before it is sent."""
    with pytest.raises(InvalidArgument, match="idempotency_key"):
        await manager.append(session_id, NoteAdded(text="a"), idempotency_key=wrong)  # type: ignore[arg-type]


async def test_creating_with_a_key_gives_the_same_session_again(manager: SessionManager, other: SessionManager) -> None:
    """So a create whose answer was lost is simply called again."""
    first = await manager.create_session("user_1", "assistant", {"a": 1}, idempotency_key="order-7")
    again = await other.create_session("user_1", "assistant", {"a": 1}, idempotency_key="order-7")
    assert again == first
    assert await manager.get_total_session_count() == 1


async def test_creating_with_a_key_and_other_arguments_is_an_error(manager: SessionManager) -> None:
    """The key belongs to the first arguments."""
    await manager.create_session("user_1", "assistant", {"a": 1}, idempotency_key="order-7")
    with pytest.raises(IdempotencyConflict):
        await manager.create_session("user_1", "assistant", {"a": 2}, idempotency_key="order-7")


async def test_creating_an_id_twice_without_a_key_is_an_error(manager: SessionManager) -> None:
    """Two callers who choose one id are not one caller who repeats itself."""
    await manager.create_session("user_1", "assistant", session_id="mine")
    with pytest.raises(SessionExists):
        await manager.create_session("user_1", "assistant", session_id="mine")
