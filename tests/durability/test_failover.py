"""A failover under load, on a real primary that real sentinels watch: nothing that was acknowledged is lost.

G36. How it is with other clients, faults and settings is measured by ``python -m tests.durability``.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator

import pytest
from redis.asyncio import Redis
from redis.asyncio.sentinel import Sentinel

from sessionstream import NoteAdded, SessionManager, Unavailable
from tests.clusters import Node, until
from tests.durability.failovers import fail_over
from tests.sentinels import NAME, TestSentinels
from tests.servers import free_port


@pytest.fixture(scope="module")
def _shared_sentinels() -> Iterator[TestSentinels]:
    with TestSentinels() as sentinels:
        yield sentinels


@pytest.fixture
def sentinels(_shared_sentinels: TestSentinels) -> TestSentinels:
    """A primary with two replicas that three sentinels watch, empty."""
    _shared_sentinels.wait_until_whole()
    _shared_sentinels.empty()
    return _shared_sentinels


async def test_a_planned_failover_loses_and_doubles_nothing(sentinels: TestSentinels) -> None:
    """Though the old primary goes on acknowledging: the sentinels are heard, and no more is written to it."""
    tallies = await fail_over(sentinels, "planned", ["sentinels", "replicated(1)"], before=0.5, after=0.5)
    for tally in tallies.values():
        assert tally.acknowledged > 20
        assert (tally.lost, tally.doubled, tally.errors) == (0, 0, {})


async def test_followers_go_on_at_the_new_primary(sentinels: TestSentinels) -> None:
    """Within seconds, though their connection to the old one would have stood."""
    async with sentinels.client() as client, SessionManager(client, namespace="n", deadline=30) as manager:
        session_id = (await manager.create_session("user", "agent")).session_id
        async with manager.follow(session_id) as events:
            assert (await anext(events)).version == 1
            await asyncio.to_thread(sentinels.fail_over)
            await manager.append(session_id, NoteAdded(text="after"))
            async with asyncio.timeout(3):
                assert (await anext(events)).data.text == "after"


def listeners(sentinel: Node) -> int:
    """Return how many connections hear a sentinel's news of failovers, other sentinels aside."""
    lines = sentinel.call("CLIENT", "LIST").decode().splitlines()
    return sum(" sub=2 " in line for line in lines)


async def test_a_client_that_was_told_of_one_sentinel_hears_all(sentinels: TestSentinels) -> None:
    """They tell of each other; when that one dies a failover goes as ever, and the end frees every connection."""
    told, *others = sentinels.sentinels
    sentinel = Sentinel([("127.0.0.1", told.port)])
    async with SessionManager(sentinel.master_for(NAME, Redis), namespace="n", deadline=30) as manager:
        session_id = (await manager.create_session("user", "agent")).session_id
        while not all(await asyncio.to_thread(lambda: [listeners(one) for one in sentinels.sentinels])):
            await asyncio.sleep(0.01)
        told.server.kill()
        old = sentinels.primary()
        await asyncio.to_thread(
            until, lambda: bool(others[0].call("SENTINEL", "FAILOVER", NAME)), "a sentinel to begin"
        )
        await asyncio.to_thread(sentinels.wait_for_another, old)
        assert (await manager.append(session_id, NoteAdded(text="x"))).version == 2
    await asyncio.to_thread(until, lambda: not any(listeners(one) for one in others), "the connections to be closed")


async def test_no_primary_is_used_that_no_sentinel_names(sentinels: TestSentinels) -> None:
    """A manager that can ask none of them says so."""
    sentinel = Sentinel([("127.0.0.1", free_port())])
    async with SessionManager(sentinel.master_for(NAME, Redis), namespace="n", deadline=0.5) as manager:
        with pytest.raises(Unavailable, match="no sentinel tells"):
            await manager.create_session("user", "agent")


async def test_a_manager_that_is_dropped_leaves_no_connection_to_sentinels(sentinels: TestSentinels) -> None:
    """Though the event loop goes on, and though the sentinels would have been looked at again."""
    sentinel = Sentinel(sentinels.addresses)
    manager = SessionManager(sentinel.master_for(NAME, Redis), namespace="n")
    await manager.create_session("user", "agent")
    assert all([await asyncio.to_thread(listeners, one) for one in sentinels.sentinels])
    del manager
    async with asyncio.timeout(10):
        while any([await asyncio.to_thread(listeners, one) for one in sentinels.sentinels]):
            gc.collect()
            await asyncio.sleep(0.02)
