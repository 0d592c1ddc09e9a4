"""Wherever a secret lies, it is taken out and all else stays; what is quickly passed over has none (G37)."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sessionstream import MessageAdded, NoteAdded
from sessionstream.events.base import type_of
from sessionstream.events.codec import encode_event
from sessionstream.redaction import redactor_of

SECRET = "S3CR3T"
REDACTOR = redactor_of(True)
KEYS = st.sampled_from(["text", "max_tokens", "token_count", "n", "page_token", "kéy", "a b", "type"])
NAMED = st.sampled_from(["password", "x-api-key", "clientSecret", "Authorization", "GITHUB_TOKEN", "credentials"])
LEAVES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text('abcé {["\\', max_size=5)


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Dicts and lists of these, some of them written out as the JSON of a text."""
    made = st.dictionaries(KEYS, inner, max_size=3) | st.lists(inner, max_size=3)
    return made | made.map(json.dumps) | made.map(lambda value: " " + json.dumps(value, ensure_ascii=False, indent=1))


CLEAN = st.recursive(LEAVES, containers, max_leaves=8)
HIDDEN = st.recursive(
    st.tuples(st.dictionaries(KEYS, CLEAN, max_size=2), NAMED).map(lambda pair: {**pair[0], pair[1]: SECRET}),
    lambda inner: (
        st.tuples(st.dictionaries(KEYS, CLEAN, max_size=2), KEYS, inner).map(lambda one: {**one[0], one[1]: one[2]})
        | st.tuples(CLEAN, inner).map(list)
        | inner.map(json.dumps)
    ),
    max_leaves=4,
)


@given(HIDDEN)
def test_a_secret_is_found_wherever_it_lies(value: Any) -> None:
    """At any depth of dicts, lists and JSON in texts."""
    for event in (NoteAdded(text="x", detail=value), MessageAdded(role="tool", content=value)):
        data = encode_event(event, 10**6, REDACTOR).data
        assert SECRET.encode() not in data
        assert b"[redacted: " in data


@given(HIDDEN, st.data())
def test_a_secret_is_found_in_json_that_was_cut_short(value: Any, data: st.DataObject) -> None:
    """Wherever it was cut behind the secret."""
    text = json.dumps([value])
    cut = data.draw(st.integers(text.rindex(SECRET) + len(SECRET), len(text)))
    encoded = encode_event(MessageAdded(role="tool", content=text[:cut]), 10**6, REDACTOR).data
    assert SECRET.encode() not in encoded


@given(CLEAN, st.data())
def test_json_without_a_secret_that_was_cut_short_stays_as_it_is(value: Any, data: st.DataObject) -> None:
    """Byte by byte."""
    text = json.dumps([value])
    event = MessageAdded(role="tool", content=text[: data.draw(st.integers(0, len(text)))])
    assert encode_event(event, 10**6, REDACTOR).data == encode_event(event, 10**6).data


@given(CLEAN)
def test_what_has_no_secret_stays_as_it_is(value: Any) -> None:
    """Byte by byte."""
    for event in (NoteAdded(text="x", detail=value), MessageAdded(role="tool", content=value)):
        assert encode_event(event, 10**6, REDACTOR).data == encode_event(event, 10**6).data


@given(CLEAN | HIDDEN)
def test_what_is_passed_over_quickly_would_be_found_clean(value: Any) -> None:
    """The quick look is that of the rules."""
    event = NoteAdded(text="x", detail=value)
    kind = type_of(event)
    _, found = REDACTOR.traced({"detail": value}, "note.added")
    assert not (kind.is_plain(event, REDACTOR.names) and found)
    assert not (kind.is_clean(event, REDACTOR.names) and found)


@given(HIDDEN)
def test_once_redacted_is_redacted(value: Any) -> None:
    """A mark is left as it is."""
    once = REDACTOR.value(value, "data")
    assert REDACTOR.value(once, "data") == once
