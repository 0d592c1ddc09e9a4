"""Every method that changes anything does so by appending an event and in no other way (locks aside).

The public methods are found by inspection, so one that nobody listed here fails. The namespace is compared key by key
before and after each. A partition's log keeps, beside what the append writes, where a worker's walk through the feed
has come to; that is no data, and is left out.

G21.
"""

from __future__ import annotations

import atexit
import contextlib
import inspect
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from math import inf
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from sessionstream import MessageAdded, NoteAdded, Projection, SessionManager, SessionState, SessionStreamError
from sessionstream.audit import Audit
from sessionstream.log.store import Store
from sessionstream.projection import Increment, counters
from tests.servers import Server

Contents = dict[bytes, Any]
Method = Callable[[SessionManager], Awaitable[Any]]

CURSORS = (b":mended",)
LOGS_OWN = (b"offset", b"token", b"lock_holder", b"lock_until", b"lock_released")
USER, AGENT = "user_1", "assistant"
LIVE, HELD, KEPT, LAPSED, ENDED = "sess_live", "sess_held", "sess_kept", "sess_lapsed", "sess_ended"
_FOLDER = tempfile.mkdtemp(prefix="sessionstream-")
atexit.register(shutil.rmtree, _FOLDER, ignore_errors=True)


async def _update(manager: SessionManager) -> None:
    session = await manager.get_session(LIVE)
    assert session is not None
    session.metadata["updated"] = True
    await manager.update_session(LIVE, session)


async def _read(manager: SessionManager) -> None:
    assert [event async for event in manager.history(LIVE)]


async def _replay(manager: SessionManager) -> None:
    assert [event async for event in manager.retention.replay(LIVE, _FOLDER)]


def _auditor(manager: SessionManager) -> Audit:
    """Return the same audit with a key: a manager that has one seals by itself, which would be seen here."""
    settings = manager.settings.model_copy(update={"seal_key": SecretStr("k" * 32)})
    return Audit(Store(manager.store.server, settings))


async def _all(many: AsyncIterator[Any]) -> None:
    assert [one async for one in many]


async def _hold(manager: SessionManager) -> None:
    async with manager.lock(LIVE):
        pass


async def _acquire_and_release(manager: SessionManager) -> None:
    await manager.release_lock(LIVE, await manager.acquire_lock(LIVE))


async def _follow(manager: SessionManager) -> None:
    async with manager.follow(LIVE) as events:
        assert await anext(events)


async def _follow_all(manager: SessionManager) -> None:
    async with manager.follow_all() as events:
        assert await anext(events)


