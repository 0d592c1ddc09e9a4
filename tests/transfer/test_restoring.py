"""G30: an export of events brings sessions back as they were."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from redis.asyncio import Redis

from sessionstream import NoteAdded, Projection, SessionManager
from sessionstream.errors import InvalidImportLine, NamespaceMismatch
from sessionstream.log.feed import pointers_of
from sessionstream.log.store import Store
from sessionstream.projection import (
    AT,
    OFFSET,
    VERSION,
    Add,
    Increment,
    Operation,
    Put,
    Remove,
    Unset,
    counters,
    index,
    ranking,
    view,
)
from sessionstream.transfer import import_events, staging
from sessionstream.transfer.event_lines import read_line
from tests.sessions.waiting import until_past
from tests.transfer.conftest import MakeManager
from tests.transfer.worlds import STEPS, Step, assert_views_are_folds, content_of, exported, take_step

pytestmark = pytest.mark.guarantee


@settings(max_examples=25)
@given(steps=STEPS)
async def test_what_was_exported_comes_back_as_it_was(make_manager: MakeManager, steps: list[Step]) -> None:
    """Every entry byte for byte, every view, every moment; into another number of partitions."""
    one, other = make_manager(partitions=5), make_manager(partitions=3)
    beginning: list[Step] = [("create", number, "x") for number in range(4)]
    for step in [*beginning, *steps]:
        await take_step(one, step)
    lines = await exported(one.store)
    done = await import_events(other.store, lines)
    assert done.failures == []
    assert await content_of(other) == await content_of(one)
    await assert_views_are_folds(other.store)
    assert await exported(other.store) == lines
    again = await import_events(other.store, lines)
    assert (again.created, again.unchanged, again.failures) == (0, done.created, [])
    assert await exported(other.store) == lines


@pytest.fixture
async def past(manager: SessionManager) -> list[bytes]:
    """The lines of two sessions; of the one that is called s, five events and two checkpoints."""
    await manager.create_session("u", "a", {"k": 1}, session_id="s", ttl=3600)
    await manager.append("s", [NoteAdded(text="one"), NoteAdded(text="two")])
    await manager.save_checkpoint("s", {"turn": 1}, checkpoint_id="c1")
    await manager.save_checkpoint("s", {"turn": 2}, checkpoint_id="c2", label="ü")
    await manager.create_session("u", "a", session_id="t")
    return await exported(manager.store)


@pytest.fixture
def other(make_manager: MakeManager) -> SessionManager:
    """Where to."""
    return make_manager(partitions=3)


async def test_a_restored_session_goes_on(past: list[bytes], other: SessionManager) -> None:
    """The next append is version n + 1, and views follow it."""
    await import_events(other.store, past)
    appended = await other.append("s", NoteAdded(text="three"), expected_version=5)
    assert appended.version == 6
    await other.update_session_metadata("s", {"k": 2})
    session = await other.get_session("s")
    assert session is not None
    assert (session.version, session.metadata) == (7, {"k": 2})
    await assert_views_are_folds(other.store)


async def test_checkpoints_come_back_with_their_data(past: list[bytes], other: SessionManager) -> None:
    """So a session is resumed where it stood."""
    done = await import_events(other.store, past)
    assert (done.created, done.events, done.checkpoints, done.bodiless) == (2, 6, 2, [])
    resumed = await other.resume("s")
    assert resumed.checkpoint is not None
    assert (resumed.checkpoint.data, resumed.checkpoint.label) == ({"turn": 2}, "ü")


async def test_the_feed_tells_of_a_restored_session(past: list[bytes], other: SessionManager) -> None:
    """Of all its events, at positions without a gap; so whoever follows all gets them."""
    await import_events(other.store, past)
    store, told = other.store, dict[str, int]()
    for partition in range(store.keys.partitions):
        entries = await store.server.call("XRANGE", store.keys.feed(partition), "-", "+")
        pointers = [pointer for entry in entries for pointer in pointers_of(entry)]
        assert [pointer.number for pointer in pointers] == list(range(1, len(pointers) + 1))
        told |= {pointer.session_id: pointer.events for pointer in pointers}
    assert told == {"s": 5, "t": 1}


async def test_a_long_session_is_told_of_in_pieces_that_an_append_could_be(
    manager: SessionManager, other: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No pointer of the feed stands for more than 10,000 events; here for no more than 100."""
    monkeypatch.setattr(staging, "_POINTER", 100)
    await manager.create_session("u", "a", session_id="s")
    await manager.append("s", [NoteAdded(text="x") for _ in range(250)])
    await import_events(other.store, await exported(manager.store))
    key = other.store.keys.feed(other.store.keys.partition("s"))
    entries = await other.store.server.call("XRANGE", key, "-", "+")
    pointers = [pointer for entry in entries for pointer in pointers_of(entry)]
    stream = await other.store.server.call("XRANGE", other.store.keys.events("s"), "-", "+")
    offsets = [offset.decode() for offset, _ in stream]
    assert [(one.number, one.offset, one.events) for one in pointers] == [
        (1, offsets[99], 100),
        (2, offsets[199], 100),
        (3, offsets[250], 51),
    ]


