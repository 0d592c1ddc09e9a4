"""A cursor is a short string that names where it belongs, and nothing else is taken for one (G24)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionstream.errors import CursorMismatch, InvalidArgument, InvalidType
from sessionstream.feed.cursor import BEGINNING, Cursor
from sessionstream.log.keys import Keys

pytestmark = pytest.mark.guarantee

_POSITION = st.one_of(
    st.just(BEGINNING),
    st.tuples(st.integers(1, 2**45), st.integers(1, 2**50)).map(lambda pair: f"{pair[0]}-{pair[1]}"),
)


@given(st.lists(_POSITION, min_size=1, max_size=80))
def test_what_was_written_is_read_again(positions: list[str]) -> None:
    """Whatever the positions are."""
    keys = Keys("ns", len(positions))
    cursor = Cursor.of(keys, positions)
    assert Cursor.parse(str(cursor), keys) == cursor
    assert Cursor.parse(cursor, keys) == cursor


def test_it_is_short() -> None:
    """Sixteen partitions that were used within a day and hold a million appends each: 150 characters."""
    keys = Keys("ns", 16)
    cursor = Cursor.of(keys, [f"{1_764_230_000_000 + 5_000_000 * n}-{1_000_000 + n}" for n in range(16)])
    assert len(str(cursor)) <= 180


def test_that_of_another_namespace_is_refused() -> None:
    """By an error that names the one for which it was to be used."""
    text = str(Cursor.beginning(Keys("one", 4)))
    with pytest.raises(CursorMismatch) as caught:
        Cursor.parse(text, Keys("two", 4))
    assert (caught.value.namespace, caught.value.partitions) == ("two", 4)


def test_that_of_another_number_of_partitions_is_refused() -> None:
    """The number is in it."""
    text = str(Cursor.beginning(Keys("one", 4)))
    with pytest.raises(CursorMismatch, match="4 partitions"):
        Cursor.parse(text, Keys("one", 8))


@given(st.integers(0, 200), st.characters(codec="ascii"))
def test_an_altered_one_is_refused_or_the_same(place: int, character: str) -> None:
    """One character more, or another: never another position."""
    keys = Keys("ns", 3)
    cursor = Cursor.of(keys, ["1764230000000-5", BEGINNING, "1764230001000-7"])
    text = str(cursor)
    altered = text[:place] + character + text[place + 1 :]
    try:
        assert Cursor.parse(altered, keys) == cursor
    except InvalidArgument:
        assert altered != text


@pytest.mark.parametrize("text", ["", "c1", "c1AAAA", "1764230000000-5", "c1é", "c2" + "A" * 40])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    """As an invalid argument."""
    with pytest.raises(InvalidArgument):
        Cursor.parse(text, Keys("ns", 3))


def test_what_is_no_string_is_refused() -> None:
    """As one of the wrong type."""
    with pytest.raises(InvalidType):
        Cursor.parse(7, Keys("ns", 3))


def test_one_cut_short_is_refused() -> None:
    """Wherever it was cut."""
    keys = Keys("ns", 3)
    text = str(Cursor.of(keys, ["1764230000000-5", BEGINNING, "1764230001000-7"]))
    for end in range(len(text)):
        with pytest.raises(InvalidArgument):
            Cursor.parse(text[:end], keys)


def test_it_moves_on_in_one_partition() -> None:
    """The others stay where they are."""
    cursor = Cursor.beginning(Keys("ns", 3)).at(1, "5-1")
    assert cursor.positions == (BEGINNING, "5-1", BEGINNING)
