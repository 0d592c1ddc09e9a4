"""How the benchmarks measure: what both sides are given, in which order they run, and what a ratio is."""

from __future__ import annotations

import statistics
from pathlib import Path

import msgspec
import pytest

from benchmarks import payloads as given
from benchmarks.claims import Claim, claim_rows, ratio_of_rates
from benchmarks.rounds import Contestant, Found, compete, turned
from sessionstream import SessionManager
from tests.servers import Server


async def test_both_sides_append_the_same_bytes(server: Server, namespace: str) -> None:
    """What the store writes of an event is what the other side is given, but for the id, which is as long."""
    async with SessionManager(url=server.url, namespace=namespace) as manager:
        session = await manager.create_session("user", "agent")
        some = given.payloads(200)
        await manager.append(session.session_id, [payload.event for payload in some])
        stored = [dict(event.fields) async for event in manager.history(session.session_id, from_version=2)]
    for payload, fields in zip(some, stored, strict=True):
        [(name, value)] = fields.items()
        assert name.decode() == payload.fields["type"]
        assert value[22:] == payload.fields["data"]
        assert len(value[:22]) == len(payload.fields["id"])


def test_made_messages_have_the_sizes_of_the_recorded_ones(airline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their mean, their median and their largest tenth, within a fifth."""
    sizes = []
    for path in (airline, Path("nowhere")):
        monkeypatch.setenv("SESSIONSTREAM_AIRLINE", str(path))
        given.messages.cache_clear()
        sizes.append(sorted(len(msgspec.json.encode(message)) for message in given.messages()))
    given.messages.cache_clear()
    recorded, made = sizes
    assert statistics.mean(made) == pytest.approx(statistics.mean(recorded), rel=0.2)
    assert statistics.median(made) == pytest.approx(statistics.median(recorded), rel=0.2)
    assert made[int(0.9 * len(made))] == pytest.approx(recorded[int(0.9 * len(recorded))], rel=0.2)


def test_a_message_of_a_size_has_that_size() -> None:
    """In bytes of its JSON."""
    assert len(msgspec.json.encode(given.of_size(300))) == 300


def test_everybody_comes_first_as_often_as_last() -> None:
    """In two cycles of rounds each has every place, and neighbours change sides."""
    names = ["a", "b", "c"]
    orders = [turned(names, number) for number in range(6)]
    for place in range(3):
        assert sorted(order[place] for order in orders) == sorted(names * 2)
    assert orders[3] == orders[0][::-1]


async def test_the_first_round_is_not_counted() -> None:
    """Every contestant runs once more than is counted."""
    runs: list[str] = []

    def contestant(name: str) -> Contestant:
        async def run() -> list[int]:
            runs.append(name)
            return [1, 3]

        return Contestant(name, run, 2)

    found = await compete([contestant("a"), contestant("b")], 3)
    assert len(runs) == 8
    assert found["a"].times == [1, 3] * 3
    assert len(found["a"].rates) == len(found["a"].medians) == 3


def test_a_ratio_is_the_median_of_the_rounds_ratios() -> None:
    """Not the ratio of medians: in a round both sides meet the same machine."""
    found = {"ours": Found(rates=[10, 60, 300]), "theirs": Found(rates=[5, 20, 600])}
    claim = ratio_of_rates(found, "what", "ours", "them", "theirs", 1.5)
    assert claim.found == 2
    assert (claim.low, claim.high) == (0.5, 3)
    assert claim.missed is False


def test_a_claim_that_was_not_measured_is_neither_met_nor_missed() -> None:
    """The table says why."""
    claim = Claim("bytes", "payload", None, 1.6, at_most=True, why="redis-server is not installed")
    assert claim.missed is None
    assert "not measured: redis-server is not installed" in claim_rows([claim])
