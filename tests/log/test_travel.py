"""How appends travel: together where they can, alone where they must, each in one script call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from redis.asyncio import Redis

from sessionstream import MetadataUpdated, NoteAdded, SessionManager
from tests.log.conftest import CountCommands


async def _sessions(manager: SessionManager, count: int) -> list[str]:
    made = await asyncio.gather(*(manager.create_session("user_1", "assistant") for _ in range(count)))
    return [session.session_id for session in made]


async def test_an_append_is_one_script_call(manager: SessionManager, count_commands: CountCommands) -> None:
    """One round trip, whatever it writes."""
    [session_id] = await _sessions(manager, 1)
    await count_commands()
    await manager.append(session_id, NoteAdded(text="x"), idempotency_key="k")
    await manager.append(session_id, [NoteAdded(text="x")] * 100, expected_version=2)
    ran = await count_commands()
    assert ran["evalsha"] == 2
    assert ran["xadd"] == 101 + 2


async def test_appends_of_one_turn_travel_together(
    open_manager: Callable[..., SessionManager], count_commands: CountCommands
) -> None:
    """At most 64 of them in one call; the server sees few calls and all of the events."""
    manager = open_manager(partitions=1)
    ids = await _sessions(manager, 150)
    await count_commands()
    await asyncio.gather(*(manager.append(session_id, NoteAdded(text="x")) for session_id in ids))
    ran = await count_commands()
    assert ran["evalsha"] == 3
    assert ran["xadd"] == 150 + 3


async def test_large_appends_travel_in_several_calls(
    open_manager: Callable[..., SessionManager], count_commands: CountCommands
) -> None:
    """About 256 KiB in each, so that none keeps the server for long."""
    manager = open_manager(partitions=1)
    ids = await _sessions(manager, 10)
    await count_commands()
    await asyncio.gather(*(manager.append(session_id, NoteAdded(text="x" * 100_000)) for session_id in ids))
    assert (await count_commands())["evalsha"] == 5


async def test_a_busy_session_batches_by_itself(manager: SessionManager, count_commands: CountCommands) -> None:
    """What is appended while a call is under way waits, and leaves together."""
    [session_id] = await _sessions(manager, 1)
    await count_commands()
    first = asyncio.create_task(manager.append(session_id, NoteAdded(text="first")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    rest = [asyncio.create_task(manager.append(session_id, NoteAdded(text=str(number)))) for number in range(50)]
    await asyncio.gather(first, *rest)
    assert (await count_commands())["evalsha"] == 2
    texts = [event.data.text async for event in manager.history(session_id, types=[NoteAdded])]
    assert texts == ["first", *(str(number) for number in range(50))]


async def test_different_partitions_do_not_wait_for_each_other(
    manager: SessionManager, count_commands: CountCommands
) -> None:
    """One call for each partition, all in one write."""
    ids = await _sessions(manager, 64)
    partitions = {manager.store.keys.partition(session_id) for session_id in ids}
    await count_commands()
    await asyncio.gather(*(manager.append(session_id, NoteAdded(text="x")) for session_id in ids))
    assert (await count_commands())["evalsha"] == len(partitions)


async def test_many_events_and_many_fields_fit_into_one_call(manager: SessionManager) -> None:
    """More values than Lua hands over at once."""
    [session_id] = await _sessions(manager, 1)
    values = {f"key {number}": number for number in range(12_000)}
    await manager.update_session_metadata(session_id, values)
    await manager.update_session_metadata(session_id, unset=[key for key in values if key.endswith("7")])
    session = await manager.get_session(session_id)
    assert session is not None
    assert session.metadata == {key: value for key, value in values.items() if not key.endswith("7")}
    [first, second] = [event async for event in manager.history(session_id, types=[MetadataUpdated])]
    assert len(first.data.set) == 12_000
    assert len(second.data.unset) == 1_200


async def test_a_sliding_time_to_live_costs_a_call_once_in_a_while_and_never_an_event(
    open_manager: Callable[..., SessionManager], client: Redis
) -> None:
    """The first append of a process learns that it slides; order and number stay as they were called."""
    manager = open_manager(ttl=60, extend_on="append")
    created = await manager.create_session("user_1", "assistant")
    appends = [manager.append(created.session_id, NoteAdded(text=str(number))) for number in range(30)]
    results = await asyncio.gather(*appends)
    assert [result.version for result in results] == list(range(2, 32))
    texts = [event.data.text async for event in manager.history(created.session_id, types=[NoteAdded])]
    assert texts == [str(number) for number in range(30)]
    session = await manager.get_session(created.session_id)
    assert session is not None
    assert session.expires_at is not None
    last_ms = int(results[-1].offset.split("-")[0])
    assert int(session.expires_at.timestamp() * 1000) == last_ms + 60_000


@pytest.mark.parametrize("partitions", [1, 16])
async def test_a_thousand_callers_at_once(open_manager: Callable[..., SessionManager], partitions: int) -> None:
    """Creating, appending and reading side by side: everyone gets their own."""
    manager = open_manager(partitions=partitions)

    async def one(number: int) -> tuple[int, int, object]:
        session = await manager.create_session(f"user_{number % 7}", "assistant", {"number": number})
        appended = await manager.append(session.session_id, NoteAdded(text=str(number)))
        read = await manager.get_session(session.session_id)
        assert read is not None
        return appended.version, read.version, read.metadata["number"]

    assert await asyncio.gather(*map(one, range(1_000))) == [(2, 2, number) for number in range(1_000)]
    assert await manager.get_total_session_count() == 1_000
