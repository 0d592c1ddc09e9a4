"""G35: what is trimmed was archived, nobody needs it any more, and no reader is given less in silence (G34)."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import (
    HistoryTrimmed,
    MessageAdded,
    NoteAdded,
    Projection,
    SessionHeld,
    SessionManager,
    SessionNotFound,
    SessionTrimmed,
    acting,
)
from sessionstream.errors import ArchiveDamaged, ConflictError
from sessionstream.log.history import Window
from sessionstream.projection import Increment, Put, counters, view
from sessionstream.retention import trimming
from sessionstream.transfer import Wanted, export_events, export_messages, export_to_file, import_events
from sessionstream.transfer.event_lines import encode_line
from tests.entries import entry
from tests.keys import assert_no_ownerless_keys
from tests.retention.conftest import MakeManager, said, talk
from tests.sessions.waiting import until_past

Method = Callable[[SessionManager, str], Awaitable[Any]]


async def test_what_is_trimmed_is_in_the_archive_and_gone_from_the_stream(
    manager: SessionManager, session: str, folder: Path, client: Redis
) -> None:
    """The rest stays where it is, and one event tells what was done, by whom, and where it is."""
    before = [event async for event in manager.history(session)]
    with acting(actor="keeper"):
        done = await manager.retention.trim(session, folder, keep_events=3)
    assert (done.version, done.trimmed, done.removed, done.stopped_by) == (7, 7, 7, "")
    kept = await client.xrange(manager.store.keys.events(session))
    assert [identifier.decode() for identifier, _ in kept][:-1] == [event.offset for event in before[7:]]
    [told] = [event async for event in manager.history(session, from_version=11)]
    assert isinstance(told.data, SessionTrimmed)
    assert (told.actor, told.data.upto, told.data.archive) == ("keeper", before[6].offset, done.files[0].name)


READS: dict[str, tuple[Method, Method]] = {
    "from the beginning": (lambda m, s: said(m), lambda m, s: said(m, from_version=8)),
    "after an offset": (lambda m, s: _after(m, s, 6), lambda m, s: _after(m, s, 7)),
    "from a version": (lambda m, s: said(m, from_version=7), lambda m, s: said(m, from_version=8)),
    "up to a version": (lambda m, s: said(m, to_version=5), lambda m, s: said(m, from_version=8, to_version=9)),
    "backward": (lambda m, s: said(m, backward=True), lambda m, s: said(m, backward=True, limit=4)),
    "messages": (lambda m, s: m.messages(s), lambda m, s: m.messages(s, 3)),
    "messages up to": (lambda m, s: m.messages(s, 4), lambda m, s: m.messages(s, 2)),
    "pop": (lambda m, s: m.pop_messages(s, 4), lambda m, s: m.pop_messages(s, 3)),
    "as of a version": (lambda m, s: m.audit.as_of(s, version=6), lambda m, s: m.audit.as_of(s, version=7)),
    "resume": (lambda m, s: m.resume(s), lambda m, s: _saved_and_resumed(m, s)),
    "export": (lambda m, s: _exported(m, s), lambda m, s: m.get_session(s)),
}


async def _after(manager: SessionManager, session: str, version: int) -> list[int]:
    trimmed = await manager.store.server.call("HGET", manager.store.keys.head(session), "trimmed")
    return await said(manager, after=f"{trimmed.decode().partition('-')[0]}-{version}")


async def _saved_and_resumed(manager: SessionManager, session: str) -> Any:
    await said(manager, from_version=8)
    await manager.save_checkpoint(session, {"turn": 1}, offset=(await manager.audit.as_of(session, version=9)).offset)
    return (await manager.resume(session)).events


async def _exported(manager: SessionManager, session: str) -> list[bytes]:
    return [line async for line in export_messages(manager.store, [session])]


@pytest.mark.parametrize("name", READS)
async def test_who_needs_what_was_trimmed_is_told_so_and_nobody_else(
    manager: SessionManager, session: str, folder: Path, name: str
) -> None:
    """Never fewer events than there were, as if that were all; what lies behind the trim is read as ever."""
    needs, needs_not = READS[name]
    await manager.retention.trim(session, folder, keep_events=3)
    with pytest.raises(HistoryTrimmed) as told:
        await needs(manager, session)
    assert told.value.session_id == session
    assert told.value.first is not None
    assert told.value.first.endswith("-8")
    assert await needs_not(manager, session)


async def test_an_export_of_events_begins_with_the_first_that_is_kept(
    manager: SessionManager, session: str, folder: Path
) -> None:
    """Where somebody takes the error that says so; otherwise it is raised, as for an export of messages."""
    await manager.retention.trim(session, folder, keep_events=3)
    told: list[HistoryTrimmed] = []
    lines = [json.loads(line) async for line in export_events(manager.store, [session], trimmed=told.append)]
    assert [line["version"] for line in lines] == [8, 9, 10, 11]
    assert [one.session_id for one in told] == [session]
    with pytest.raises(HistoryTrimmed):
        await anext(export_events(manager.store, [session]))


async def test_an_export_of_a_range_that_was_trimmed_says_so(
    manager: SessionManager, session: str, folder: Path, tmp_path: Path, client: Redis
) -> None:
    """Also where nothing of the range is left; one that begins behind the trim lacks nothing."""
    last = [event async for event in manager.history(session)][-1]
    await until_past(client, last.at)
    await talk(manager, 1)
    later = [event async for event in manager.history(session)][-1]
    await manager.retention.trim(session, folder, upto=last.offset)
    for window, cut, items in (
        (Window(since=last.at), [session], 2),
        (Window(until=last.at), [session], 0),
        (Window(since=later.at), [], 2),
    ):
        wanted = Wanted("events", since=window.since, until=window.until)
        done = await export_to_file(manager.store, tmp_path / "out", wanted)
        assert (done.cut, done.items) == (cut, items)
        told: list[HistoryTrimmed] = []
        lines = [line async for line in export_events(manager.store, window=window, trimmed=told.append)]
        assert ([error.session_id for error in told], len(lines)) == (cut, items)


async def test_a_backward_reader_is_given_what_is_kept_before_it_is_told(
    manager: SessionManager, session: str, folder: Path
) -> None:
    """The newest events first; the error comes behind the oldest that is kept."""
    await manager.retention.trim(session, folder, keep_events=3)
    given = []
    with pytest.raises(HistoryTrimmed):
        async for event in manager.history(session, backward=True):
            given.append(event.version)
    assert given == [11, 10, 9, 8]


async def test_a_window_behind_the_trim_may_be_empty(manager: SessionManager, session: str, folder: Path) -> None:
    """That is no reason for an error."""
    await manager.retention.trim(session, folder, keep_events=0)
    last = [event async for event in manager.history(session, from_version=11)][-1]
    assert await said(manager, after=last.offset) == []
    assert await said(manager, from_version=12) == []
    assert await said(manager, from_version=11, to_version=4) == []
    assert await said(manager, since=last.at, from_version=11) == [11]
    with pytest.raises(HistoryTrimmed):
        await said(manager, until=last.at)


async def test_a_reader_in_the_middle_is_told_when_what_it_has_not_read_is_trimmed(
    manager: SessionManager, session: str, folder: Path
) -> None:
    """It never goes on behind the hole as if there were none."""
    await manager.append(session, [NoteAdded(text="x") for _ in range(5_000)])
    given = []
    with pytest.raises(HistoryTrimmed):
        async for event in manager.history(session):
            given.append(event.version)
            if event.version == 500:
                await manager.retention.trim(session, folder, keep_events=5)
    assert given == list(range(1, len(given) + 1))
    assert len(given) < 5_000


async def test_reads_that_need_no_history_are_as_before(manager: SessionManager, session: str, folder: Path) -> None:
    """The session, its state, its lists, its version; and it goes on."""
    before = await manager.get_session(session)
    await manager.retention.trim(session, folder)
    after = await manager.get_session(session)
    assert before is not None
    assert after is not None
    assert (after.metadata, after.state, after.created_at) == (before.metadata, before.state, before.created_at)
    assert after.version == 11
    assert [one.session_id for one in await manager.get_sessions_by_user("user_1")] == [session]
    await talk(manager, 2)
    assert await said(manager, from_version=11) == [11, 12, 13]
    await manager.delete_session(session)
    assert await said(manager, from_version=14) == [14]


@pytest.mark.parametrize("label", [None, "release"])
async def test_a_trim_never_passes_what_the_oldest_checkpoint_covers(
    manager: SessionManager, session: str, folder: Path, label: str | None
) -> None:
    """So every checkpoint that is kept can be resumed from; once it is deleted the trim goes on."""
    events = [event async for event in manager.history(session)]
    await manager.save_checkpoint(session, {"turn": 1}, offset=events[4].offset, label=label, checkpoint_id="one")
    await manager.save_checkpoint(session, {"turn": 2}, offset=events[8].offset, checkpoint_id="two")
    done = await manager.retention.trim(session, folder)
    assert (done.version, done.trimmed) == (12, 5)
    assert "checkpoint one" in done.stopped_by
    assert (label or "") in done.stopped_by
    await manager.delete_checkpoint(session, "two")
    assert (await manager.resume(session)).events[0].version == 6
    assert (await manager.retention.trim(session, folder)).trimmed == 5
    await manager.delete_checkpoint(session, "one")
    assert (await manager.retention.trim(session, folder)).trimmed == 15


async def test_a_checkpoint_that_can_be_resumed_from_no_more_keeps_nothing(
    manager: SessionManager, session: str, folder: Path
) -> None:
    """One that was saved behind a trim, by somebody who knew only what lay in front of it."""
    await manager.retention.trim(session, folder, keep_events=4)
    await manager.save_checkpoint(session, {}, offset="0-0")
    with pytest.raises(HistoryTrimmed):
        await manager.resume(session)
    assert (await manager.retention.trim(session, folder)).trimmed == 12


async def test_a_checkpoint_of_nothing_keeps_everything(manager: SessionManager, session: str, folder: Path) -> None:
    """Who resumes from it needs the whole history."""
    await manager.save_checkpoint(session, {}, offset="0-0", checkpoint_id="one")
    done = await manager.retention.trim(session, folder)
    assert (done.trimmed, done.removed) == (0, 0)
    assert await said(manager) == list(range(1, 12))


async def test_a_trim_never_passes_the_slowest_group(manager: SessionManager, session: str, folder: Path) -> None:
    """Nor what a group has parked; a group that is done with all keeps nothing."""
    other = await manager.create_session("user_1", "agent_1")
    async with manager.consumers.join("slow") as consumer:
        async for item in consumer:
            async with item:
                if item.event.session_id == session and item.event.version == 4:
                    break
    done = await manager.retention.trim(session, folder)
    assert done.trimmed == 4
    assert "slow" in done.stopped_by
    async with manager.consumers.join("slow") as consumer:
        async for item in consumer:
            async with item:
                if item.event.session_id == session and item.event.version == done.version:
                    break
    assert (await manager.retention.trim(session, folder)).trimmed >= 10
    assert await manager.session_exists(other.session_id)


async def test_a_trim_never_passes_what_a_group_has_parked(manager: SessionManager, session: str, folder: Path) -> None:
    """The session's later events are caught up from its own stream."""

    class Refused(Exception):
        """What the handler fails with."""

    async def handle(item: Any) -> None:
        if item.event.version == 4:
            raise Refused

    parked: list[Any] = []
    async with manager.consumers.join("strict", handle, attempts=1):
        while not parked:
            await asyncio.sleep(0.005)
            parked = await manager.consumers.parked("strict")
    done = await manager.retention.trim(session, folder)
    assert done.trimmed == 3
    assert "strict" in done.stopped_by


