"""A rebuild of what is damaged, or changes under its hands: it ends, and makes what it can of what is left."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis

from sessionstream import NoteAdded, SessionManager
from sessionstream.errors import NamespaceMismatch, Unavailable
from sessionstream.projection import view
from sessionstream.projections.directory import STATES
from sessionstream.rebuild.folding import Folding
from sessionstream.rebuild.partitions import SharedViews
from tests.projections.views import assert_folded, beside, erase, stored
from tests.rebuild.conftest import MakeManager, noting


@pytest.fixture
async def session_id(manager: SessionManager) -> str:
    """A session of three events."""
    session_id = (await manager.create_session("user", "agent", {"a": 1})).session_id
    await manager.append(session_id, NoteAdded(text="one"))
    await manager.append(session_id, NoteAdded(text="two"))
    return session_id


@pytest.fixture
def begin(manager: SessionManager) -> Callable[[str], Awaitable[SharedViews]]:
    """Begin a rebuild of the shared views of a session's partition, and stop before any session is folded."""

    async def begun(session_id: str) -> SharedViews:
        keys = manager.store.keys
        partition = keys.partition(session_id)
        shared = SharedViews(manager.store, partition)
        await shared.begin(await manager.store.server.call("HGET", keys.log(partition), ":feed"))
        return shared

    return begun


async def _folded(manager: SessionManager, session_id: str) -> Folding:
    folding = Folding(manager.store, session_id)
    await folding.catch_up()
    return folding


async def test_a_stream_that_lost_its_last_entry_is_rebuilt_from_the_others(
    manager: SessionManager, session_id: str, client: Redis
) -> None:
    """The head is beyond the stream's end and stays there, so that no version is given twice."""
    keys = manager.store.keys
    offset = await client.hget(keys.head(session_id), "offset")
    assert offset is not None
    await client.xdel(keys.events(session_id), offset)
    assert (await manager.rebuild()).events == 2
    await assert_folded(manager)
    assert b"two" not in (await stored(manager.store))[keys.place("noting", view("notes"), session_id)]
    assert await client.hget(keys.head(session_id), "offset") == offset
    assert (await manager.append(session_id, NoteAdded(text="three"))).version == 4


async def test_an_entry_that_was_written_past_the_log_is_passed_over(
    manager: SessionManager, session_id: str, client: Redis
) -> None:
    """Its id is none that the log gives, and the head knows nothing of it."""
    await client.xadd(manager.store.keys.events(session_id), {"garbage": "1"})
    rebuilt = await manager.rebuild()
    assert (rebuilt.events, rebuilt.unreadable) == (4, 1)
    await assert_folded(manager)


async def test_a_lost_head_is_made_again(manager: SessionManager, session_id: str, client: Redis) -> None:
    """The stream tells how far the session is, so that its next event follows the last one."""
    before = await client.hgetall(manager.store.keys.head(session_id))
    await client.delete(manager.store.keys.head(session_id))
    await manager.rebuild()
    assert await client.hgetall(manager.store.keys.head(session_id)) == before
    assert (await manager.append(session_id, NoteAdded(text="three"))).version == 4
    await assert_folded(manager)


async def test_a_session_of_a_clock_that_was_ahead_is_rebuilt(
    manager: SessionManager, session_id: str, client: Redis
) -> None:
    """Its creation lies in the future."""
    registry = manager.store.keys.registry(manager.store.keys.partition(session_id))
    await client.zadd(registry, {session_id: 2**43})
    before = await assert_folded(manager)
    await erase(manager.store)
    await manager.rebuild()
    assert await stored(manager.store) == before


async def test_what_a_trimmed_feed_no_longer_tells_is_found(
    manager: SessionManager, session_id: str, client: Redis, begin: Callable[[str], Awaitable[SharedViews]]
) -> None:
    """Positions have no gaps, so a trim is seen; then the registry is asked."""
    shared = await begin(session_id)
    await shared.take(session_id, await _folded(manager, session_id))
    await manager.append(session_id, NoteAdded(text="three"))
    partition = manager.store.keys.partition(session_id)
    later = next(name for name in map(str, range(100)) if manager.store.keys.partition(name) == partition)
    await manager.create_session("user", "later agent", session_id=later)
    await client.xtrim(manager.store.keys.feed(partition), maxlen=0)
    await shared.put_in_place()
    await assert_folded(manager)


async def test_the_later_of_two_rebuilds_takes_over(
    manager: SessionManager, session_id: str, begin: Callable[[str], Awaitable[SharedViews]]
) -> None:
    """The earlier one ends with an error and changes nothing any more, so that no half of an index is put in place."""
    earlier, later = await begin(session_id), await begin(session_id)
    for shared in (earlier, later):
        await shared.take(session_id, await _folded(manager, session_id))
    with pytest.raises(Unavailable, match="another rebuild"):
        await earlier.put_in_place()
    await assert_folded(manager)
    await later.put_in_place()
    await assert_folded(manager)
    assert await beside(manager.store) == []


async def test_a_rebuild_ends_when_others_adopt_the_namespace(
    manager: SessionManager,
    make_manager: MakeManager,
    session_id: str,
    begin: Callable[[str], Awaitable[SharedViews]],
) -> None:
    """Its views are those of projections that are no longer the namespace's."""
    folding = await _folded(manager, session_id)
    adopting = make_manager(noting(2))
    await adopting.rebuild(adopt=True)
    before = await assert_folded(adopting)
    with pytest.raises(NamespaceMismatch):
        await folding.put_in_place()
    with pytest.raises(NamespaceMismatch):
        await (await begin(session_id)).put_in_place()
    assert await stored(manager.store) == before
    await adopting.rebuild()


async def test_an_adoption_marks_partitions_that_nobody_has_written_to(
    manager: SessionManager, make_manager: MakeManager, session_id: str, client: Redis
) -> None:
    """So no writer that looked at the first partition before can mark one for the old projections."""
    adopting = make_manager(noting(2))
    await adopting.rebuild(adopt=True)
    keys = manager.store.keys
    stamps = {await client.hget(keys.log(partition), ":stamp") for partition in range(keys.partitions)}
    assert stamps == {adopting.store.stamp.encode()}


async def test_a_session_of_the_same_id_begins_anew(manager: SessionManager, session_id: str) -> None:
    """What was folded of the removed one is no part of it."""
    folding = await _folded(manager, session_id)
    await manager.delete_session(session_id, purge=True)
    await manager.create_session("another", "agent 2", session_id=session_id)
    before = await assert_folded(manager)
    await folding.put_in_place()
    assert await stored(manager.store) == before


async def test_an_index_that_nobody_is_in_any_more_is_emptied(
    manager: SessionManager, session_id: str, client: Redis
) -> None:
    """A member that should not be there goes, though the rebuild puts nobody in."""
    await manager.delete_session(session_id)
    before = await assert_folded(manager)
    key = manager.store.keys.partition_place("directory", STATES["idle"], manager.store.keys.partition(session_id))
    agents = key.replace(":state:idle", ":agent:agent")
    for index in (key, agents):
        await client.zadd(index, {"nobody": 1})
    await manager.rebuild()
    assert await stored(manager.store) == before


async def test_a_view_of_ten_thousand_fields_is_rebuilt(manager: SessionManager, session_id: str) -> None:
    """In one step, though no Lua call takes as many values."""
    await manager.append(session_id, [NoteAdded(text=f"{number} é") for number in range(10_000)])
    before = await assert_folded(manager)
    assert len(before[manager.store.keys.place("noting", view("notes"), session_id)]) > 10_000
    await erase(manager.store)
    await manager.rebuild()
    assert await stored(manager.store) == before
