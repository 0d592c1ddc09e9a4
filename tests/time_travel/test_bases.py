"""G31: base snapshots are made beside the appends, are small, and are relied on only where they are right."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import MessageAdded, Projection, SessionManager
from sessionstream.bases import fold_until, keep, nearest, write
from sessionstream.bases.encoding import BaseName, apply_base, encode_base
from sessionstream.bases.reading import base_names
from sessionstream.errors import HistoryTrimmed
from sessionstream.fold import Spot, Views
from sessionstream.projection import Increment, Operation, Put, ranking, view
from tests.sessions.waiting import until
from tests.time_travel.conftest import BytesRead, OpenManager, bases_of, settled, talk


def counting(version: int = 1) -> Projection:
    """A user's projection that looks at every message."""
    projection = Projection("counting", version)

    @projection.on(MessageAdded)
    def counted(session_id: str, message: MessageAdded) -> Iterable[Operation]:
        yield Increment(view("messages"), "count", 1)

    return projection


def hoarding() -> Projection:
    """A user's projection that keeps every message as it is, so that its views are as large as the events."""
    projection = Projection("hoarding")

    @projection.on(MessageAdded)
    def hoarded(session_id: str, message: MessageAdded) -> Iterable[Operation]:
        yield Put(view("messages"), {message.content: message.content})

    return projection


async def test_bases_are_made_beside_the_appends(manager: SessionManager, session_id: str) -> None:
    """One for each thousand events or so, without anybody asking."""
    for _ in range(5):
        await talk(manager, session_id, 1_024)
        await settled(manager)
    made = [int(name.offset.partition("-")[2]) for name in await bases_of(manager, session_id)]
    assert len(made) == 5
    assert all(later - earlier >= 1_000 for earlier, later in zip(made[1:], made, strict=False))


async def test_a_busy_session_is_not_disturbed(manager: SessionManager, session_id: str, client: Redis) -> None:
    """Its bases come when it has become calm, by themselves."""
    key = manager.store.keys.bases(session_id)
    for _ in range(3):
        await talk(manager, session_id, 1_024)
        assert not await client.exists(key)
    await until(lambda: client.hlen(key))


async def test_a_manager_that_is_closed_leaves_no_base_unmade(
    manager: SessionManager, open_manager: OpenManager, session_id: str
) -> None:
    """A process that comes, appends and goes has its sessions' bases made, too."""
    async with open_manager() as other:
        await talk(other, session_id, 2_100)
    assert len(await base_names(manager.store, session_id)) == 2


async def test_a_short_session_has_none(manager: SessionManager, session_id: str) -> None:
    """It is folded from its beginning as fast."""
    await talk(manager, session_id, 500)
    assert await bases_of(manager, session_id) == []


async def test_a_moment_is_folded_from_the_base_before_it(
    manager: SessionManager, session_id: str, bytes_read: BytesRead
) -> None:
    """Of a long session a page is read, not all of it."""
    for _ in range(6):
        await talk(manager, session_id, 1_024)
        await settled(manager)
    await bytes_read()
    await manager.audit.as_of(session_id, version=6_100)
    with_bases = await bytes_read()
    await manager.store.server.call("DEL", manager.store.keys.bases(session_id))
    await bytes_read()
    await manager.audit.as_of(session_id, version=6_100)
    assert with_bases * 5 < await bytes_read()


async def test_a_reader_makes_none(manager: SessionManager, session_id: str) -> None:
    """Looking back changes nothing."""
    await talk(manager, session_id, 1_100)
    await settled(manager)
    await manager.store.server.call("DEL", manager.store.keys.bases(session_id))
    await manager.audit.as_of(session_id, version=1_050)
    assert await bases_of(manager, session_id) == []


async def _damage(client: Redis, key: str, name: BaseName) -> None:
    value = await client.hget(key, name.field())
    assert value is not None
    await client.hset(key, name.field(), value[:-1] + bytes([value[-1] ^ 1]))


async def _cut(client: Redis, key: str, name: BaseName) -> None:
    value = await client.hget(key, name.field())
    assert value is not None
    await client.hset(key, name.field(), value[:20])


async def _rename(client: Redis, key: str, name: BaseName) -> None:
    value = await client.hget(key, name.field())
    assert value is not None
    ms, _, version = name.offset.partition("-")
    await client.hset(key, name._replace(offset=f"{ms}-{int(version) + 5}").field(), value)
    await client.hdel(key, name.field())


