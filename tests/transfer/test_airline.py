"""The recorded airline sessions: 160 of them, 4,652 messages, in, looked at, and out again."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import SessionManager
from sessionstream.directory.listing import every_session_id
from sessionstream.fold import fold
from sessionstream.lifecycle.reading import session_from
from sessionstream.log.history import read_history
from sessionstream.log.store import Store
from sessionstream.transfer import import_messages
from sessionstream.transfer.sources import LineSource
from tests.transfer.recorded import everything, sessions_of
from tests.transfer.views import folded_views, stored_views

Recorded = list[dict[str, Any]]


@pytest.fixture
async def recorded(airline: Path, store: Store) -> Recorded:
    """The file's lines, which have been imported."""
    with airline.open("rb") as file:
        done = await import_messages(store, LineSource(file), user_id="tau", agent_id="airline")
    assert (done.created, done.messages, done.failures) == (160, 4652, [])
    with gzip.open(airline) as file:
        return [json.loads(line) for line in file]


def bag(lines: Recorded) -> Counter[str]:
    """Return lines so that two lists of the same, in any order, are equal."""
    return Counter(json.dumps(line, sort_keys=True) for line in lines)


async def test_the_file_leaves_as_it_came(recorded: Recorded, store: Store) -> None:
    """Every message, and every other key, equal as JSON."""
    assert bag(await sessions_of(store)) == bag(recorded)


async def test_the_file_again_adds_nothing(recorded: Recorded, airline: Path, store: Store) -> None:
    """Not one event."""
    before = await everything(store)
    with airline.open("rb") as file:
        done = await import_messages(store, LineSource(file), user_id="tau", agent_id="airline")
    assert (done.created, done.extended, done.messages, done.unchanged) == (0, 0, 0, 160)
    assert await everything(store) == before


async def test_every_view_is_the_fold_of_its_streams(recorded: Recorded, store: Store, client: Redis) -> None:
    """All keys that are no stream, list or mark of the log are what the events make of them, and there is no other."""
    folded = await folded_views(store)
    names = [key.decode() async for key in client.scan_iter(match=f"{store.keys.namespace}:*", count=1000)]
    own = tuple(
        f"{store.keys.namespace}:{{{partition}}}:{name}"
        for partition in range(store.keys.partitions)
        for name in ("log", "feed", "registry", "user:", "events:")
    )
    views = [name for name in names if not name.startswith(own)]
    assert len(folded) > 160
    assert await stored_views(store, views) == folded


async def test_every_view_is_the_same_after_a_rebuild(
    recorded: Recorded, store: Store, manager: SessionManager
) -> None:
    """Also where all views were lost, but for what the log itself keeps."""
    folded = await folded_views(store)
    for key, view in folded.items():
        if ":head:" in key:
            await store.server.call("HDEL", key, *view)
        else:
            await store.server.call("UNLINK", key)
    assert await stored_views(store, list(folded)) == {}
    rebuilt = await manager.rebuild()
    assert (rebuilt.sessions, rebuilt.events, rebuilt.unreadable) == (160, 4812, 0)
    assert await stored_views(store, list(folded)) == folded


async def test_the_history_of_each_session_is_its_line(
    recorded: Recorded, store: Store, manager: SessionManager
) -> None:
    """Created, then one event for each message, versions without a gap."""
    longest = 0
    async for session_id in every_session_id(store):
        events = [event async for event in manager.history(session_id)]
        assert [event.version for event in events] == list(range(1, len(events) + 1))
        assert [event.type for event in events] == ["session.created"] + ["message.added"] * (len(events) - 1)
        longest = max(longest, len(events))
    assert longest == 1 + max(len(line["messages"]) for line in recorded)


async def test_every_moment_of_a_session_can_be_looked_at(
    recorded: Recorded, store: Store, manager: SessionManager
) -> None:
    """As of each version it is what the events up to it make of it."""
    session_id = await anext(every_session_id(store))
    events = [event async for event in read_history(store, session_id)]
    for version in range(1, len(events) + 1):
        known = await manager.audit.as_of(session_id, version=version)
        head = fold(session_id, events[:version], store.projections).head
        assert known.session == session_from(session_id, {**head, b"offset": events[version - 1].offset.encode()})
        assert known.version == version


async def test_a_session_is_resumed_with_all_its_messages(
    recorded: Recorded, store: Store, manager: SessionManager
) -> None:
    """What a checkpoint holds, and what followed, is the conversation."""
    session_id = await anext(every_session_id(store))
    messages = await manager.messages(session_id)
    half = len(messages) // 2
    covered = [event async for event in manager.history(session_id, to_version=1 + half)][-1]
    await manager.save_checkpoint(session_id, {"messages": messages[:half]}, offset=covered.offset)
    resumed = await manager.resume(session_id)
    assert resumed.checkpoint is not None
    since = [event.data.message() for event in resumed.events]
    assert resumed.checkpoint.data["messages"] + since == messages
