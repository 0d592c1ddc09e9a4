"""Locks on a fresh namespace with one session, and the same again, as another process has it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream.events.lifecycle import SessionCreated
from sessionstream.locks import Locks
from sessionstream.log.store import Store
from sessionstream.settings import Settings
from sessionstream.wire.opening import server_for
from tests.entries import data_of

MakeStore = Callable[[], Store]
Texts = Callable[[], Awaitable[list[str]]]


@pytest.fixture
async def make_store(client: Redis, namespace: str) -> AsyncIterator[MakeStore]:
    """Make one more store of the test's namespace, with a connection of its own."""
    async with AsyncExitStack() as stack:

        def make() -> Store:
            store = Store(server_for(client, None), Settings(namespace=namespace))
            stack.push_async_callback(store.aclose)
            return store

        yield make


@pytest.fixture
def store(make_store: MakeStore) -> Store:
    """The store of most tests."""
    return make_store()


@pytest.fixture
async def locks(store: Store) -> AsyncIterator[Locks]:
    """The locks of most tests."""
    locks = Locks(store)
    yield locks
    await locks.aclose()


@pytest.fixture
async def others(make_store: MakeStore) -> AsyncIterator[Locks]:
    """Locks of the same sessions, as another process has them."""
    others = Locks(make_store())
    yield others
    await others.aclose()


@pytest.fixture
async def session_id(store: Store) -> str:
    """A session with one event, ``session.created``."""
    await store.append("sess_1", [SessionCreated(user_id="user_1", agent_id="agent_1")])
    return "sess_1"


@pytest.fixture
def head(client: Redis, store: Store, session_id: str) -> Callable[[], Awaitable[dict[bytes, bytes]]]:
    """Read all fields of the session's head."""

    async def read() -> dict[bytes, bytes]:
        fields: Any = await client.hgetall(store.keys.head(session_id))
        return dict(fields)

    return read


@pytest.fixture
def notes(client: Redis, store: Store, session_id: str) -> Texts:
    """Read the texts of the session's notes."""

    async def read() -> list[str]:
        entries: Any = await client.xrange(store.keys.events(session_id))
        return [data_of(fields, "note.added").decode() for _, fields in entries if b"note.added" in fields]

    return read