@pytest.mark.parametrize("harm", [_damage, _cut, _rename], ids=["a bit", "cut short", "another offset"])
async def test_a_damaged_base_is_passed_over(
    manager: SessionManager, session_id: str, client: Redis, harm: Callable[[Redis, str, BaseName], Awaitable[None]]
) -> None:
    """The one before it is used, or none."""
    await talk(manager, session_id, 2_500)
    await manager.update_session_metadata(session_id, {"late": True})
    expected = await manager.audit.as_of(session_id, version=2_502)
    names = await bases_of(manager, session_id)
    for name in names:
        await harm(client, manager.store.keys.bases(session_id), name)
        assert await manager.audit.as_of(session_id, version=2_502) == expected
    assert await nearest(manager.store, session_id) is None


async def test_another_sessions_base_is_passed_over(manager: SessionManager, session_id: str, client: Redis) -> None:
    """Also under the same name."""
    other = (await manager.create_session("user_2", "assistant")).session_id
    await talk(manager, session_id, 1_100)
    await talk(manager, other, 1_100)
    keys = manager.store.keys
    (mine,), (theirs,) = await bases_of(manager, session_id), await bases_of(manager, other)
    value = await client.hget(keys.bases(other), theirs.field())
    assert value is not None
    await client.hset(keys.bases(session_id), mine._replace(size=theirs.size).field(), value)
    await client.hdel(keys.bases(session_id), mine.field())
    assert await nearest(manager.store, session_id) is None
    assert (await manager.audit.as_of(session_id, version=1_100)).session.user_id == "user_1"


async def test_a_base_of_another_version_of_a_projection_is_passed_over(open_manager: OpenManager) -> None:
    """So is one that a new projection had no part in; one that was made with more projections serves all the same."""
    made_with, newer = open_manager(projections=[counting(1)]), open_manager(projections=[counting(2)])
    more, fewer = open_manager(projections=[counting(1), hoarding()]), open_manager()
    session_id = (await made_with.create_session("user_1", "assistant")).session_id
    await talk(made_with, session_id, 1_500)
    assert len(await bases_of(made_with, session_id)) == 1
    assert await nearest(newer.store, session_id) is None
    assert await nearest(more.store, session_id) is None
    mine, theirs = await nearest(made_with.store, session_id), await nearest(fewer.store, session_id)
    assert mine is not None
    assert theirs is not None
    assert {spot.projection for spot in mine.views.hashes} == {"", "counting"}
    assert {spot.projection for spot in theirs.views.hashes} == {""}


async def test_a_rebuild_with_new_projections_makes_bases_anew(open_manager: OpenManager) -> None:
    """Those of the old projections leave with it."""
    before, after = open_manager(projections=[counting(1)]), open_manager(projections=[counting(2)])
    session_id = (await before.create_session("user_1", "assistant")).session_id
    await talk(before, session_id, 3_000)
    await settled(before)
    await after.rebuild(adopt=True)
    assert [name.projections[-1] for name in await bases_of(after, session_id)] == ["counting:2"] * 3


async def test_bases_that_were_lost_are_made_anew_by_a_rebuild(manager: SessionManager, session_id: str) -> None:
    """Also by one of that session alone."""
    await talk(manager, session_id, 3_000)
    await settled(manager)
    await manager.store.server.call("DEL", manager.store.keys.bases(session_id))
    await manager.rebuild(session_id)
    assert len(await bases_of(manager, session_id)) == 3


async def test_a_session_that_is_removed_takes_its_bases_with_it(
    manager: SessionManager, session_id: str, client: Redis
) -> None:
    """One that is still being made is refused then, also where the id is used again."""
    await talk(manager, session_id, 1_100)
    await settled(manager)
    folded = await fold_until(manager.store, session_id)
    await manager.delete_session(session_id, purge=True)
    key = manager.store.keys.bases(session_id)
    assert not await write(manager.store, folded)
    assert not await client.exists(key)
    await manager.create_session("user_2", "assistant", session_id=session_id)
    assert not await write(manager.store, folded)
    assert not await client.exists(key)