async def test_a_held_session_is_not_trimmed(manager: SessionManager, session: str, folder: Path) -> None:
    """It may be archived; once the hold is released it may be trimmed."""
    hold_id = await manager.retention.hold(session, "audit")
    assert (await manager.retention.archive(session, folder)).version == 11
    with pytest.raises(SessionHeld) as refused:
        await manager.retention.trim(session, folder)
    assert refused.value.reasons == ("audit",)
    assert len(await said(manager)) == 11
    await manager.retention.release(session, hold_id)
    assert (await manager.retention.trim(session, folder)).trimmed == 12


OVERTAKING: dict[str, Method] = {
    "hold": lambda m, s: m.retention.hold(s, "just now"),
    "checkpoint": lambda m, s: m.save_checkpoint(s, {}, offset="0-0"),
    "group": lambda m, s: _begin_group(m),
    "removal": lambda m, s: m.delete_session(s, purge=True),
    "adoption": lambda m, s: m.store.every_partition("HSET", m.store.keys.log, ":stamp", "another"),
}


async def _begin_group(manager: SessionManager) -> None:
    async with manager.consumers.join("newcomer"):
        pass


@pytest.mark.parametrize("name", OVERTAKING)
async def test_what_comes_between_the_look_and_the_trim_prevents_it(
    make_manager: MakeManager,
    manager: SessionManager,
    session: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    client: Redis,
    name: str,
) -> None:
    """The script decides by what is so at that moment: a hold, a checkpoint, a group, a removal, another writer."""
    other, look, overtaken = make_manager(), trimming.limit_of, []

    async def look_and_be_overtaken(store: Any, session_id: str, trimmed: int) -> Any:
        seen = await look(store, session_id, trimmed)
        if not overtaken:
            overtaken.append(await OVERTAKING[name](other, session))
        return seen

    monkeypatch.setattr(trimming, "limit_of", look_and_be_overtaken)
    before = await client.xrange(manager.store.keys.events(session))
    if name in ("checkpoint", "group"):
        assert (await manager.retention.trim(session, folder)).removed == 0
    else:
        with pytest.raises(Exception, match=r"held|not found|made with"):
            await manager.retention.trim(session, folder)
    after = await client.xrange(manager.store.keys.events(session))
    assert after[:10] == (before if name != "removal" else [])