CHANGES: dict[str, Method] = {
    "add_messages": lambda m: m.add_messages(LIVE, {"role": "user", "content": "Hi"}),
    "append": lambda m: m.append(LIVE, NoteAdded(text="x"), idempotency_key="k"),
    "audit.fork": lambda m: m.audit.fork(LIVE, at=3),
    "cleanup_expired_sessions": lambda m: m.cleanup_expired_sessions(),
    "clear_checkpoints": lambda m: m.clear_checkpoints(LIVE),
    "create_session": lambda m: m.create_session(USER, AGENT, {"a": 1}, ttl=60),
    "delete_agent_sessions": lambda m: m.delete_agent_sessions(AGENT),
    "delete_checkpoint": lambda m: m.delete_checkpoint(LIVE, "one"),
    "delete_session": lambda m: m.delete_session(LIVE),
    "delete_user_sessions": lambda m: m.delete_user_sessions(USER),
    "pop_messages": lambda m: m.pop_messages(LIVE),
    "refresh_session": lambda m: m.refresh_session(LIVE),
    "retention.hold": lambda m: m.retention.hold(HELD, "more"),
    "retention.keep_checkpoints": lambda m: m.retention.keep_checkpoints(KEPT, 1),
    "retention.release": lambda m: m.retention.release(HELD, "one"),
    "save_checkpoint": lambda m: m.save_checkpoint(LIVE, {"turn": 2}),
    "set_session_state": lambda m: m.set_session_state(LIVE, SessionState.ARCHIVED),
    "update_session": _update,
    "update_session_metadata": lambda m: m.update_session_metadata(LIVE, {"a": 2}, unset=["b"]),
}
READS: dict[str, Method] = {
    "audit.evidence": lambda m: _auditor(m).evidence(LIVE, Path(_FOLDER, "evidence")),
    "audit.verify": lambda m: _auditor(m).verify(LIVE),
    "audit.verify_all": lambda m: _all(_auditor(m).verify_all()),
    "audit.as_of": lambda m: m.audit.as_of(LIVE, version=2),
    "audit.diff": lambda m: m.audit.diff(LIVE, 1, 4),
    "audit.trace": lambda m: m.audit.trace(LIVE),
    "follow": _follow,
    "follow_all": _follow_all,
    "get_active_session_count": lambda m: m.get_active_session_count(),
    "get_all_active_sessions": lambda m: m.get_all_active_sessions(),
    "get_avg_session_duration": lambda m: m.get_avg_session_duration(),
    "get_checkpoint": lambda m: m.get_checkpoint(LIVE, "one"),
    "get_expired_session_count": lambda m: m.get_expired_session_count(),
    "get_latest_checkpoint": lambda m: m.get_latest_checkpoint(LIVE),
    "get_session": lambda m: m.get_session(LIVE),
    "get_session_state": lambda m: m.get_session_state(LAPSED),
    "get_sessions_by_user": lambda m: m.get_sessions_by_user(USER),
    "get_total_session_count": lambda m: m.get_total_session_count(),
    "history": _read,
    "list_checkpoints": lambda m: m.list_checkpoints(LIVE, with_data=True),
    "messages": lambda m: m.messages(LIVE),
    "resume": lambda m: m.resume(LIVE),
    "retention.archive": lambda m: m.retention.archive(LIVE, _FOLDER),
    "retention.holds": lambda m: m.retention.holds(),
    "retention.replay": lambda m: _replay(m),
    "session_exists": lambda m: m.session_exists(LIVE),
}
TRIMS: dict[str, Method] = {"retention.trim": lambda m: m.retention.trim(LIVE, _FOLDER, keep_events=1)}
UNCHANGING: dict[str, Method] = {
    "cleanup_expired_sessions": lambda m: m.cleanup_expired_sessions(),
    "clear_checkpoints": lambda m: m.clear_checkpoints(ENDED),
    "delete_agent_sessions": lambda m: m.delete_agent_sessions("nobody"),
    "delete_checkpoint": lambda m: m.delete_checkpoint(LIVE, "never"),
    "delete_session": lambda m: m.delete_session(ENDED),
    "delete_user_sessions": lambda m: m.delete_user_sessions("nobody"),
    "pop_messages": lambda m: m.pop_messages(LIVE, 0),
    "refresh_session": lambda m: m.refresh_session(LAPSED),
    "retention.hold": lambda m: m.retention.hold(HELD, "audit", hold_id="one"),
    "retention.keep_checkpoints": lambda m: m.retention.keep_checkpoints(LIVE, 1),
    "retention.release": lambda m: m.retention.release(LIVE, "one"),
    "retention.trim": lambda m: m.retention.trim(LIVE, _FOLDER, keep_events=99),
    "set_session_state": lambda m: m.set_session_state(LIVE, "active"),
    "update_session_metadata": lambda m: m.update_session_metadata(LIVE),
}
LOCKS: dict[str, Method] = {
    "acquire_lock": lambda m: m.acquire_lock(LIVE),
    "lock": lambda m: _hold(m),
    "release_lock": lambda m: _acquire_and_release(m),
}
TRANSIENT: dict[str, Method] = {"publish": lambda m: m.publish(LIVE, {"token": "x"})}
SEALS: dict[str, Method] = {
    "audit.seal": lambda m: _auditor(m).seal(LIVE),
    "audit.seal_all": lambda m: _all(_auditor(m).seal_all([LIVE])),
}
CONNECTIONS = {"aclose", "for_user", "open"}


async def _join(manager: SessionManager) -> None:
    async with manager.consumers.join("g") as consumer:
        async for item in consumer:
            async with item:
                item.apply(Increment(counters("seen"), "n", 1))
            break


async def _project(manager: SessionManager) -> None:
    async with manager.consumers.project(NOTES) as projector:
        await projector.in_use()


async def _read_view(manager: SessionManager) -> None:
    assert await manager.consumers.view("g").counters(counters("seen")) == {"n": 1}


async def _read_projected(manager: SessionManager) -> None:
    assert await manager.consumers.projected(NOTES).counters(counters("notes")) == {"n": 1}