async def test_a_session_that_is_removed_before_its_bases_are_made_needs_none(
    manager: SessionManager, session_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    """That is no failure, and nobody is warned."""
    await talk(manager, session_id, 2_000)
    await manager.delete_session(session_id, purge=True)
    assert await bases_of(manager, session_id) == []
    assert caplog.records == []


async def test_a_writer_of_other_projections_keeps_none(open_manager: OpenManager, session_id: str) -> None:
    """What it folds is not what the namespace's views are."""
    stranger = open_manager(projections=[counting()])
    folded = await fold_until(stranger.store, session_id)
    assert not await write(stranger.store, folded)
    assert await bases_of(stranger, session_id) == []


@pytest.mark.parametrize("unreadable", [{"message.added": "x" * 22 + "{"}, {"message.added@9": "x" * 22 + "{}"}])
async def test_no_base_holds_what_another_process_may_read_otherwise(
    open_manager: OpenManager, client: Redis, unreadable: dict[str, str]
) -> None:
    """An entry that this process cannot read ends its bases: who can would fold something else."""
    manager = open_manager(projections=[counting()])
    session_id = (await manager.create_session("user_1", "assistant")).session_id
    manager.store.milestones.clear()
    await talk(manager, session_id, 500)
    head = await manager.store.head(session_id)
    last = head[0][b"offset"].decode()
    await client.xadd(manager.store.keys.events(session_id), unreadable, id=f"{last.partition('-')[0]}-502")
    log = manager.store.keys.log(manager.store.keys.partition(session_id))
    gate = await client.hget(log, session_id)
    assert gate is not None
    await client.hset(log, session_id, gate.replace(b"-501 ", b"-502 "))
    await talk(manager, session_id, 1_500)
    folded = await fold_until(manager.store, session_id)
    assert (folded.version, folded.sure) == (2_002, False)
    assert not await write(manager.store, folded)
    assert await keep(manager.store, session_id, folded.offset) == 0


@pytest.mark.parametrize("projection", [None, counting(), hoarding()], ids=["built-in", "small", "as large as events"])
async def test_the_bases_of_a_session_are_a_small_share_of_it(
    open_manager: OpenManager, client: Redis, projection: Projection | None
) -> None:
    """An eighth of its events at most; where its views are as large as they are, about as much as these views."""
    manager = open_manager(projections=[projection] if projection else [])
    session_id = (await manager.create_session("user_1", "assistant")).session_id
    checkpoints = 0
    for turn in range(12):
        await manager.append(session_id, [MessageAdded(role="user", content=f"{turn} {n} " * 20) for n in range(1_024)])
        await settled(manager)
        for _ in range(20):
            await manager.save_checkpoint(session_id, {"turn": turn}, label="between")
            checkpoints += 1
    names = await bases_of(manager, session_id)
    held = sum(name.size for name in names)
    assert held == sum([len(value) for value in await client.hvals(manager.store.keys.bases(session_id))])
    share = held / (await fold_until(manager.store, session_id)).weight
    if projection is not None and projection.name == "hoarding":
        assert share < 1.25
    else:
        assert share < 1 / 8
        assert len(names) > 3


async def _trimmed(manager: SessionManager, session_id: str, *, pinned: bool) -> str:
    """Remove a session's first events, behind a base if wanted; the offset of the first one that is left."""
    events = [one async for one in manager.history(session_id, from_version=700, to_version=701)]
    if pinned:
        assert await write(manager.store, await fold_until(manager.store, session_id, events[0].offset), pinned=True)
    await manager.store.server.call("XTRIM", manager.store.keys.events(session_id), "MINID", events[1].offset)
    return events[1].offset


async def test_a_trimmed_session_is_folded_from_the_base_at_the_trim(manager: SessionManager, session_id: str) -> None:
    """From there on it is as it was; of what lies before, only the base's own moment is known."""
    manager.store.milestones.clear()
    await manager.update_session_metadata(session_id, {"early": True})
    await talk(manager, session_id, 900)
    await manager.update_session_metadata(session_id, {"late": True})
    versions = (700, 701, 850, 903)
    before = [await manager.audit.as_of(session_id, version=version) for version in versions]
    first = await _trimmed(manager, session_id, pinned=True)
    assert [await manager.audit.as_of(session_id, version=version) for version in versions] == before
    for moment in (2, 699, before[0].session.created_at):
        with pytest.raises(HistoryTrimmed) as refused:
            await manager.audit.as_of(session_id, moment)
        assert (refused.value.session_id, refused.value.first) == (session_id, first)


async def test_a_trimmed_session_without_a_base_is_never_folded_from_what_is_left(
    manager: SessionManager, session_id: str
) -> None:
    """Rather nothing than something else."""
    manager.store.milestones.clear()
    await talk(manager, session_id, 900)
    await _trimmed(manager, session_id, pinned=False)
    with pytest.raises(HistoryTrimmed):
        await manager.audit.as_of(session_id, version=850)


async def test_a_base_before_a_trimmed_stretch_does_not_stand_for_it(manager: SessionManager, session_id: str) -> None:
    """What happened behind it is gone, so nobody knows what was known then."""
    manager.store.milestones.clear()
    await talk(manager, session_id, 900)
    early = await anext(manager.history(session_id, from_version=100))
    assert await write(manager.store, await fold_until(manager.store, session_id, early.offset))
    late = await anext(manager.history(session_id, from_version=400))
    await _trimmed(manager, session_id, pinned=True)
    assert (await manager.audit.as_of(session_id, early.offset)).version == 100
    for moment in (400, late.offset):
        with pytest.raises(HistoryTrimmed):
            await manager.audit.as_of(session_id, moment)


async def test_a_pinned_base_is_never_replaced(open_manager: OpenManager) -> None:
    """Not by one at the same offset, and not by other projections."""
    before, after = open_manager(projections=[counting(1)]), open_manager(projections=[counting(2)])
    session_id = (await before.create_session("user_1", "assistant")).session_id
    await talk(before, session_id, 100)
    folded = await fold_until(before.store, session_id)
    assert await write(before.store, folded, pinned=True)
    assert await write(before.store, folded)
    await after.rebuild(adopt=True)
    assert await write(after.store, await fold_until(after.store, session_id))
    assert [name.pinned for name in await bases_of(after, session_id)].count(True) == 1


def _name(**given: Any) -> BaseName:
    whole = {"offset": "17-3", "weight": 5, "size": 0, "pinned": False, "parent": None, "projections": ("counting:1",)}
    return BaseName(**{**whole, **given})


def _views(**content: float) -> Views:
    views = Views("é")
    views.head.update({b"a": b"\xff\0", b"": b"", b"count": b"%d" % len(content)})
    views.hashes[Spot("counting", view("messages"))] = {b"x": b"1"}
    views.sets[Spot("counting", ranking("r"))] = {name.encode(): score for name, score in content.items()}
    views.sets[Spot("counting", ranking("empty"))] = {}
    return views


def _full(views: Views) -> dict[Spot, Any]:
    return {spot: content for spot, content in {**views.hashes, **views.sets}.items() if content}


def test_the_views_read_back_as_they_were() -> None:
    """Scores and texts of every kind, and nothing of nothing; what differs from a base before it, too."""
    first, second = _views(m=float("inf"), n=-0.1), _views(m=2.0**60, o=1)
    whole, value = encode_base(first, _name())
    apart, difference = encode_base(second, _name(offset="17-4", parent="17-3"), first)
    read = Views("é")
    for name, stored, expected in ((whole, value, first), (apart, difference, second)):
        assert BaseName.parse(name.field().encode()) == name
        assert name.size == len(stored)
        assert apply_base(read, name, stored, [counting()])
        assert _full(read) == _full(expected)
    assert not apply_base(Views("e"), whole, value, [counting()])
    assert not apply_base(Views("é"), whole, difference, [counting()])


async def _large(manager: SessionManager, session_id: str) -> list[BaseName]:
    """A session whose views are so large that most of its bases hold what differs from another one."""
    for turn in range(5):
        for _ in range(150):
            await manager.save_checkpoint(session_id, {"turn": turn})
        await talk(manager, session_id, 900)
        await settled(manager)
    return await bases_of(manager, session_id)


async def test_large_views_are_not_kept_again_and_again(manager: SessionManager, session_id: str) -> None:
    """A base of them holds what differs from the one before it; a moment is near to one all the same."""
    names = await _large(manager, session_id)
    assert len(names) >= 4
    apart = [name for name in names if name.parent is not None]
    assert len(apart) >= 2
    whole = [name for name in names if name.parent is None]
    assert max(name.size for name in apart) < 2 * min(name.size for name in whole)
    last = (await fold_until(manager.store, session_id)).version
    found = [await manager.audit.as_of(session_id, version) for version in range(2, last, 97)]
    await manager.store.server.call("DEL", manager.store.keys.bases(session_id))
    assert [await manager.audit.as_of(session_id, version) for version in range(2, last, 97)] == found


async def test_a_base_whose_parent_is_gone_is_passed_over(
    manager: SessionManager, session_id: str, client: Redis
) -> None:
    """So is one whose parent is damaged; what comes next is a whole one."""
    names = await _large(manager, session_id)
    apart = next(name for name in names if name.parent is not None)
    parent = next(name for name in names if name.offset == apart.parent)
    key = manager.store.keys.bases(session_id)
    await _damage(client, key, parent)
    found = await nearest(manager.store, session_id, apart.offset)
    assert found is None or int(found.offset.partition("-")[2]) < int(parent.offset.partition("-")[2])
    await client.hdel(key, *(name.field() for name in names if name != apart))
    assert await nearest(manager.store, session_id) is None
    assert await keep(manager.store, session_id, (await fold_until(manager.store, session_id)).offset) > 0
    assert await nearest(manager.store, session_id) is not None
