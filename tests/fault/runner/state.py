"""What the servers have in the end: read raw, by a client of its own, and through the library beside it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from redis.asyncio import RedisCluster

from sessionstream import SessionManager
from sessionstream.log.feed import Pointer, pointers_of
from tests.entries import ID
from tests.fault.runner.connections import client_on, manager_on
from tests.fault.runner.watching import GROUP, HANDLED
from tests.fault.runner.writing import AGENT, USERS
from tests.keys import owner_of

__all__ = ["Entry", "State", "read_state"]

Client = Any
_PAGE = 5_000
_XRANGE = "return redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', ARGV[2])"


class Entry(NamedTuple):
    """One event, as its stream holds it.

    Attributes:
        offset: its id in the stream.
        type: by name.
        text: what its call is known by.
        data: its JSON.
    """

    offset: str
    type: str
    text: str
    data: dict[str, Any]

    @property
    def version(self) -> int:
        """Its version, by its offset."""
        return int(self.offset.partition("-")[2])


@dataclass
class State:
    """What there is of a namespace.

    Attributes:
        streams: the events of each session, oldest first, raw.
        feed: the pointers of each partition, raw.
        sessions: what `get_session` gives.
        checkpoints: the id of the latest checkpoint of each session.
        findings: what `audit.verify` finds in each session.
        listed: the sessions of each user.
        counted: how many sessions are active, and how many there are.
        handled: how many events of each session the group's view has counted.
        group: what is wrong with the group: it is behind, or has parked something.
        strays: keys without an owner.
    """

    streams: dict[str, list[Entry]] = field(default_factory=dict)
    feed: list[list[Pointer]] = field(default_factory=list)
    sessions: dict[str, Any] = field(default_factory=dict)
    checkpoints: dict[str, str | None] = field(default_factory=dict)
    findings: dict[str, list[str]] = field(default_factory=dict)
    listed: dict[str, set[str]] = field(default_factory=dict)
    counted: tuple[int, int] = (0, 0)
    handled: dict[str, int] = field(default_factory=dict)
    group: list[str] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)


async def read_state(place: Mapping[str, Any], settings: Mapping[str, Any]) -> State:
    """Return what there is, when nobody writes any more.

    Args:
        place: how it is reached.
        settings: of a manager.
    """
    state = State()
    async with manager_on(place, **settings) as manager, _client(place) as client:
        keys = manager.store.keys
        for partition in range(keys.partitions):
            pages = [entry async for entry in _entries(client, keys.feed(partition))]
            state.feed.append([pointer for entry in pages for pointer in pointers_of(entry)])
            for member in await client.zrange(keys.registry(partition), 0, -1):
                if member:
                    session_id = member.decode()
                    stream = [_entry(session_id, *entry) async for entry in _entries(client, keys.events(session_id))]
                    state.streams[session_id] = stream
        for session_id in state.streams:
            await _ask_for(manager, session_id, state)
        for user in USERS:
            state.listed[user] = {session.session_id for session in await manager.get_sessions_by_user(user)}
        state.counted = (await manager.get_active_session_count(), await manager.get_total_session_count())
        await _ask_for_group(manager, state)
        state.strays = await _strays(client, keys.namespace)
    return state


async def _ask_for(manager: SessionManager, session_id: str, state: State) -> None:
    state.sessions[session_id] = await manager.get_session(session_id)
    checkpoint = await manager.get_latest_checkpoint(session_id)
    state.checkpoints[session_id] = checkpoint and checkpoint.checkpoint_id
    if checkpoint is not None and checkpoint.data != {"text": checkpoint.checkpoint_id}:
        state.findings.setdefault(session_id, []).append(f"checkpoint {checkpoint.checkpoint_id} has another body")
    verified = await manager.audit.verify(session_id)
    for one in verified.findings:
        state.findings.setdefault(session_id, []).append(f"{one.kind}: {one.detail}")


async def _ask_for_group(manager: SessionManager, state: State) -> None:
    if GROUP not in await manager.consumers.groups():
        return
    status = await manager.consumers.status(GROUP)
    state.group = [
        f"partition {one.partition} is {one.lag} events behind {one.position}, with {one.parked} parked, {one.health}, "
        f"of {one.member or 'nobody'}; {one.failing or 'nothing'} fails"
        for one in status.partitions
        if one.lag or one.parked
    ]
    state.handled = await manager.consumers.view(GROUP).counters(HANDLED)


@asynccontextmanager
async def _client(place: Mapping[str, Any]) -> AsyncIterator[Client]:
    client: Client = client_on(place)
    try:
        yield client
    finally:
        await client.aclose()


async def _entries(client: Client, key: str) -> AsyncIterator[tuple[bytes, list[bytes]]]:
    """Yield the entries of a stream; a field may be there twice, so no client may make a dict of them."""
    position = "-"
    while page := await client.eval(_XRANGE, 1, key, position, _PAGE):
        for identifier, words in page:
            yield identifier, words
        position = "(" + page[-1][0].decode()


def _entry(session_id: str, identifier: bytes, words: list[bytes]) -> Entry:
    name = words[0].decode()
    data = json.loads(words[1][len(ID) :])
    return Entry(identifier.decode(), name, _text(session_id, name, data), data)


def _text(session_id: str, name: str, data: dict[str, Any]) -> str:
    if name == "note.added":
        return str(data["text"])
    if name == "checkpoint.saved":
        return str(data["checkpoint_id"])
    if name == "session.metadata_updated":
        return str(next(iter(data["set"].values()), ""))
    if name == "session.created" and data["agent_id"] == AGENT:
        return session_id
    return f"an event of type {name}"


async def _strays(client: Client, namespace: str) -> list[str]:
    strays = []
    nodes = client.get_primaries() if isinstance(client, RedisCluster) else [None]
    for node in nodes:
        cursor = 0
        while True:
            where = {} if node is None else {"target_nodes": node}
            cursor, found = await _scan(client, cursor, namespace, where)
            strays += [problem for key in found if (problem := await _stray(client, key)) is not None]
            if not cursor:
                break
    return strays


async def _scan(client: Client, cursor: int, namespace: str, where: dict[str, Any]) -> tuple[int, list[bytes]]:
    given, found = await client.scan(cursor, match=f"{namespace}:*", count=1000, **where)
    return (next(iter(given.values())) if isinstance(given, dict) else given), found


async def _stray(client: Client, key: bytes) -> str | None:
    try:
        owner = owner_of(key)
    except ValueError as error:
        return f"{key.decode(errors='backslashreplace')}: {error}"
    if owner is not None and await client.zscore(*owner) is None:
        return f"{key.decode(errors='backslashreplace')}: its session is not kept"
    return None