NOTES = Projection("notes")
NOTES.on(NoteAdded)(lambda session_id, event: [Increment(counters("notes"), "n", 1)])
# In this order: each finds what those before it have made.
CONSUMERS: dict[str, Method] = {
    "consumers.join": _join,
    "consumers.groups": lambda m: m.consumers.groups(),
    "consumers.status": lambda m: m.consumers.status("g"),
    "consumers.view": _read_view,
    "consumers.parked": lambda m: m.consumers.parked("g"),
    "consumers.replay": lambda m: m.consumers.replay("g"),
    "consumers.discard": lambda m: m.consumers.discard("g"),
    "consumers.reset": lambda m: m.consumers.reset("g", "beginning"),
    "consumers.skip": lambda m: m.consumers.skip("g"),
    "consumers.delete": lambda m: m.consumers.delete("g"),
    "consumers.project": _project,
    "consumers.projected": _read_projected,
    "consumers.rebuild": lambda m: m.consumers.rebuild(NOTES),
    "consumers.drop": lambda m: m.consumers.drop(NOTES),
}
REBUILDS: dict[str, Method] = {
    "rebuild": lambda m: m.rebuild(),
    "rebuild of one session": lambda m: m.rebuild(LIVE),
}


@pytest.fixture
async def world(server: Server, namespace: str) -> AsyncIterator[SessionManager]:
    """A namespace with a session that lives, one whose time is over, and one that has ended."""
    async with SessionManager(url=server.unix_url, namespace=namespace, retention=None) as manager:
        await manager.create_session(USER, AGENT, {"a": 1, "b": 2}, session_id=LIVE, ttl=3_600)
        await manager.append(LIVE, [MessageAdded(role="user", content="Hi"), NoteAdded(text="x")])
        await manager.save_checkpoint(LIVE, {"turn": 1}, checkpoint_id="one")
        await manager.create_session("user_3", "another", session_id=KEPT)
        for turn in range(2):
            await manager.save_checkpoint(KEPT, {"turn": turn})
        await manager.create_session("user_3", "another", session_id=HELD)
        await manager.retention.hold(HELD, "audit", hold_id="one")
        await manager.create_session(USER, "another", session_id=ENDED)
        await manager.save_checkpoint(ENDED, {"turn": 1})
        await manager.clear_checkpoints(ENDED)
        await manager.delete_session(ENDED)
        await manager.create_session(USER, "another", session_id=LAPSED, ttl=0.001)
        while await manager.session_exists(LAPSED):
            pass
        yield manager


def _methods_of(part: object) -> set[str]:
    return {name for name, value in inspect.getmembers(part, callable) if not name.startswith("_")}


def _public_methods(manager: SessionManager) -> set[str]:
    """The manager's public methods, and those of the parts that hang on it."""
    found = _methods_of(manager)
    for name, part in vars(manager).items():
        if not name.startswith("_") and name not in ("settings", "store"):
            found |= {f"{name}.{method}" for method in _methods_of(part)}
    return found


async def _everything(manager: SessionManager) -> None:
    """Call every method that changes something, those that end something last."""
    for name in sorted(CHANGES, key=lambda name: name.startswith(("cleanup", "clear", "delete", "set"))):
        with contextlib.suppress(SessionStreamError):
            await CHANGES[name](manager)


async def _dump(client: Redis, namespace: str) -> Contents:
    """Every key of the namespace and what it holds."""
    contents: Contents = {}
    async for key in client.scan_iter(match=f"{namespace}:*", count=1000):
        kind = await client.type(key)
        if kind == b"hash":
            fields = await client.hgetall(key)
            contents[key] = {field: value for field, value in fields.items() if field not in CURSORS}
        elif kind == b"list":
            contents[key] = await client.lrange(key, 0, -1)
        elif kind == b"zset":
            contents[key] = await client.zrange(key, 0, -1, withscores=True)
        else:
            assert kind == b"stream"
            contents[key] = await client.xrange(key)
    return contents


def _bare(contents: Any) -> Any:
    """What a view holds beside the sentinel that keeps it from being empty; an absent one equals an empty one.

    The scores in a user's list are the microseconds in which the sessions were noted, just before they were created.
    """
    if isinstance(contents, dict):
        return {field: value for field, value in contents.items() if field} or None
    if contents and isinstance(contents[0][1], float):
        in_a_users_list = any(1e15 < score < inf for _, score in contents)
        return sorted((member, 0 if in_a_users_list else score) for member, score in contents if member) or None
    return contents


def _differing(before: Contents, after: Contents) -> list[bytes]:
    return [key for key in sorted(before.keys() | after.keys()) if _bare(before.get(key)) != _bare(after.get(key))]


