"""What each role may do works without a refusal; what it may not do is refused, and nothing is written (G38)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, ResponseError

from sessionstream import MessageAdded, NoteAdded, Projection, SessionManager
from sessionstream.errors import AuthenticationFailed, InvalidArgument, SessionStreamError
from sessionstream.permissions import ROLES, acl_rules, acl_setuser
from sessionstream.projection import Increment, counters
from sessionstream.recipes import safe_session_update
from sessionstream.transfer import export_events, import_events
from tests.permissions.conftest import NAMESPACE, Of
from tests.permissions.parts import read_all, story
from tests.servers import Server

Refusals = Callable[[], Awaitable[list[str]]]
Everything = Callable[[], Awaitable[dict[bytes, bytes]]]
KEY = {"seal_key": "k" * 32}


async def test_a_runtime_does_all_that_the_library_does(of: Of, refusals: Refusals, tmp_path: Path) -> None:
    """Sessions, locks that others wait for, deltas, upkeep, seals, archives, rebuilds; none of it is refused."""
    manager, other = await of("runtime", **KEY), await of("runtime", **KEY)
    sid = await story(manager)
    await manager.audit.seal(sid)
    await read_all(manager, sid, tmp_path)
    async with manager.follow(sid, after="now") as events:
        await other.publish(sid, "Hel")
        await other.append(sid, NoteAdded(text="x"))
        assert [type(await anext(events)).__name__ for _ in range(2)] == ["Delta", "RecordedEvent"]
    async with manager.lock(sid):
        waiting = asyncio.create_task(safe_session_update(other, sid, lambda session: session))
        await manager.update_session_metadata(sid, {"b": 2}, unset=["a"])
    await waiting
    hold = await manager.retention.hold(sid, "why")
    await manager.retention.release(sid, hold)
    third = next(iter([event async for event in manager.history(sid, from_version=3, limit=1)]))
    await manager.retention.trim(sid, tmp_path / "archive", upto=third.offset)
    await manager.audit.fork(sid, at=9)
    await manager.rebuild(sid)
    await manager.rebuild()
    await manager.pop_messages(sid)
    await manager.clear_checkpoints(sid)
    await manager.refresh_session(sid)
    lines = [line async for line in export_events(manager.store, [await story(manager)])]
    assert (await import_events(manager.store, lines)).unchanged == 1
    await manager.cleanup_expired_sessions()
    await manager.delete_session(sid, purge=True)
    await manager.delete_user_sessions("user_1")
    assert await refusals() == []


async def test_an_auditor_reads_and_verifies_everything(of: Of, refusals: Refusals, tmp_path: Path) -> None:
    """Nothing that it may not do is even tried: no write, no CONFIG, no SCRIPT LOAD."""
    runtime = await of("runtime", **KEY)
    sid = await story(runtime)
    await runtime.audit.seal(sid)
    auditor = await of("auditor", **KEY)
    await read_all(auditor, sid, tmp_path)
    assert await auditor.consumers.groups() == []
    await runtime.delete_session(sid)
    assert (await auditor.audit.verify(sid)).ok
    assert await refusals() == []


@pytest.mark.parametrize("role", ["auditor", "consumer"])
async def test_who_may_not_write_is_refused(of: Of, everything: Everything, role: str) -> None:
    """By each method that writes, with an error that tells where the rules are; what is stored is as before."""
    runtime = await of("runtime")
    sid = await story(runtime)
    ended = await story(runtime)
    await runtime.delete_session(ended)
    before = await everything()
    manager = await of(role)
    calls: list[Callable[[], Awaitable[Any]]] = [
        lambda: manager.create_session("user_1", "agent_1"),
        lambda: manager.append(sid, NoteAdded(text="x")),
        lambda: manager.append(sid, [NoteAdded(text="x")], expected_version=9, idempotency_key="i"),
        lambda: manager.add_messages(sid, {"role": "user", "content": "x"}),
        lambda: manager.pop_messages(sid),
        lambda: manager.update_session_metadata(sid, {"b": 1}),
        lambda: manager.set_session_state(sid, "idle"),
        lambda: manager.refresh_session(sid),
        lambda: manager.delete_session(sid),
        lambda: manager.delete_session(ended, purge=True),
        lambda: manager.save_checkpoint(sid, {}),
        lambda: manager.clear_checkpoints(sid),
        lambda: manager.publish(sid, "x"),
        lambda: manager.acquire_lock(sid, timeout=0),
        lambda: manager.rebuild(sid),
        lambda: manager.audit.fork(sid, at=2),
        lambda: manager.retention.hold(sid, "why"),
        lambda: manager.cleanup_expired_sessions(),
    ]
    for call in calls:
        with pytest.raises(SessionStreamError, match=r"sessionstream acl") as refused:
            await call()
        assert isinstance(refused.value, AuthenticationFailed)
        assert isinstance(refused.value, PermissionError)
    assert await everything() == before


ADMINISTERING = (
    "CONFIG GET *", "CONFIG SET maxmemory 1", "FLUSHALL", "FLUSHDB", "KEYS *", "SCAN 0", "ACL LIST", "ACL DELUSER x",
    "SHUTDOWN", "DEBUG SLEEP 0", "MONITOR", "CLIENT LIST", "SCRIPT FLUSH", "FUNCTION LIST", "REPLICAOF NO ONE", "SAVE",
    "BGREWRITEAOF", "MIGRATE h 1 shop:{0}:log 0 1", "DUMP shop:{0}:log", "RESTORE shop:{0}:x 0 x", "SUBSCRIBE x",
    "DEL shop:{0}:log", "SET shop:{0}:x 1", "EXPIRE shop:{0}:log 1", "XDEL shop:{0}:feed 1-1", "RANDOMKEY", "SORT x",
)  # fmt: skip


@pytest.mark.parametrize("role", ROLES)
async def test_no_role_administers_the_server_or_touches_another_namespace(
    of: Of, own: Server, everything: Everything, role: str
) -> None:
    """Nor does any read or write what lies beside its namespace, also where the names begin alike."""
    for namespace in ("shop2", "other"):
        other = await of(None, namespace=namespace)
        await story(other)
    await story(await of(None))
    await of(role)
    before = await everything()
    async with Redis.from_url(f"unix://{role}:{role}@{own.socket}") as client:
        for line in (
            *ADMINISTERING,
            "HGETALL shop2:{0}:log",
            "HGET other:{0}:log :stamp",
            "HSET other:{0}:log x 1",
            "UNLINK shop2:{0}:log",
            "EVALSHA_RO 0000000000000000000000000000000000000000 1 other:{0}:log",
            "SPUBLISH other:{0}:unlocked:s 1",
        ):
            with pytest.raises(NoPermissionError):
                await client.execute_command(*line.split())
    assert await everything() == before


@pytest.mark.parametrize(
    ("role", "line"),
    [
        ("auditor", "SCRIPT LOAD x"),
        ("auditor", "EVALSHA 0000000000000000000000000000000000000000 0"),
        ("auditor", "EVAL x 0"),
        ("auditor", "CLIENT KILL ID 0"),
        ("auditor", "HSET shop:{0}:group:g x 1"),
        ("runtime", "EVAL x 0"),
        ("consumer", "EVAL x 0"),
        ("consumer", "HSET shop:{0}:head:s state x"),
        ("consumer", "HSET shop:{0}:head:s}:group:x state x"),
        ("consumer", "HSET shop:{0}:log x 1"),
        ("consumer", "XADD shop:{0}:events:s * x 1"),
        ("consumer", "XADD shop:{0}:feed * x 1"),
        ("consumer", "ZREM shop:{0}:registry s"),
        ("consumer", "HSET shop:{0}:view:notes:last:s x 1"),
    ],
)
async def test_what_one_role_alone_may_not(of: Of, own: Server, role: str, line: str) -> None:
    """Each is refused what others need."""
    await of(role)
    async with Redis.from_url(f"unix://{role}:{role}@{own.socket}") as client:
        with pytest.raises(NoPermissionError):
            await client.execute_command(*line.split())


@pytest.mark.parametrize(
    ("role", "text"),
    [
        ("auditor", "return redis.call('HSET', KEYS[1], 'x', 1)"),
        ("consumer", "return redis.call('HSET', KEYS[1], 'x', 1)"),
        ("consumer", "return redis.call('UNLINK', KEYS[1])"),
        ("consumer", "return redis.call('XADD', KEYS[1], '*', 'x', 1)"),
    ],
)
async def test_a_script_of_ones_own_may_no_more(
    of: Of, own: Server, everything: Everything, role: str, text: str
) -> None:
    """What a user may not do, its scripts may not do."""
    sid = await story(await of(None))
    manager = await of(role)
    before = await everything()
    async with Redis.from_url(f"unix://{role}:{role}@{own.socket}") as client:
        for key in (manager.store.keys.head(sid), manager.store.keys.log(0), manager.store.keys.events(sid)):
            with pytest.raises((NoPermissionError, ResponseError), match=r"(?i)acl|permission|can't|not allowed"):
                if role == "auditor":
                    await client.execute_command(*("EVAL_RO", text, 1, key))
                else:
                    await client.execute_command(*("EVALSHA", await client.script_load(text), 1, key))
    assert await everything() == before


async def test_a_consumer_runs_groups_and_projections(of: Of, refusals: Refusals) -> None:
    """Joins, handles, keeps views, parks, replays, is watched, is removed; projections from the feed, too."""
    runtime, consumer = await of("runtime"), await of("consumer")
    sid = await story(runtime)
    counted = counters("counted")
    failed: list[str] = []

    async def handle(item: Any) -> None:
        if isinstance(item.data, MessageAdded) and not failed:
            failed.append(item.session_id)
            raise ValueError("once")
        item.apply(Increment(counted, item.event.type, 1))

    async with consumer.consumers.join("group", handle, attempts=1):
        async with asyncio.timeout(30):
            while not (await consumer.consumers.status("group")).parked:
                await asyncio.sleep(0.01)
    assert (await consumer.consumers.view("group").counters(counted))["session.created"] == 1
    notes = Projection("notes")
    notes.on(NoteAdded)(lambda session_id, event: [Increment(counted, "notes", 1)])
    async with consumer.consumers.project(notes) as projector:
        async with asyncio.timeout(30):
            await projector.in_use()
            last = await runtime.append(sid, NoteAdded(text="x"))
            views = consumer.consumers.projected(notes)
            await views.wait_until(last)
    assert (await views.counters(counted))["notes"] == 7
    assert [one.session_id for one in await consumer.consumers.parked("group")] == [sid]
    await consumer.consumers.delete("group")
    assert await refusals() == []


async def test_a_user_without_a_password_is_not_let_in(admin: Redis, own: Server) -> None:
    """The rules alone open nothing."""
    await admin.execute_command(*("ACL SETUSER", "auditor", *acl_rules("auditor", NAMESPACE)))
    async with SessionManager(url=f"unix://auditor:x@{own.socket}", namespace=NAMESPACE) as manager:
        with pytest.raises(AuthenticationFailed):
            await manager.get_session("s")


async def test_the_settings_can_be_asked_for_where_that_is_wanted(admin: Redis, own: Server) -> None:
    """By those who check durability against them."""
    rules = acl_rules("runtime", NAMESPACE, ask_settings=True)
    await admin.execute_command(*("ACL SETUSER", "runtime", *rules, "on", ">runtime"))
    async with Redis.from_url(f"unix://runtime:runtime@{own.socket}") as client:
        assert await client.config_get("appendfsync")
        with pytest.raises(NoPermissionError):
            await client.config_set("appendfsync", "no")


def test_what_no_role_or_name_is_is_refused() -> None:
    """With what there is."""
    with pytest.raises(InvalidArgument, match="runtime, auditor, consumer"):
        acl_rules("root", NAMESPACE)
    with pytest.raises(InvalidArgument, match="namespace"):
        acl_rules("auditor", "a*")
    for name in ("", "a b", 'a"', "a\n"):
        with pytest.raises(InvalidArgument, match="name"):
            acl_setuser("auditor", NAMESPACE, user=name)
