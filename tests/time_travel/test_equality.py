"""G31: a moment that is looked at from base snapshots is what the whole fold of the events up to it gives."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings

from sessionstream.bases import fold_until, nearest, write
from sessionstream.directory.listing import every_session_id
from sessionstream.events.recorded import RecordedEvent
from sessionstream.fold import Spot, Views, fold
from sessionstream.log.history import read_history
from sessionstream.log.store import Store
from tests.interpreters.conftest import MakeStore, lanes, make_store
from tests.interpreters.playing import play
from tests.interpreters.programs import Scenario, scenarios

__all__ = ["lanes", "make_store"]


@given(scenario=scenarios(writers=1))
@settings(max_examples=30)
async def test_every_version_from_bases_is_the_fold_of_its_events(
    scenario: Scenario, make_store: MakeStore, make_namespace: Callable[[], str]
) -> None:
    """Whatever happened, whatever projections a user has, and wherever a base lies."""
    store = make_store(*scenario.projections, partitions=scenario.partitions, writer=0, name=make_namespace())
    await play(scenario, [store])
    async for session_id in every_session_id(store):
        events = [event async for event in read_history(store, session_id)]
        whole = [_content(fold(session_id, events[:count], store.projections)) for count in range(1, len(events) + 1)]
        assert [await _content_at(store, event) for event in events] == whole
        for event in events:
            assert await write(store, await fold_until(store, session_id, event.offset))
            assert [await _content_at(store, one) for one in events] == whole
            base = await nearest(store, session_id, event.offset)
            assert base is not None
            assert base.offset == event.offset


async def _content_at(store: Store, event: RecordedEvent) -> dict[Spot, dict[bytes, bytes] | dict[bytes, float]]:
    folded = await fold_until(store, event.session_id, event.offset)
    assert folded.offset == event.offset
    return _content(folded.views)


def _content(views: Views) -> dict[Spot, dict[bytes, bytes] | dict[bytes, float]]:
    """What views hold; an empty one is an absent one."""
    everything = {**views.hashes, **views.sets}
    return {spot: dict(content) for spot, content in everything.items() if content}
