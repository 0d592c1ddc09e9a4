"""User projections drawn at random that carry an event's text into keys, members and values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from hypothesis import strategies as st

from sessionstream import Event, Projection, event
from sessionstream.projection import (
    AT,
    OFFSET,
    VERSION,
    Add,
    Increment,
    Move,
    Operation,
    Put,
    Remove,
    Replace,
    Rescore,
    Unset,
    counters,
    index,
    ranking,
    view,
)

__all__ = ["LARGEST", "Marked", "marking", "programs", "texts"]

LARGEST = 2**53 - 1


@event("projections.marked")
class Marked(Event, frozen=True, kw_only=True):
    """Asks each projection for one step of its program, and carries text into it."""

    step: int
    text: str = ""


class _Text:
    """Stands in a program for the text of the event."""

    def __repr__(self) -> str:
        return "TEXT"


TEXT: Any = _Text()
Program = Sequence[Sequence[Operation]]

_numeric = st.sampled_from(
    ["", "0", "-0", "-00", "007", "+1", " 1", "1 ", "1e3", "0x10", "inf", "nan", "-5", "1\n", "９", str(2**64)]
    + [str(sign * (2**53 + beyond)) for sign in (1, -1) for beyond in (-2, -1, 0, 1)]
    + ["0" * 500 + "7", "-" + "0" * 400 + "7", "9" * 5_000]
)
texts = st.one_of(_numeric, st.text(max_size=8))
_shifts = st.integers(-(2**41), 2**41)
_symbols = st.one_of(st.just(AT), st.builds(lambda shift: AT + shift, _shifts), st.just(VERSION))
_integers = st.one_of(st.integers(-9, 9), st.integers(-LARGEST, LARGEST), st.sampled_from([LARGEST, -LARGEST]))
_offsets = st.builds(lambda text: OFFSET + text, texts)
_values = st.one_of(texts, st.binary(max_size=8), _integers, _symbols, _offsets, st.just(TEXT))
_extremes = [float("inf"), float("-inf"), -0.0, -1.5, 0.1, 1e-310, 5e-324, 1.7976931348623157e308, LARGEST]
_scores = st.one_of(st.sampled_from(_extremes), st.floats(allow_nan=False), _integers, _symbols)
_names = st.sampled_from(["a", "b", "a:b", "ab", "é", "éa", "0", "\0", "a\nb", TEXT])
_prefixes = st.sampled_from(["", "a", "a:", "é", "b", "%", TEXT])
_fields = st.dictionaries(_names, _values, max_size=4)

_views = st.sampled_from([view("one"), view("two")])
_rankings = st.sampled_from([ranking("one"), ranking("two")])
_indexes = st.sampled_from([index("one"), index("two"), index("two", "é:x"), index("two", "0")])
_moves = st.lists(_indexes, min_size=1, max_size=4).flatmap(
    lambda among: st.builds(Move, st.just(among), st.sampled_from([None, *among]), st.one_of(st.none(), _scores))
)
# Shared counters are sums only as long as none of them is saturated on the way.
_small = st.one_of(st.integers(-1_000, 1_000), _symbols)

_operations: st.SearchStrategy[Operation] = st.one_of(
    st.builds(Put, _views, _fields),
    st.builds(Unset, _views, st.lists(_names, max_size=3)),
    st.builds(Replace, _views, _prefixes, _fields),
    st.builds(Increment, _views, _names, st.one_of(_integers, _symbols)),
    st.builds(Add, _rankings, _scores, _names),
    st.builds(Remove, _rankings, _names),
    st.builds(Rescore, _rankings, _scores, _names),
    st.builds(Add, _indexes, _scores),
    st.builds(Remove, _indexes),
    st.builds(Rescore, _indexes, _scores),
    _moves,
    st.builds(Increment, st.just(counters("sums")), _names, _small),
)
programs = st.lists(st.lists(_operations, min_size=1, max_size=4), min_size=3, max_size=8)
"""Steps, each a list of operations; an event runs one of them."""


def marking(name: str, program: Program) -> Projection:
    """Return a projection in which each `Marked` event runs one step of the program."""
    projection = Projection(name)

    @projection.on(Marked)
    def marked(session_id: str, event: Marked) -> Iterable[Operation]:
        for operation in program[event.step % len(program)]:
            yield type(operation)(*(_filled(part, event.text) for part in operation))

    return projection


def _filled(part: Any, text: str) -> Any:
    # A name is never empty: the library refuses that.
    name = text or "-"
    if part is TEXT:
        return name
    if isinstance(part, dict):
        return {name if key is TEXT else key: text if value is TEXT else value for key, value in part.items()}
    if isinstance(part, list):
        return [name if one is TEXT else one for one in part]
    return part