async def test_a_session_that_has_expired_meanwhile_is_what_it_is(
    manager: SessionManager, other: SessionManager, client: Redis
) -> None:
    """Over for reads, swept by the next clean-up, and its history can be read."""
    session = await manager.create_session("u", "a", session_id="s", ttl=0.05)
    lines = await exported(manager.store)
    await until_past(client, session.expires_at)
    assert (await import_events(other.store, lines)).created == 1
    assert await other.get_session("s") is None
    assert await other.cleanup_expired_sessions() == 1
    assert [event.type async for event in other.history("s")] == ["session.created", "session.expired"]


async def test_an_import_reaches_milestones(manager: SessionManager, other: SessionManager) -> None:
    """What is done at every 1,024 events of a session is done for a restored one too."""
    await manager.create_session("u", "a", session_id="s")
    await manager.append("s", [NoteAdded(text="x") for _ in range(1_100)])
    reached: list[Any] = []
    other.store.milestones.append(reached.append)
    await import_events(other.store, await exported(manager.store))
    assert [(one.session_id, one.version) for one in reached] == [("s", 1_101)]


def changed(line: bytes, **parts: Any) -> bytes:
    """Return a line with other parts; None removes one."""
    record = json.loads(line)
    for name, value in parts.items():
        if value is None:
            record.pop(name)
        else:
            record[name] = value
    return json.dumps(record).encode()


def later(line: bytes, ms: int) -> bytes:
    """Return a line whose offset is so many milliseconds later."""
    record = json.loads(line)
    before, _, version = record["offset"].partition("-")
    return changed(line, offset=f"{int(before) + ms}-{version}")