def _partition(key: bytes) -> bytes:
    return key[: key.index(b"}:") + 2]


def _grown(before: Contents, after: Contents, kind: bytes) -> dict[bytes, bytes]:
    """The streams of a kind that only gained entries, by partition and by the rest of their names."""
    grown = {}
    for key, entries in after.items():
        rest = key[len(_partition(key)) :]
        if rest.startswith(kind) and isinstance(entries, list) and before.get(key, []) != entries:
            assert entries[: len(before.get(key, []))] == before.get(key, []), f"{key!r} lost or changed an entry"
            grown[key] = rest
    return grown


def _unexplained(before: Contents, after: Contents) -> list[bytes]:
    """The keys that changed though nothing was appended to the stream that accounts for them."""
    streams = _grown(before, after, b"events:")
    sessions = {(_partition(key), rest.removeprefix(b"events:")) for key, rest in streams.items()}
    feeds = {_partition(key) for key in _grown(before, after, b"feed")}
    assert feeds == {partition for partition, _ in sessions}, "the feed tells of other appends than there were"
    unexplained = []
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) == after.get(key) or key in streams:
            continue
        partition = _partition(key)
        kind, _, rest = key[len(partition) :].partition(b":")
        if kind in (b"head", b"bodies", b"idempotency", b"view", b"ranking"):
            identifier = rest.split(b":", 2)[-1] if kind in (b"view", b"ranking") else rest
            explained = (partition, identifier) in sessions
        elif kind == b"user":
            explained = bool(sessions)
        else:
            explained = partition in feeds
        if not explained:
            unexplained.append(key)
    return unexplained


async def test_every_public_method_is_listed_here(world: SessionManager) -> None:
    """A new method has to say whether it changes something."""
    assert _public_methods(world) == {
        *(*CHANGES, *TRIMS, *READS, *LOCKS, *TRANSIENT, *SEALS, *CONSUMERS, *CONNECTIONS),
        "rebuild",
    }


@pytest.mark.parametrize("name", CHANGES)
async def test_what_changes_anything_appends_an_event(
    world: SessionManager, client: Redis, namespace: str, name: str
) -> None:
    """No key has changed without a new entry in the stream of its session, or in the feed of its partition."""
    before = await _dump(client, namespace)
    await CHANGES[name](world)
    after = await _dump(client, namespace)
    assert _grown(before, after, b"events:")
    assert _unexplained(before, after) == []


async def test_what_is_trimmed_is_told_by_an_event(world: SessionManager, client: Redis, namespace: str) -> None:
    """Of the stream only the oldest entries are gone; what changed beside it is of that session, or tells of it."""
    await world.clear_checkpoints(LIVE)
    key = world.store.keys.events(LIVE).encode()
    before = await _dump(client, namespace)
    done = await TRIMS["retention.trim"](world)
    after = await _dump(client, namespace)
    kept = before[key][done.removed :]
    assert done.removed
    assert after[key][: len(kept)] == kept
    assert [next(iter(words)) for _, words in after[key][len(kept) :]] == [b"session.trimmed"]
    names = world.store.keys
    theirs = {names.head(LIVE), names.bases(LIVE), names.log(names.partition(LIVE)), names.feed(names.partition(LIVE))}
    changed = {name.decode() for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert changed == {key.decode(), *theirs}


@pytest.mark.parametrize("name", READS)
async def test_what_reads_changes_nothing(world: SessionManager, client: Redis, namespace: str, name: str) -> None:
    """Not a single field of a single key."""
    before = await _dump(client, namespace)
    await READS[name](world)
    assert await _dump(client, namespace) == before


@pytest.mark.parametrize("name", UNCHANGING)
async def test_where_there_is_nothing_to_do_nothing_is_appended(
    world: SessionManager, client: Redis, namespace: str, name: str
) -> None:
    """A state that is set again, a deletion of what is gone, a clean-up where all is clean."""
    await world.cleanup_expired_sessions()
    before = await _dump(client, namespace)
    await UNCHANGING[name](world)
    assert await _dump(client, namespace) == before


@pytest.mark.parametrize("name", LOCKS)
async def test_a_lock_touches_nothing_but_the_lock(
    world: SessionManager, client: Redis, namespace: str, name: str
) -> None:
    """It is no event: only the head's own fields for it change."""
    before = await _dump(client, namespace)
    await LOCKS[name](world)
    after = await _dump(client, namespace)
    head = world.store.keys.head(LIVE).encode()
    assert {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)} == {head}
    changed = {field for field in after[head] if before[head].get(field) != after[head][field]}
    assert changed
    assert all(field == b"token" or field.startswith(b"lock_") for field in changed)


