"""A few seconds of full speed leave nothing behind; `python -m tests.soak` runs for as long as you like. G20, G14."""

from __future__ import annotations

import pytest

from tests.soak.gauges import Reading, problems
from tests.soak.soaking import soak

PARTITIONS = 16
MOST_KEYS = PARTITIONS * 24
"""So many keys the partitions have: logs, feeds, indexes, groups, counters."""

_MIB = 1024 * 1024


async def test_nothing_is_left_of_sessions_that_came_and_went() -> None:
    """After each round there are as many connections, tasks and descriptors, and no key but the partitions' own."""
    soaked = await soak(2, 1.0, lives=8, seal_key="soak" * 8, partitions=PARTITIONS)
    first, last = (one.reading for one in soaked.rounds)
    for what in ("created", "saved", "expired", "deleted", "handled", "followed"):
        assert all(one.done[what] for one in soaked.rounds), what
    assert (last.connections, last.tasks, last.descriptors) == (first.connections, first.tasks, first.descriptors)
    assert last.keys <= MOST_KEYS
    assert last.server_bytes < first.server_bytes + _MIB
    assert soaked.after is not None
    assert soaked.after[-3:] == soaked.before[-3:]


def _reading(**values: int) -> Reading:
    usual = {**dict.fromkeys(Reading._fields, 1000), "client_bytes": 50 * _MIB, "server_bytes": _MIB}
    return Reading(**{**usual, **values})


def test_what_only_wobbles_is_no_problem() -> None:
    """Nor what the first rounds fill."""
    sizes = [30, 48, 50, 50, 51, 50, 50, 51, 50]
    assert problems([_reading(client_bytes=size * _MIB) for size in sizes]) == []


@pytest.mark.parametrize(
    ("name", "step"),
    [("client_bytes", _MIB), ("server_bytes", _MIB), ("objects", 10), ("keys", 1), ("tasks", 1), ("descriptors", 1)],
)
def test_what_grows_from_round_to_round_is_one(name: str, step: int) -> None:
    """Whatever it is."""
    start = getattr(_reading(), name)
    (found,) = problems([_reading(**{name: start + number * step}) for number in range(10)])
    assert name in found