async def test_appends_beside_it_do_not_hold_a_trim_up(
    make_manager: MakeManager, manager: SessionManager, session: str, folder: Path
) -> None:
    """However fast they come; none is lost, and none is refused."""
    other, going, count = make_manager(), True, 0

    async def append() -> None:
        nonlocal count
        while going:
            await asyncio.gather(*(other.append(session, NoteAdded(text="x")) for _ in range(20)))
            count += 20

    work = asyncio.create_task(append())
    trims = [await manager.retention.trim(session, folder) for _ in range(10)]
    going = False
    await work
    assert sum(done.removed for done in trims) == trims[-1].trimmed > 10
    events = [event async for event in manager.retention.replay(session, folder)]
    assert [event.version for event in events] == list(range(1, len(events) + 1))
    assert [event.type for event in events].count("note.added") == count


async def test_two_trimmers_at_once_do_it_once(
    make_manager: MakeManager, manager: SessionManager, session: str, folder: Path
) -> None:
    """Each is done, or is told that others were faster; nothing is removed that is in no archive."""
    await manager.append(session, [NoteAdded(text="x") for _ in range(500)])
    others = [make_manager() for _ in range(3)]
    done = await asyncio.gather(
        *(one.retention.trim(session, folder, keep_events=100) for one in [manager, *others]), return_exceptions=True
    )
    assert all(isinstance(one, ConflictError) or not isinstance(one, BaseException) for one in done), done
    versions = [event.version async for event in manager.retention.replay(session, folder)]
    assert versions == list(range(1, versions[-1] + 1))
    assert len(await said(manager, from_version=versions[-1] - 50)) == 51