@pytest.mark.parametrize("name", TRANSIENT)
async def test_what_is_transient_touches_nothing_that_is_kept(
    world: SessionManager, client: Redis, namespace: str, name: str
) -> None:
    """It is no event: all that changes is a key that is gone within minutes."""
    before = await _dump(client, namespace)
    await TRANSIENT[name](world)
    after = await _dump(client, namespace)
    deltas = world.store.keys.deltas(LIVE).encode()
    assert {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)} == {deltas}
    assert 0 < await client.pttl(deltas) <= 300_000


@pytest.mark.parametrize("name", SEALS)
async def test_a_seal_touches_nothing_but_the_seals(
    world: SessionManager, client: Redis, namespace: str, name: str
) -> None:
    """It is no event, since it says nothing of the session that its events do not."""
    before = await _dump(client, namespace)
    await SEALS[name](world)
    after = await _dump(client, namespace)
    changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    assert changed == {world.store.keys.seals(LIVE).encode()}


async def test_consumers_touch_nothing_but_what_their_groups_keep(
    world: SessionManager, client: Redis, namespace: str
) -> None:
    """They are readers: no session, no feed and no view of the store's own changes by any of their methods."""
    before = await _dump(client, namespace)
    for name, method in CONSUMERS.items():
        await method(world)
        after = await _dump(client, namespace)
        changed = [key for key in before.keys() | after.keys() if before.get(key) != after.get(key)]
        rests = [key[len(_partition(key)) :] for key in changed]
        assert all(rest.startswith((b"group", b"parked:")) or b":@" in rest for rest in rests), (name, rests)


@pytest.mark.parametrize("name", REBUILDS)
async def test_a_rebuild_of_what_is_right_changes_nothing(
    world: SessionManager, client: Redis, namespace: str, name: str
) -> None:
    """The views are the fold of the events already."""
    await _everything(world)
    before = await _dump(client, namespace)
    await REBUILDS[name](world)
    assert _differing(before, await _dump(client, namespace)) == []


async def test_views_that_are_deleted_are_rebuilt_from_the_events_alone(
    world: SessionManager, client: Redis, namespace: str
) -> None:
    """After every method has been called, all of them: what is read afterwards is the same, key by key."""
    await _everything(world)
    await world.create_session(USER, AGENT, {"again": True}, session_id="sess_again", ttl=3_600)
    await world.update_session_metadata("sess_again", {"b": None})
    await world.save_checkpoint("sess_again", {"turn": 1}, label="kept")
    await world.create_session("user_2", AGENT, session_id="sess_other")
    await world.set_session_state("sess_other", "idle")
    before = await _dump(client, namespace)
    removed = 0
    for key, contents in before.items():
        kind = key[len(_partition(key)) :].partition(b":")[0]
        if kind in (b"view", b"ranking", b"index", b"counters", b"user"):
            await client.delete(key)
            removed += 1
        elif kind == b"head":
            await client.hdel(key, *[field for field in contents if field not in LOGS_OWN])
            removed += 1
    assert removed > 20
    await world.rebuild()
    assert _differing(before, await _dump(client, namespace)) == []


async def test_one_session_that_is_purged_is_told_of_in_the_feed(
    world: SessionManager, client: Redis, namespace: str
) -> None:
    """Nothing is left of it but a pointer that says so; no other session is touched."""
    before = await _dump(client, namespace)
    assert await world.delete_session(ENDED, purge=True)
    after = await _dump(client, namespace)
    partition = f"{namespace}:{{{world.store.keys.partition(ENDED)}}}:".encode()
    gone = {key for key in before if key.endswith(f":{ENDED}".encode())}
    assert gone
    assert before.keys() - after.keys() == gone
    assert all(key.startswith(partition) for key in gone)
    feed = partition + b"feed"
    assert len(after[feed]) == len(before[feed]) + 1
    ((session_id, told),) = after[feed][-1][1].items()
    assert session_id.decode() == ENDED
    assert told.endswith(b" 0")
    changed = {key for key in after if before.get(key) != after[key]}
    assert all(key.startswith(partition) or b":user:" in key for key in changed)
