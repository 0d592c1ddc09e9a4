"""G7, G8: what the append script keeps is what Python folds from the stream, and a rebuild makes just that once more.

Below the manager: single and batched appends of any event, in namespaces of one partition and of several.
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from redis.asyncio import Redis

from sessionstream.log.store import Store
from sessionstream.rebuild import rebuild_all
from tests.interpreters.conftest import MakeStore
from tests.interpreters.contents import folded_views, kept_views, summed_views
from tests.interpreters.playing import play
from tests.interpreters.programs import Scenario, scenarios
from tests.projections.views import erase


@given(scenario=scenarios())
@settings(max_examples=60)
async def test_every_view_equals_the_fold_of_its_stream(
    scenario: Scenario, client: Redis, make_store: MakeStore, make_namespace: Callable[[], str]
) -> None:
    """Whatever happens, whoever writes, and whatever projections a user has."""
    store, name = await _played(scenario, make_store, make_namespace())
    assert await kept_views(client, name) == await folded_views(store)


@given(scenario=scenarios())
@settings(max_examples=30)
async def test_a_rebuild_makes_every_view_once_more(
    scenario: Scenario, client: Redis, make_store: MakeStore, make_namespace: Callable[[], str]
) -> None:
    """Of nothing but the streams, whatever projections a user has."""
    store, name = await _played(scenario, make_store, make_namespace())
    await erase(store)
    await rebuild_all(store)
    assert await kept_views(client, name) == await summed_views(store)


async def _played(scenario: Scenario, make_store: MakeStore, name: str) -> tuple[Store, str]:
    projections, partitions = scenario.projections, scenario.partitions
    stores = [make_store(*projections, partitions=partitions, writer=writer, name=name) for writer in range(3)]
    await play(scenario, stores)
    return stores[0], name
