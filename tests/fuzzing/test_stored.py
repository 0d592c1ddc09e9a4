"""What is stored: whatever somebody else puts there, what reads it does so or says that it does not read (G41, G10)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from redis.asyncio import Redis

from sessionstream import SessionManager
from sessionstream.errors import CorruptRecord, SessionStreamError
from tests.fuzzing.damage import DAMAGES, Damage, do
from tests.fuzzing.readers import KEY, READERS, WRITERS, Use, fill
from tests.lengths import examples
from tests.servers import Server

pytestmark = pytest.mark.not_on("cluster", reason="a whole server is put back as it was")

SECONDS = 30.0


class Stored:
    """A store that is the same again whenever it is asked for.

    Args:
        server: where it lies.
        client: one of redis-py.
        namespace: its name.
        folder: of its archive.
    """

    def __init__(self, server: Server, client: Redis, namespace: str, folder: Path) -> None:
        self._server = server
        self._client = client
        self._namespace = namespace
        self._kept: list[tuple[bytes, bytes]] = []
        self.folder = folder

    def open(self) -> SessionManager:
        """Return a manager of it."""
        return SessionManager(url=self._server.unix_url, namespace=self._namespace, partitions=1, seal_key=KEY)

    async def make(self) -> None:
        """Fill it."""
        async with self.open() as manager:
            await fill(manager, self.folder)
        self._kept = [(key, await self._client.dump(key)) for key in await self._client.keys("*")]

    async def damaged(self, damage: Damage) -> None:
        """Let it be as it was, but for one damage."""
        await self._client.flushall()
        async with self._client.pipeline(transaction=False) as pipeline:
            for key, dump in self._kept:
                pipeline.restore(key, 0, dump)
            await pipeline.execute()
        await do(self._client, damage)

    async def use(self, uses: Mapping[str, Use]) -> None:
        """Read or write it in every way."""
        async with self.open() as manager:
            for name, use in uses.items():
                try:
                    async with asyncio.timeout(SECONDS):
                        await use(manager, self.folder)
                except SessionStreamError:
                    continue
                except BaseException as error:
                    error.add_note(f"by {name}")
                    raise


@pytest.fixture
async def stored(server: Server, client: Redis, namespace: str, tmp_path: Path) -> AsyncIterator[Stored]:
    """A store with something of everything; it is emptied, as a damaged one has keys of nobody."""
    store = Stored(server, client, namespace, tmp_path)
    await store.make()
    yield store
    await client.flushall()


@given(DAMAGES)
@examples(16)
async def test_what_reads_a_damaged_store_raises_errors_of_the_tree_alone(stored: Stored, damage: Damage) -> None:
    """G41: entries, heads, views, gates, the feed, groups, seals, bases: one of them is anything at all."""
    await stored.damaged(damage)
    await stored.use(READERS)


@given(DAMAGES)
@examples(12)
async def test_what_writes_to_a_damaged_store_raises_errors_of_the_tree_alone(stored: Stored, damage: Damage) -> None:
    """G41: nor does anything else come out of what appends, ends, removes, trims, seals or rebuilds."""
    await stored.damaged(damage)
    await stored.use(WRITERS)


RECORDS = {
    "a head's expiry": ("head:s", "expires_at", "soon", lambda m: m.get_session("s")),
    "a head's state": ("head:s", "state", "asleep", lambda m: m.get_session_state("s")),
    "a head's metadata": ("head:s", "m:k", "{", lambda m: m.get_session("s")),
    "a hold": ("head:s", "hold:h", "when", lambda m: m.retention.holds("s")),
    "a checkpoint's record": ("view:checkpoints:saved:s", "d", "here", lambda m: m.get_latest_checkpoint("s")),
    "a gate": ("log", "s", "open", lambda m: m.get_session("s")),
    "the counters of durations": (
        "counters:statistics:lifetimes",
        "sessions",
        "many",
        lambda m: m.get_avg_session_duration(),
    ),
    "a group's position": ("groups", "g", "there", lambda m: m.consumers.status("g")),
    "a parked event": ("parked:g", "s:s", "[]", lambda m: m.consumers.parked("g")),
}


@pytest.mark.parametrize("record", RECORDS)
async def test_a_record_that_does_not_read_is_named(stored: Stored, client: Redis, record: str) -> None:
    """G41: by `CorruptRecord`, which says what it is and whose."""
    rest, field, value, read = RECORDS[record]
    [key] = [key for key in await client.keys("*") if key.decode().endswith("}:" + rest)]
    await client.hset(key, field, value)
    async with stored.open() as manager:
        with pytest.raises(CorruptRecord, match="does not read") as raised:
            await read(manager)
    assert raised.value.what
    assert raised.value.session_id in ("s", None)


async def test_a_rebuild_mends_a_head_that_does_not_read(stored: Stored, client: Redis) -> None:
    """G8: as the error says."""
    [key] = await client.keys("*:head:s")
    await client.hset(key, mapping={"expires_at": "soon", "state": "asleep", "created_at": ""})
    async with stored.open() as manager:
        with pytest.raises(CorruptRecord):
            await manager.get_session("s")
        await manager.rebuild("s")
        session: Any = await manager.get_session("s")
        assert (session.user_id, session.metadata) == ("u", {"k": [1]})
