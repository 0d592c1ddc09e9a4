"""G40: after an erasure the views are what the events make that are left, whatever was erased, and a rebuild agrees."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from sessionstream import MessageAdded, NoteAdded, Projection, SessionManager, SessionState
from sessionstream.events.lifecycle import SessionCreated, SessionDeleted
from sessionstream.projection import Add, Increment, Operation, Put, Remove, counters, index, ranking, view
from tests.erasure.conftest import KEY

SEEN, BY_AGENT, TOTALS = view("seen"), ranking("topics"), counters("totals")

TOPICS = Projection("topics")


@TOPICS.on(SessionCreated)
def created(session_id: str, event: SessionCreated) -> Iterable[Operation]:
    """One more session of its agent."""
    yield Add(index("of_agent", event.agent_id), 1)
    yield Increment(TOTALS, event.agent_id, 1)


@TOPICS.on(SessionDeleted)
def deleted(session_id: str, event: SessionDeleted) -> Iterable[Operation]:
    """One less."""
    yield Remove(index("of_agent", event.agent_id))


@TOPICS.on(NoteAdded)
def noted(session_id: str, event: NoteAdded) -> Iterable[Operation]:
    """A topic of the session's own, and of all."""
    yield Add(BY_AGENT, len(event.text), event.text)
    yield Put(SEEN, {event.text: "1"})
    yield Increment(TOTALS, "notes", 1)


@TOPICS.otherwise
def anything(session_id: str, event: Any) -> Iterable[Operation]:
    """Everything counts."""
    yield Increment(TOTALS, "events", 1)


Step = tuple[str, int, str]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["create", "note", "message", "checkpoint", "delete", "idle", "fork", "erase", "rebuild"]),
        st.integers(0, 5),
        st.sampled_from(["tea", "hat", "queen"]),
    ),
    max_size=24,
)
USERS = ("alice", "bob", "carol")


async def _take(manager: SessionManager, step: Step, made: list[str]) -> None:
    """Take a step; one that needs what is not there does nothing."""
    name, number, word = step
    user = USERS[number % len(USERS)]
    if name == "create":
        made.append((await manager.create_session(user, f"agent_{number % 2}", {"topic": word})).session_id)
    elif name == "erase":
        await manager.erase_user(user)
    elif name == "rebuild":
        await manager.rebuild()
    elif made and await manager.get_session(session_id := made[number % len(made)]) is not None:
        if name == "note":
            await manager.append(session_id, NoteAdded(text=word))
        elif name == "message":
            await manager.append(session_id, MessageAdded(role="user", content=word))
        elif name == "checkpoint":
            await manager.save_checkpoint(session_id, {"word": word})
        elif name == "delete":
            await manager.delete_session(session_id)
        elif name == "idle":
            await manager.set_session_state(session_id, SessionState.IDLE)
        elif name == "fork":
            made.append((await manager.audit.fork(session_id, at=1, user_id=user)).session_id)


async def _views(client: Redis, namespace: str) -> dict[bytes, Any]:
    """All views: what is empty, or counts nothing, is as good as not there."""
    found: dict[bytes, Any] = {}
    async for key in client.scan_iter(match=f"{namespace}:*", count=1000):
        kind = key.split(b"}:")[1].split(b":")[0]
        if kind in (b"view", b"counters", b"head"):
            fields = await client.hgetall(key)
            found[key] = {name: value for name, value in fields.items() if name and value != b"0"}
        elif kind in (b"ranking", b"index"):
            members = await client.zrange(key, 0, -1, withscores=True)
            found[key] = sorted((member, score) for member, score in members if member)
    return {key: value for key, value in found.items() if value}


@settings(max_examples=12)
@given(steps=STEPS)
async def test_views_are_the_fold_of_what_is_left(
    reach: dict[str, Any], client: Redis, make_namespace: Callable[..., str], steps: list[Step]
) -> None:
    """Sessions are made, used, forked, ended and erased at random; then a rebuild changes nothing, and all verify."""
    namespace = make_namespace(f"t{uuid.uuid4().hex[:10]}")
    made: list[str] = []
    options = {"namespace": namespace, "partitions": 2, "seal_key": KEY, "projections": [TOPICS]}
    async with SessionManager(**reach, **options) as manager:
        for step in steps:
            await _take(manager, step, made)
        await manager.erase_user("alice")
        before = await _views(client, namespace)
        assert [found async for found in manager.audit.verify_all() if not found.ok or found.unproven] == []
        await manager.rebuild()
        assert await _views(client, namespace) == before
        assert [found async for found in manager.audit.verify_all() if not found.ok] == []
        assert await manager.get_sessions_by_user("alice") == []


async def test_a_rebuild_that_runs_meanwhile_counts_nothing_twice(
    reach: dict[str, Any], client: Redis, namespace: str
) -> None:
    """What it had folded before the erasure is taken back."""
    options = {"namespace": namespace, "partitions": 1, "projections": [TOPICS]}
    async with SessionManager(**reach, **options) as manager:
        for number in range(30):
            session = await manager.create_session(USERS[number % 2], "agent_1")
            await manager.append(session.session_id, [NoteAdded(text="tea")] * 3)

        erased = False

        async def erase() -> None:
            await manager.erase_user("alice")

        def progress(done: int, total: int) -> None:
            nonlocal erased
            erased = erased or done > 10

        rebuilding = asyncio.create_task(manager.rebuild(progress=progress))
        while not erased and not rebuilding.done():
            await asyncio.sleep(0)
        await erase()
        await rebuilding
        before = await _views(client, namespace)
        await manager.rebuild()
        assert await _views(client, namespace) == before
        assert (await client.hget(manager.store.keys.partition_place("topics", TOTALS, 0), "notes")) == b"45"
