"""A failover under load, on a real primary that real sentinels watch: nothing that was acknowledged is lost.

G36. How it is with other clients, faults and settings is measured by ``python -m tests.durability``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from sessionstream import NoteAdded, SessionManager
from tests.durability.failovers import fail_over
from tests.sentinels import TestSentinels


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
        assert tally.acknowledged > 100
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
