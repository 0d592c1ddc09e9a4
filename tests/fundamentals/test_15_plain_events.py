"""Events of plain values only: they are not read back before they are appended, so they have to be what they seem."""

from __future__ import annotations

import typing
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessionstream import MessageAdded, NoteAdded, ToolCalled, event
from sessionstream.errors import InvalidArgument
from sessionstream.events.base import type_of
from sessionstream.events.codec import encode_event, encode_events, encode_plain
from sessionstream.redaction import Names, Redactor, redactor_of

TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
PLAIN = st.one_of(TEXT, st.none(), st.booleans())
ANY = st.recursive(
    PLAIN | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=300)
@given(
    TEXT,
    st.fixed_dictionaries(
        {}, optional={"content": ANY, "name": ANY, "tool_calls": ANY, "extra": st.dictionaries(TEXT, ANY)}
    ),
)
def test_what_is_encoded_reads_back_equal(role: str, fields: dict[str, Any]) -> None:
    """Plain or not."""
    message = MessageAdded(role=role, **fields)
    encoded = encode_event(message, 1 << 20)
    assert encoded.kind.read(encoded.data) == message
    assert encoded.value == message


def _outcome(encode: Any) -> Any:
    """Return what encoding gives, or what it raises: its type and what it says."""
    try:
        return encode()
    except InvalidArgument as error:
        return type(error), str(error)


@settings(max_examples=300)
@given(
    st.sampled_from([redactor_of(None), redactor_of(True)]),
    st.sampled_from([20, 60, 1 << 20]),
    TEXT | st.none(),
    ANY | st.just({"password": "x"}) | st.just('{"api_key": "x"}') | st.just(("a",)) | st.just(float("nan")),
)
def test_the_short_ways_encode_as_the_long_one_does(redactor: Redactor, most: int, role: Any, content: Any) -> None:
    """The same JSON, redacted as ever, and the same refusals; where that is not sure they leave it to the long way."""
    message = MessageAdded(role=role, content=content)
    told = _outcome(lambda: encode_event(message, most, redactor))
    batch = _outcome(lambda: encode_events([message, message], most, redactor))
    assert batch == (told if isinstance(told, tuple) else [told, told])
    plain = encode_plain(message, type_of(message), most, redactor)
    assert plain is None or plain == told.data


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (MessageAdded(role="user", content="Hi"), True),
        (MessageAdded(role="user", content=None, name=""), True),
        (MessageAdded(role="user", content=1), False),
        (MessageAdded(role="user", content=["Hi", {"a": [1, 2.5, None, True]}]), True),
        (MessageAdded(role="user", extra={"a": "b"}), True),
        (MessageAdded(role="user", extra={1: "b"}), False),  # type: ignore[dict-item]
        (MessageAdded(role="user", content=[2**64]), False),
        (MessageAdded(role="user", content=[-(2**63) - 1]), False),
        (MessageAdded(role="user", content=[float("nan")]), False),
        (MessageAdded(role="user", content=[("a",)]), False),
        (MessageAdded(role="user", content=[[[[[[[[[["deep"]]]]]]]]]]), False),
        (MessageAdded(role="user", content=("a",)), False),
        (MessageAdded(role=None, content="Hi"), False),  # type: ignore[arg-type]
        (NoteAdded(text="x"), True),
        (NoteAdded(text="x", detail={}), True),
        (ToolCalled(name="x", call_id=None), True),
        (ToolCalled(name="x", call_id=True), False),  # type: ignore[arg-type]
    ],
)
def test_only_values_that_their_types_allow_are_plain(value: Any, plain: bool) -> None:
    """Texts, booleans, nulls and absent ones; and where the type asks for no more than JSON, dicts and lists."""
    assert type_of(value).is_plain(value, Names()) is plain


@pytest.mark.parametrize("value", [MessageAdded(role=None), NoteAdded(text=5), ToolCalled(name="x", call_id=1)])  # type: ignore[arg-type]
def test_a_value_of_another_type_than_declared_is_refused(value: Any) -> None:
    """A class of msgspec does not look at what it is made of."""
    with pytest.raises(InvalidArgument):
        encode_event(value, 1 << 20)


def test_a_class_that_changes_its_values_when_it_is_made_is_read_back() -> None:
    """What it would change on the way back has to be seen."""

    @event("plain.changed_when_made")
    class Loud(msgspec.Struct, frozen=True):
        text: str

        def __post_init__(self) -> None:
            if not self.text.endswith("!"):
                msgspec.structs.force_setattr(self, "text", self.text + "!")

    value = Loud(text="x")
    assert not type_of(value).is_plain(value, Names())
    assert encode_event(value, 100).value == value


def test_a_class_with_annotations_of_its_own_is_declared() -> None:
    """What is annotated may be anything."""

    @event("plain.annotated")
    class Annotated(msgspec.Struct, frozen=True):
        text: typing.Annotated[str, {"not": "hashable"}]

    assert encode_event(Annotated(text="x"), 100).value == Annotated(text="x")


@pytest.mark.parametrize("name", ["class", "value", "names", "held", "kind", "größe"])
def test_a_field_may_have_any_name(name: str) -> None:
    """One that only `msgspec.defstruct` can give it too."""
    cls = event(f"plain.named_{sum(map(ord, name))}")(msgspec.defstruct("Named", [(name, str)], frozen=True))
    assert type_of(cls("x")).is_plain(cls("x"), Names())
    assert not type_of(cls(1)).is_plain(cls(1), Names())
    assert encode_event(cls("x"), 100).value == cls("x")


def test_an_event_may_have_no_fields() -> None:
    """That it happened may be all there is to say."""

    @event("plain.empty")
    class Empty(msgspec.Struct, frozen=True):
        pass

    assert type_of(Empty()).is_plain(Empty(), Names())
    assert encode_event(Empty(), 100).data == b"{}"


def test_a_field_that_is_unset_and_has_to_be_there_is_refused() -> None:
    """It would be left out, and missed."""

    @event("plain.required")
    class Required(msgspec.Struct, frozen=True):
        text: str | msgspec.UnsetType

    assert encode_event(Required(text="x"), 100).value == Required(text="x")
    with pytest.raises(InvalidArgument):
        encode_event(Required(text=msgspec.UNSET), 100)


def test_what_is_asked_of_one_member_of_a_union_is_asked_of_the_others() -> None:
    """As a reader does."""

    @event("plain.constrained")
    class Constrained(msgspec.Struct, frozen=True):
        text: typing.Annotated[str, msgspec.Meta(max_length=2)] | str

    with pytest.raises(InvalidArgument):
        encode_event(Constrained(text="too long"), 100)
