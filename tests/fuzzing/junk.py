"""Values that nobody means."""

from __future__ import annotations

import enum
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import hypothesis.strategies as st

from sessionstream import MessageAdded, NoteAdded, Session, SessionState

__all__ = ["BYTES", "JSON", "JUNK", "TEXTS"]


class _Colour(str, enum.Enum):  # noqa: UP042 (one that is written otherwise than it reads)
    RED = "red"


def _values() -> Any:
    yield 1


_NAMES = [
    "",
    "s",
    "\0",
    "\ud800",
    "a\udfff",
    "x" * 513,
    "0-0",
    "1-1",
    "-1",
    "1-",
    "1-1-1",
    "18446744073709551615-18446744073709551615",
    "18446744073709551616-1",
    "99999999999999999999999-1",
    "٣-١",
    "1_0-1",
    "c1AAAA",
    "now",
    "oldest",
    "beginning",
    "active",
    "expired",
    "deleted",
    "..",
    "/nonexistent/folder/file",
    "a b",
    "g",
]
TEXTS = st.one_of(st.sampled_from(_NAMES), st.text(max_size=12), st.text(alphabet="0123456789-{}:", max_size=12))
BYTES = st.one_of(st.binary(max_size=40), TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass")))
_NUMBERS = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([2**31, 2**53 - 1, 2**53, 2**63, 2**64, -(2**63), 10**30]),
    st.floats(),
    st.sampled_from([0.0, -0.0, 1e-9, 1e308, float("nan"), float("inf"), float("-inf")]),
)
JSON = st.recursive(
    st.none() | st.booleans() | _NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
_OBJECTS = st.sampled_from(
    [
        object(),
        int,
        MessageAdded,
        MessageAdded(role="user"),
        NoteAdded(text="x"),
        SessionState.IDLE,
        _Colour.RED,
        Session("s", "u", "a", datetime(2020, 1, 1, tzinfo=UTC)),
        datetime(2020, 1, 1),
        datetime.max.replace(tzinfo=UTC),
        datetime.min.replace(tzinfo=UTC),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-14))),
        date(2020, 1, 1),
        timedelta(days=-1),
        timedelta.max,
        Decimal("1.5"),
        Path("/nonexistent/folder"),
        complex(1, 1),
        range(3),
        frozenset({1}),
        memoryview(b"abc"),
        bytearray(b"abc"),
        lambda *given: given,
        ...,
        NotImplemented,
        ValueError("x"),
    ]
)
_PLAIN = st.one_of(st.none(), st.booleans(), _NUMBERS, TEXTS, st.binary(max_size=8), _OBJECTS)
JUNK = st.one_of(
    _PLAIN,
    st.lists(_PLAIN, max_size=3),
    st.tuples(_PLAIN),
    st.sets(st.integers(0, 3), max_size=2),
    st.dictionaries(st.one_of(TEXTS, st.integers(0, 3), st.none(), st.binary(max_size=3)), _PLAIN, max_size=3),
    st.builds(_values),
    JSON,
)
"""Of every type, and of the right one beyond its range."""