async def test_a_trim_of_nothing_appends_nothing(manager: SessionManager, session: str, folder: Path) -> None:
    """Called again it does not trim the event that tells of the trim."""
    await manager.retention.trim(session, folder)
    version = (await said(manager, from_version=11))[-1]
    again = await manager.retention.trim(session, folder)
    assert (again.removed, again.trimmed) == (0, 10)
    assert (await said(manager, from_version=11))[-1] == version


async def test_a_trim_goes_in_steps(
    manager: SessionManager, session: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file's events are removed in a step of their own, so that no step takes the server long."""
    monkeypatch.setattr("sessionstream.retention.archiving._MOST_EVENTS", 3)
    done = await manager.retention.trim(session, folder)
    assert (len(done.files), done.removed) == (4, 10)
    assert await said(manager, from_version=11) == [11, 12, 13, 14]
    assert [event.version async for event in manager.retention.replay(session, folder)] == list(range(1, 15))


async def test_events_that_this_process_does_not_know_are_not_trimmed(
    make_manager: MakeManager, manager: SessionManager, session: str, folder: Path, client: Redis
) -> None:
    """Another process may make something of them, which would be missing in what stands for them."""
    key, last = manager.store.keys.events(session), [event async for event in manager.history(session)][-1]
    ms, _, version = last.offset.partition("-")
    offset = f"{ms}-{int(version) + 1}"
    await client.xadd(key, entry("note.added", '{"text":"x"}', version=9), id=offset)
    await client.hset(manager.store.keys.log(manager.store.keys.partition(session)), session, f"{offset} active  ")
    done = await manager.retention.trim(session, folder)
    assert (done.removed, "does not know" in done.stopped_by) == (0, True)


async def test_a_trimmed_session_is_rebuilt_from_its_base(
    manager: SessionManager, session: str, folder: Path, client: Redis
) -> None:
    """One and all; also where nothing is left of its head but what the log keeps there."""
    await manager.update_session_metadata(session, {"b": 2})
    await manager.retention.trim(session, folder)
    await talk(manager, 3)
    before = await manager.get_session(session)
    await manager.rebuild(session)
    head = manager.store.keys.head(session)
    fields = [field for field in await client.hkeys(head) if field != b"offset"]
    await client.hdel(head, *fields)
    await manager.rebuild()
    assert await manager.get_session(session) == before
    with pytest.raises(HistoryTrimmed):
        await said(manager)


async def test_without_a_base_that_fits_a_rebuild_is_refused(
    make_manager: MakeManager, manager: SessionManager, session: str, folder: Path
) -> None:
    """Other projections need the events that are gone: that is said before the namespace is theirs."""
    await manager.retention.trim(session, folder, keep_events=2)
    counting = Projection("counting")
    counting.on(MessageAdded)(lambda session_id, event: [Increment(counters("all"), "messages", 1)])
    other = make_manager(projections=[counting])
    with pytest.raises(HistoryTrimmed):
        await other.rebuild(adopt=True)
    await talk(manager, 1)
    await manager.rebuild()
    [damaged] = folder.rglob("*.jsonl.gz")
    damaged.write_bytes(damaged.read_bytes()[:-20])
    with pytest.raises(ArchiveDamaged):
        await other.rebuild(adopt=True, archive=folder)
    await talk(manager, 1)


async def test_with_the_archive_a_rebuild_adopts_other_projections(
    make_manager: MakeManager, manager: SessionManager, session: str, folder: Path, client: Redis
) -> None:
    """The events that are gone are folded from the files, once: what they make is kept for the next time."""
    await manager.retention.trim(session, folder, keep_events=2)
    counting = Projection("counting")
    total = counters("all")
    counting.on(MessageAdded)(lambda session_id, event: [Increment(total, "messages", 1)])
    other = make_manager(projections=[counting])
    await other.rebuild(adopt=True, archive=folder)
    key = other.store.keys.partition_place("counting", total, other.store.keys.partition(session))
    assert await client.hget(key, "messages") == b"9"
    shutil.rmtree(folder)
    await talk(other, 1)
    await other.rebuild()
    await other.rebuild(session)
    assert await client.hget(key, "messages") == b"10"


async def test_a_trimmed_session_is_removed_with_all_that_its_users_projections_keep(
    make_manager: MakeManager, folder: Path, client: Redis, namespace: str
) -> None:
    """Though the events that made it are gone."""
    counting = Projection("counting")
    total, last = counters("all"), view("last")
    counting.on(MessageAdded)(
        lambda session_id, event: [Increment(total, "messages", 1), Put(last, {"said": str(event.content)})]
    )
    manager = make_manager(projections=[counting], partitions=1)
    await manager.create_session("user_1", "agent_1", session_id="other")
    await manager.append("other", MessageAdded(role="user", content="Hi"))
    await manager.create_session("user_1", "agent_1", session_id="sess_kept")
    await talk(manager, 9)
    await manager.retention.trim("sess_kept", folder, keep_events=2)
    await talk(manager, 2)
    key = manager.store.keys.partition_place("counting", total, 0)
    assert await client.hget(key, "messages") == b"12"
    await manager.delete_session("sess_kept", purge=True)
    assert await client.hget(key, "messages") == b"1"
    await assert_no_ownerless_keys(client, namespace)
    with pytest.raises(SessionNotFound):
        await said(manager)


async def test_a_trimmed_session_is_not_brought_back_from_the_lines_of_its_archive(
    make_namespace: Callable[..., str],
    make_manager: MakeManager,
    manager: SessionManager,
    session: str,
    folder: Path,
) -> None:
    """What its events say is gone would be in the stream, and be removed by the next trim into another folder."""
    await manager.retention.trim(session, folder, keep_events=2)
    events = [event async for event in manager.retention.replay(session, folder)]
    lines = [encode_line(event, last=event is events[-1]) for event in events]
    other = make_manager(namespace=make_namespace())
    [refused] = (await import_events(other.store, lines)).failures
    assert (refused.line, "was trimmed" in str(refused)) == (len(lines), True)
    assert not await other.session_exists(session)