REFUSED = {
    "a gap": (lambda s: [*s[:1], *s[2:]], 2, "goes on with version 3, not 2"),
    "a beginning that is missing": (lambda s: s[1:], 1, "begins with version 2, not 1"),
    "an event that is there twice": (lambda s: [*s[:2], *s[1:]], 3, "goes on with version 2, not 3"),
    "an offset that does not grow": (lambda s: [s[0], later(s[1], -100_000), *s[2:]], 2, "offsets only grow"),
    "an offset in the future": (lambda s: [*s[:-1], later(s[-1], 10**9)], 5, "later than the server's clock"),
    "an end that is missing": (lambda s: s[:-1], 4, "its last line is missing"),
    "more behind the end": (lambda s: [changed(s[0], last=True), *s[1:]], 2, "says to be the last one"),
    "no JSON": (lambda s: [*s[:2], s[2][:40], *s[3:]], 3, "it is no event of an export"),
    "another structure": (lambda s: [*s[:2], b"[]", *s[3:]], 3, "it is no event of an export"),
    "a key that no line has": (lambda s: [*s[:2], changed(s[2], more=1), *s[3:]], 3, "unknown field `more`"),
    "a key that is missing": (lambda s: [*s[:2], changed(s[2], meta=None), *s[3:]], 3, "missing required field `meta`"),
    "a version that is not its offset's": (lambda s: [*s[:2], changed(s[2], version=7), *s[3:]], 3, "its 'version'"),
    "an offset written differently": (lambda s: [changed(s[0], offset="01-1"), *s[1:]], 1, "not written as an offset"),
    "an entry that says otherwise": (
        lambda s: [*s[:2], changed(s[2], entry=["note.added", "x"]), *s[3:]],
        3,
        "the line was changed",
    ),
    "a body that was changed": (lambda s: [*s[:3], changed(s[3], body='{"turn":9}'), s[4]], 4, "not the one that was"),
    "a body that is missing": (lambda s: [*s[:3], changed(s[3], body=None), s[4]], 4, "has no body"),
    "a body of no checkpoint": (lambda s: [s[0], changed(s[1], body="{}"), *s[2:]], 2, "saves no checkpoint"),
    "another beginning": (
        lambda s: [changed(s[0], type="session.begun"), *s[1:]],
        1,
        "a session begins with session.created",
    ),
    "a beginning that does not decode": (lambda s: [changed(s[0], data="{"), *s[1:]], 1, "does not decode"),
    "a second beginning": (lambda s: [s[0], changed(s[1], type="session.created"), *s[2:]], 2, "and once"),
    "something behind the end of the session": (
        lambda s: [
            s[0],
            changed(s[1], type="session.deleted", data='{"user_id":"u","agent_id":"a","created_ms":1}'),
            *s[2:],
        ],
        3,
        "does not follow the end of its session",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_what_no_export_has_written_is_refused(
    past: list[bytes], other: SessionManager, client: Redis, what: str
) -> None:
    """The line is named, nothing of its session is written, the other session goes in."""
    change, number, problem = REFUSED[what]
    spoiled = change([line for line in past if b'"session_id":"s"' in line])
    rest = [line for line in past if b'"session_id":"t"' in line]
    done = await import_events(other.store, [*spoiled, *rest])
    (failure,) = done.failures
    assert (failure.line, problem in str(failure)) == (number, True), str(failure)
    assert done.created == 1
    assert not await keys_of(other.store, client, "s")
    assert await other.session_exists("t")


async def keys_of(store: Store, client: Redis, name: str) -> list[bytes]:
    """Return the keys that a session has, and those where it is on its way."""
    return [key async for key in client.scan_iter(match=f"{store.keys.namespace}:*:{name}", count=1000)]


async def test_a_session_that_is_there_with_other_events_is_left_alone(
    past: list[bytes], other: SessionManager
) -> None:
    """The line at which they differ is named."""
    await other.create_session("v", "b", session_id="s")
    done = await import_events(other.store, past)
    (failure,) = done.failures
    assert isinstance(failure, InvalidImportLine)
    assert (failure.line, "is there already" in str(failure)) == (1, True)
    assert [event.version async for event in other.history("s")] == [1]


async def test_a_session_that_went_on_meanwhile_is_left_as_it_is(past: list[bytes], other: SessionManager) -> None:
    """It has all that the export has."""
    await import_events(other.store, past)
    await other.append("s", NoteAdded(text="more"))
    done = await import_events(other.store, past)
    assert (done.created, done.unchanged, done.failures) == (0, 2, [])
    assert [event.version async for event in other.history("s")] == [1, 2, 3, 4, 5, 6]


async def test_a_session_that_is_shorter_than_the_export_is_left_alone(
    past: list[bytes], manager: SessionManager, other: SessionManager
) -> None:
    """An import restores what is absent; it appends nothing."""
    await import_events(other.store, past)
    await manager.append("s", NoteAdded(text="more"))
    done = await import_events(other.store, await exported(manager.store))
    assert [str(failure) for failure in done.failures] == [
        "line 6: session 's' is there already, without the event of this line"
    ]


async def test_the_lines_of_a_session_follow_each_other(past: list[bytes], other: SessionManager) -> None:
    """Where another session's come in between, neither half is taken for the whole."""
    done = await import_events(other.store, [*past[:2], past[5], *past[2:5]])
    assert [failure.line for failure in done.failures] == [2, 4]
    assert not await other.session_exists("s")


async def test_large_sessions_are_brought_back_by_several_at_once(
    manager: SessionManager, make_manager: MakeManager
) -> None:
    """One of them makes each session, the others find it: none is there twice or in halves."""
    for name in ("s", "t"):
        await manager.create_session("u", "a", session_id=name)
        await manager.append(name, [NoteAdded(text="x" * 100) for _ in range(700)])
    lines = await exported(manager.store)
    other = make_manager()
    others = [make_manager(other.settings.namespace) for _ in range(3)]
    done = await asyncio.gather(*(import_events(one.store, lines) for one in others))
    assert [one.failures for one in done] == [[], [], []]
    assert sum(one.created for one in done) == 2
    assert sum(one.unchanged for one in done) == 4
    assert await exported(other.store) == lines


own = Projection("own")
OWN_VIEW, OWN_RANKING, OWN_INDEX, OWN_COUNTERS = view("seen"), ranking("texts"), index("noted"), counters("notes")


@own.on(NoteAdded)
def noted(session_id: str, event: NoteAdded) -> Iterator[Operation]:
    """Keep something of a note in a view of every kind."""
    yield Put(OWN_VIEW, {event.text: AT, "last": OFFSET})
    yield Unset(OWN_VIEW, ["text 1"])
    yield Add(OWN_RANKING, VERSION, event.text)
    yield Remove(OWN_RANKING, "text 2")
    yield Add(OWN_INDEX, AT)
    yield Increment(OWN_COUNTERS, "count", 1)
    yield Increment(OWN_COUNTERS, "nothing", 0)


async def test_views_of_your_own_come_back_too(make_manager: MakeManager) -> None:
    """Of every kind; and the next event goes on from them."""
    one, other = make_manager(projections=[own]), make_manager(partitions=3, projections=[own])
    for name in ("s", "t"):
        await one.create_session("u", "a", session_id=name)
        await one.append(name, [NoteAdded(text=f"text {number}") for number in range(700)])
    done = await import_events(other.store, await exported(one.store))
    assert (done.created, done.failures) == (2, [])
    await assert_views_are_folds(other.store)
    await other.append("s", NoteAdded(text="more"))
    await assert_views_are_folds(other.store)
    places = [other.store.keys.place("own", OWN_COUNTERS, name) for name in ("s", "t")]
    counts = [await other.store.server.call("HGET", place, "count") for place in dict.fromkeys(places)]
    assert sum(map(int, counts)) == 1_401


async def test_a_namespace_of_others_is_not_written_to(past: list[bytes], make_manager: MakeManager) -> None:
    """One that was made with projections which this process lacks."""
    theirs = make_manager(projections=[own])
    await theirs.create_session("u", "a")
    ours = make_manager(theirs.settings.namespace)
    with pytest.raises(NamespaceMismatch):
        await import_events(ours.store, past)
    assert await theirs.get_total_session_count() == 1


async def test_a_page_that_is_sent_twice_is_staged_once(past: list[bytes], other: SessionManager) -> None:
    """As a script is after a lost connection."""
    page = [read_line(number, line) for number, line in enumerate(past[:5], 1)]
    beside = staging.Staging(other.store, "s")
    assert await beside.add(page[:2])
    assert await beside.add(page[:2])
    assert await beside.add(page[2:])
    assert await beside.add(page[2:])
    assert not await beside.add(page[:2])
    await beside.drop()


async def test_an_import_goes_on_beside_a_rebuild(make_manager: MakeManager) -> None:
    """Of all views, again and again: none of them lacks what was imported meanwhile."""
    one, other = make_manager(), make_manager(partitions=2)
    for number in range(40):
        await one.create_session("u", "a", session_id=f"s{number}")
        await one.append(f"s{number}", NoteAdded(text="x"))
    await other.create_session("u", "a")
    importing = asyncio.create_task(import_events(other.store, await exported(one.store), concurrency=2))
    while not importing.done():
        await other.rebuild()
    assert ((await importing).created, (await importing).failures) == (40, [])
    await assert_views_are_folds(other.store)
    assert len(await other.get_all_active_sessions()) == 41


async def test_who_reads_the_feed_is_given_all_of_a_restored_session(
    manager: SessionManager, other: SessionManager
) -> None:
    """G24: also the events whose times are earlier than that of the last one that a pointer tells of."""
    await manager.create_session("u", "a", session_id="s")
    for number in range(3):
        await _until_later(manager)
        await manager.append("s", [NoteAdded(text=f"{number} {more}") for more in range(2)])
    recorded = [event.offset async for event in manager.history("s")]
    assert len({offset.partition("-")[0] for offset in recorded}) == 4
    await import_events(other.store, await exported(manager.store))
    followed = []
    async with asyncio.timeout(10), other.follow_all() as events:
        while len(followed) < len(recorded):
            followed.append((await anext(events)).offset)
    assert followed == recorded


async def _until_later(manager: SessionManager) -> None:
    """Return when the server's clock has gone on by a millisecond."""
    before = await manager.store.now_ms()
    while await manager.store.now_ms() <= before:
        pass
